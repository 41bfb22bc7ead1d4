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

/* Let go of the latch and park until the wait is done or, unless it is to be
   firm, has been ended otherwise. */
static int
await(struct cel__wait *wait, struct cel__latch *latch, struct cel__worker *me,
      cel_time deadline, const char *what, bool firm)
{
    int code = 0;

    cel__latch_give(latch, me);
    me->nshared++;
    for (;;) {
        if (firm) {
            cel__park_firmly(me, what);
        }
        else {
            code = cel__park(me, deadline, what);
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
    return code;
}

int
cel__queue_wait(struct cel__link *queue, struct cel__wait *wait,
                struct cel__latch *latch, struct cel__worker *me,
                cel_time deadline, const char *what)
{
    if (me == NULL || deadline <= CEL_AT_ONCE) {
        cel__latch_give(latch, me);
        return deadline <= CEL_AT_ONCE ? -ETIMEDOUT : -EPERM;
    }
    cel__wait_init(wait, me->current);
    cel__list_append(queue, &wait->link);
    return await(wait, latch, me, deadline, what, false);
}

int
cel__queue_wait_firmly(struct cel__link *queue, struct cel__wait *wait,
                       struct cel__latch *latch, struct cel__worker *me,
                       const char *what)
{
    cel__wait_init(wait, me->current);
    cel__list_append(queue, &wait->link);
    return await(wait, latch, me, CEL_FOREVER, what, true);
}
