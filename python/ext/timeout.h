/* SPDX-License-Identifier: MIT */
/*
 * Timeouts that are exceptions: see celadon.Timeout.
 *
 * Threads: with the GIL.
 */
#ifndef CELEXT_TIMEOUT_H
#define CELEXT_TIMEOUT_H

#include "ext/hub.h"

/* Drop the references of the timeouts that have fired.  May run Python. */
void timeout_drop_fired(struct hub *hub);

#endif
