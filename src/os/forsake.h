/* SPDX-License-Identifier: MIT */
/*
 * Leaving coroutines behind for good.
 *
 * A program of threads that forks has one thread in the child: who called
 * fork().  Where coroutines stand for threads the others must not run there:
 * they would take connections and data that the parent's are waiting for.
 *
 * Threads: the worker's owner.
 */
#ifndef CEL_FORSAKE_H
#define CEL_FORSAKE_H

#include "sched/worker.h"

/*
 * Let no coroutine of `worker` run again but the current one, `spared` (may
 * be NULL), and those that have resumed another by hand and so are part of
 * what runs.  Their operations are taken back, their stacks and blocks stay.
 *
 * Does not suspend.  For a child after fork: stale nodes of theirs may still
 * be in queues, whose owners drop nodes of CEL__FORSAKEN coroutines.
 */
void cel__forsake_others(struct cel__worker *worker,
                         const struct cel__coro *spared);

#endif
