/* SPDX-License-Identifier: MIT */
/*
 * Mutexes: who unlocks makes the next one the holder before it has run.
 *
 * Threads: see celadon/sync.h.
 *
 * Tests: unit/test_sync.c, unit/test_threads.c
 */
#include "sync/mutex.h"

#include <errno.h>

/* The latch keeps it from being handed over meanwhile. */
const struct cel__coro *
cel__mutex_holder(void *object, size_t number)
{
    struct cel_mutex *mutex = object;
    struct cel__worker *me = cel__worker();

    cel__latch_take(&mutex->queue.latch, me);
    const struct cel__coro *coro = mutex->holder;
    cel__latch_give(&mutex->queue.latch, me);
    return number == 0 ? coro : NULL;
}

static const struct cel__awaited awaited_mutex = {
    .what = "a mutex", .holder = cel__mutex_holder, .relation = "held by"};

int
cel_mutex_open(cel_mutex **out)
{
    return cel__queue_open(out, sizeof(**out));
}

void
cel_mutex_close(cel_mutex *mutex)
{
    cel__queue_close(mutex);
}

int
cel_mutex_lock(cel_mutex *mutex, cel_time deadline)
{
    struct cel__worker *me = cel__worker();
    struct cel__wait wait;

    if (me == NULL) {
        return -EPERM;
    }
    cel__queue_charge(me, deadline);
    cel__latch_take(&mutex->queue.latch, me);
    if (cel__likely(mutex->holder == NULL)) {
        mutex->holder = me->current;
        cel__latch_give(&mutex->queue.latch, me);
        return 0;
    }
    if (mutex->holder == me->current) {
        cel__latch_give(&mutex->queue.latch, me);
        return -EDEADLK;
    }
    return cel__queue_wait(&mutex->queue.waiters, &wait, &mutex->queue.latch,
                           me, deadline, &awaited_mutex);
}

void
cel__mutex_lock_firmly(struct cel_mutex *mutex, struct cel__worker *me)
{
    struct cel__wait wait;

    cel__latch_take(&mutex->queue.latch, me);
    if (mutex->holder == NULL) {
        mutex->holder = me->current;
        cel__latch_give(&mutex->queue.latch, me);
        return;
    }
    (void)cel__queue_wait_firmly(&mutex->queue.waiters, &wait,
                                 &mutex->queue.latch, me, &awaited_mutex);
}

int
cel_mutex_unlock(cel_mutex *mutex)
{
    struct cel__worker *me = cel__worker();

    cel__latch_take(&mutex->queue.latch, me);
    if (cel__unlikely(me == NULL || mutex->holder != me->current)) {
        cel__latch_give(&mutex->queue.latch, me);
        return -EPERM;
    }
    struct cel__wait *next = cel__queue_first(&mutex->queue.waiters);
    if (next == NULL) {
        mutex->holder = NULL;
    }
    else {
        mutex->holder = next->coro;
        cel__queue_finish(next, 0, me);
    }
    cel__latch_give(&mutex->queue.latch, me);
    return 0;
}
