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
    struct cel__worker *me = cel__queue_enter(&mutex->queue.latch,
                                              CEL_AT_ONCE);
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
    struct cel__worker *me = cel__queue_enter(&mutex->queue.latch, deadline);
    int code = 0;

    if (cel__unlikely(me == NULL)) {
        code = -EPERM;
    }
    else if (cel__likely(mutex->holder == NULL)) {
        mutex->holder = me->current;
    }
    else if (mutex->holder == me->current) {
        code = -EDEADLK;
    }
    else {
        return cel__queue_wait(&mutex->queue, me, deadline, &awaited_mutex);
    }
    cel__latch_give(&mutex->queue.latch, me);
    return code;
}

void
cel__mutex_lock_firmly(struct cel_mutex *mutex, struct cel__worker *me)
{
    cel__latch_take(&mutex->queue.latch, me);
    if (mutex->holder != NULL) {
        (void)cel__queue_wait_firmly(&mutex->queue, me, &awaited_mutex);
        return;
    }
    mutex->holder = me->current;
    cel__latch_give(&mutex->queue.latch, me);
}

int
cel_mutex_unlock(cel_mutex *mutex)
{
    struct cel__worker *me = cel__queue_enter(&mutex->queue.latch,
                                              CEL_AT_ONCE);
    int code = -EPERM;

    if (cel__likely(me != NULL && mutex->holder == me->current)) {
        const struct cel__wait *next = cel__queue_first(&mutex->queue);
        mutex->holder = next == NULL ? NULL : next->coro;
        (void)cel__queue_pass(&mutex->queue, 0, me);
        code = 0;
    }
    cel__latch_give(&mutex->queue.latch, me);
    return code;
}
