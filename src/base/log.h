/* SPDX-License-Identifier: MIT */
/*
 * Where the few sentences go that a library has to say to nobody's call.
 *
 * By default they are dropped; an embedder sets a sink (the command and the
 * Python package do).  Things said here happen at most once each.
 *
 * Threads: any; the sink must be thread-safe.
 */
#ifndef CEL_LOG_H
#define CEL_LOG_H

#include <stdbool.h>

typedef void cel__log_sink(const char *text);

/* NULL: drop.  Returns the sink that was set before. */
cel__log_sink *cel__log_set(cel__log_sink *sink);

/* Whether there is a sink. */
bool cel__log_wanted(void);

/* One line without its newline, at most 255 bytes; longer ones are cut. */
void cel__log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
