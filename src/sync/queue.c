/* SPDX-License-Identifier: MIT */
/*
 * Waiting in a queue that is guarded by a latch.
 *
 * Threads: see queue.h.
 *
 * Tests: unit/test_sync.c, unit/test_chan.c, model/handover.pml
 */
#include "sync/queue.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "see/awaited.h"

int
cel__queue_open(void *out, size_t size)
{
    struct cel__queue *queue = cel__alloc_zeroed(1, size);

    if (queue == NULL) {
        return -ENOMEM;
    }
    cel__latch_init(&queue->latch);
    cel__list_init(&queue->waiters);
    *(struct cel__queue **)out = queue;
    return 0;
}

void
cel__queue_close(void *object)
{
    cel__assert(object == NULL ||
                cel__list_empty(&((struct cel__queue *)object)->waiters));
    free(object);
}

/* In place of a deadline; no moment that is waited for. */
#define FIRMLY CEL_AT_ONCE

/* Join the queue, let go of the latch and park until the wait is done or,
   unless it is to be firm (FIRMLY), has been ended otherwise. */
static int
await(struct cel__wait *wait, struct cel__link *queue,
      struct cel__latch *latch, struct cel__worker *me, cel_time deadline,
      const struct cel__awaited *kind)
{
    struct cel__awaiting note = {kind, latch};
    struct cel__coro *self = me->current;
    int code = 0;

    cel__wait_init(wait, self);
    cel__list_append(queue, &wait->link);
    cel__latch_give(latch, me);
    self->awaiting = &note;
    me->nshared++;
    for (;;) {
        if (deadline == FIRMLY) {
            cel__park_firmly(me, kind->what);
        }
        else {
            code = cel__park(me, deadline, kind->what);
        }
        cel__latch_take(latch, me);
        if (wait->done) {
            code = wait->result;
            break;
        }
        if (code < 0) {
            cel__list_remove(&wait->link);
            break;
        }
        cel__latch_give(latch, me);
    }
    cel__latch_give(latch, me);
    me->nshared--;
    self->awaiting = NULL;
    return code;
}

int
cel__queue_wait_as(struct cel__wait *wait, struct cel__link *queue,
                   struct cel__latch *latch, struct cel__worker *me,
                   cel_time deadline, const struct cel__awaited *kind)
{
    if (me == NULL || deadline <= CEL_AT_ONCE) {
        cel__latch_give(latch, me);
        return deadline <= CEL_AT_ONCE ? -ETIMEDOUT : -EPERM;
    }
    return await(wait, queue, latch, me, deadline, kind);
}

int
cel__queue_wait(struct cel__queue *queue, struct cel__worker *me,
                cel_time deadline, const struct cel__awaited *kind)
{
    struct cel__wait wait;

    return cel__queue_wait_as(&wait, &queue->waiters, &queue->latch, me,
                              deadline, kind);
}

int
cel__queue_wait_firmly(struct cel__queue *queue, struct cel__worker *me,
                       const struct cel__awaited *kind)
{
    struct cel__wait wait;

    return await(&wait, &queue->waiters, &queue->latch, me, FIRMLY, kind);
}
