/* SPDX-License-Identifier: MIT */
/*
 * What receives signals, for those who wait by other means than a coroutine.
 *
 * Threads: see celadon/signals.h.
 */
#ifndef CEL_SIGNALS_H
#define CEL_SIGNALS_H

#include "celadon/signals.h"

/* Readable when a signal may have come; cel__signals_take() tells. */
int cel__signals_fd(const cel_signals *signals);

/* The number of one that came, or 0.  Does not suspend. */
int cel__signals_take(cel_signals *signals);

#endif
