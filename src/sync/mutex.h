/* SPDX-License-Identifier: MIT */
/*
 * What a mutex is inside; the rest is celadon/sync.h.
 *
 * Threads: any; all of it is guarded by its latch.
 */
#ifndef CEL_MUTEX_H
#define CEL_MUTEX_H

#include "celadon/sync.h"
#include "sync/queue.h"

/* Invariant: waiters wait => holder != NULL. */
struct cel_mutex {
    struct cel__queue queue;
    struct cel__coro *holder; /* NULL: it is free */
};

/* For a dump: who holds what begins with a mutex. */
const struct cel__coro *cel__mutex_holder(void *object, size_t number);

/* Lock it for the current coroutine of `me`, neither a deadline nor a cancel
   notwithstanding.  Suspends. */
void cel__mutex_lock_firmly(struct cel_mutex *mutex, struct cel__worker *me);

#endif
