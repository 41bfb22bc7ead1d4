/* SPDX-License-Identifier: MIT */
/*
 * What a coroutine leaves behind at its end; the rest is celadon/local.h.
 *
 * Threads: the coroutine's.
 */
#ifndef CEL_LOCAL_H
#define CEL_LOCAL_H

#include "celadon/local.h"
#include "sched/run.h"

/* Call what `coro`, the current one, has deferred, then destroy its values.
   Suspends as those calls do. */
void cel__local_leave(struct cel_coro *coro);

#endif
