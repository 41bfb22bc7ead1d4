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
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "sync/mutex.h"

struct cel_cond {
    struct cel__latch latch;
    struct cel__link waiters; /* struct cel__wait, guarded by the latch */
};

static const struct cel__awaited awaited_cond = {.what = "a condition"};

int
cel_cond_open(cel_cond **out)
{
    struct cel_cond *cond = cel__alloc(sizeof(*cond));

    if (cond == NULL) {
        return -ENOMEM;
    }
    cel__latch_init(&cond->latch);
    cel__list_init(&cond->waiters);
    *out = cond;
    return 0;
}

void
cel_cond_close(cel_cond *cond)
{
    cel__assert(cond == NULL || cel__list_empty(&cond->waiters));
    free(cond);
}

int
cel_cond_wait(cel_cond *cond, cel_mutex *mutex, cel_time deadline)
{
    struct cel__worker *me = cel__worker();
    struct cel__wait wait;

    if (me == NULL) {
        return -EPERM;
    }
    /* The mutex is had under the condition's latch: nobody takes the two in
       the other order.  It can't fail to be unlocked if it is the caller's,
       and if not nothing was done. */
    cel__latch_take(&cond->latch, me);
    int code = cel_mutex_unlock(mutex);
    if (code < 0) {
        cel__latch_give(&cond->latch, me);
        return code;
    }
    code = cel__queue_wait(&cond->waiters, &wait, &cond->latch, me, deadline,
                           &awaited_cond);
    cel__mutex_lock_firmly(mutex, me);
    return code;
}

void
cel_cond_signal(cel_cond *cond)
{
    struct cel__worker *me = cel__worker();

    cel__latch_take(&cond->latch, me);
    struct cel__wait *wait = cel__queue_first(&cond->waiters);
    if (wait != NULL) {
        cel__queue_finish(wait, 0, me);
    }
    cel__latch_give(&cond->latch, me);
}

void
cel_cond_broadcast(cel_cond *cond)
{
    struct cel__worker *me = cel__worker();
    struct cel__wait *wait;

    cel__latch_take(&cond->latch, me);
    while ((wait = cel__queue_first(&cond->waiters)) != NULL) {
        cel__queue_finish(wait, 0, me);
    }
    cel__latch_give(&cond->latch, me);
}
