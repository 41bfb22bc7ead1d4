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

#include "see/awaited.h"

/* Let go of the latch and park until the wait is done or, unless it is to be
   firm, has been ended otherwise. */
static int
await(struct cel__wait *wait, struct cel__latch *latch, struct cel__worker *me,
      cel_time deadline, const struct cel__awaited *kind, bool firm)
{
    struct cel__awaiting note = {kind, latch};
    struct cel__coro *self = me->current;
    int code = 0;

    cel__latch_give(latch, me);
    self->awaiting = &note;
    me->nshared++;
    for (;;) {
        if (firm) {
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
cel__queue_wait(struct cel__link *queue, struct cel__wait *wait,
                struct cel__latch *latch, struct cel__worker *me,
                cel_time deadline, const struct cel__awaited *kind)
{
    if (me == NULL || deadline <= CEL_AT_ONCE) {
        cel__latch_give(latch, me);
        return deadline <= CEL_AT_ONCE ? -ETIMEDOUT : -EPERM;
    }
    cel__wait_init(wait, me->current);
    cel__list_append(queue, &wait->link);
    return await(wait, latch, me, deadline, kind, false);
}

int
cel__queue_wait_firmly(struct cel__link *queue, struct cel__wait *wait,
                       struct cel__latch *latch, struct cel__worker *me,
                       const struct cel__awaited *kind)
{
    cel__wait_init(wait, me->current);
    cel__list_append(queue, &wait->link);
    return await(wait, latch, me, CEL_FOREVER, kind, true);
}
