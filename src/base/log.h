/* SPDX-License-Identifier: MIT */
/*
 * Where the few sentences go that a library has to say to nobody's call.
 *
 * By default they are dropped; cel_log_to() sets a sink (the command and the
 * Python package do).  Things said here happen at most once each.
 *
 * Threads: any; the sink must be thread-safe.
 */
#ifndef CEL_LOG_H
#define CEL_LOG_H

#include <stdbool.h>

/* Whether there is a sink. */
bool cel__log_wanted(void);

/* One line without its newline, at most 255 bytes; longer ones are cut. */
void cel__log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
