/* SPDX-License-Identifier: MIT */
/*
 * Writing to pipes without a signal.
 *
 * Threads: the calling coroutine's worker.
 */
#ifndef CEL_PIPE_H
#define CEL_PIPE_H

#include <stdbool.h>

#include "io/loop.h"

/* As cel__loop_try(), of a write whose -EPIPE raises no SIGPIPE. */
bool cel__pipe_try(struct cel__loop *loop, struct cel__op *op);

#endif
