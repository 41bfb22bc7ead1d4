/* SPDX-License-Identifier: MIT */
/*
 * Condition variables.
 *
 * The node is in the queue before the mutex is unlocked, so a signal given
 * under the mutex is never missed; one that comes between the unlocking and
 * the parking has marked the node done, and its wake-up is on its way: from
 * another thread it is a message, taken in no earlier than at the park.
 *
 * Threads: see celadon/sync.h.
 *
 * Tests: unit/test_sync.c, unit/test_threads.c
 */
#include <stdbool.h>

#include "sync/mutex.h"

struct cel_cond {
    struct cel__queue queue;
};

static const struct cel__awaited awaited_cond = {.what = "a condition"};

int
cel_cond_open(cel_cond **out)
{
    return cel__queue_open(out, sizeof(**out));
}

void
cel_cond_close(cel_cond *cond)
{
    cel__queue_close(cond);
}

int
cel_cond_wait(cel_cond *cond, cel_mutex *mutex, cel_time deadline)
{
    struct cel__worker *me = cel__queue_enter(&cond->queue.latch, CEL_AT_ONCE);

    /* The mutex is had under the condition's latch: nobody takes the two in
       the other order.  It can't fail to be unlocked if it is the caller's,
       and if not nothing was done. */
    int code = cel_mutex_unlock(mutex);
    if (code < 0) {
        cel__latch_give(&cond->queue.latch, me);
        return code;
    }
    code = cel__queue_wait(&cond->queue, me, deadline, &awaited_cond);
    cel__mutex_lock_firmly(mutex, me);
    return code;
}

static void
wake(cel_cond *cond, bool all)
{
    struct cel__worker *me = cel__queue_enter(&cond->queue.latch, CEL_AT_ONCE);

    while (cel__queue_pass(&cond->queue, 0, me) && all) {}
    cel__latch_give(&cond->queue.latch, me);
}

void
cel_cond_signal(cel_cond *cond)
{
    wake(cond, false);
}

void
cel_cond_broadcast(cel_cond *cond)
{
    wake(cond, true);
}
