/* SPDX-License-Identifier: MIT */
/*
 * Waiting in a queue that is guarded by a latch: the one way in which the
 * calls of src/sync suspend.
 *
 * Who waits appends its node under the latch, lets go of it and parks.  Who
 * ends the wait unlinks the node, hands over what was waited for and sends
 * the wake-up, all under the latch.  Who comes back, for whatever reason,
 * takes the latch before it looks: so a hand-over is complete or has not
 * begun, what was handed over counts even where a deadline or a cancel came
 * at the same time, and whoever woke it has left the object alone when the
 * waiter goes on, which may be to free it.
 *
 * Threads: any, but for waiting: in a coroutine.
 */
#ifndef CEL_QUEUE_H
#define CEL_QUEUE_H

#include "base/fault.h"
#include "base/list.h"
#include "celadon/base.h"
#include "sched/latch.h"
#include "sched/wait.h"
#include "sched/worker.h"
#include "see/awaited.h"

/* What an object begins with that coroutines wait for; a dump finds it so. */
struct cel__queue {
    struct cel__latch latch;  /* guards all of the object */
    struct cel__link waiters; /* struct cel__wait, the oldest first */
};

/* Make an object of `size` bytes that begins with a queue and is else zeroed,
   and leave its address at `out`, a pointer.  Returns 0 or -ENOMEM. */
int cel__queue_open(void *out, size_t size);

/* Nobody waits; NULL is harmless. */
void cel__queue_close(void *object);

/*
 * Wait in `queue`, at its back.  The caller holds `latch`, with which the
 * object begins, for a dump finds it so; on return it does not.
 *
 * Suspends.  Returns what cel__queue_finish() was told, or a negative errno
 * with the node taken out: -ETIMEDOUT, -ECANCELED, -EDEADLK, -ENOMEM, or
 * -EPERM (`me` is NULL: not in a coroutine).
 */
int cel__queue_wait_as(struct cel__wait *wait, struct cel__link *queue,
                       struct cel__latch *latch, struct cel__worker *me,
                       cel_time deadline, const struct cel__awaited *kind);

/* The same with a node of its own, in the one queue of an object. */
int cel__queue_wait(struct cel__queue *queue, struct cel__worker *me,
                    cel_time deadline, const struct cel__awaited *kind);

/* The same, and neither a deadline nor cancelling ends it. */
int cel__queue_wait_firmly(struct cel__queue *queue, struct cel__worker *me,
                           const struct cel__awaited *kind);

/* End `wait`; its latch is held. */
static inline void
cel__queue_finish(struct cel__wait *wait, int result, struct cel__worker *me)
{
    cel__list_remove(&wait->link);
    wait->done = true;
    wait->result = result;
    cel__wake_late(me, wait->coro);
}

/* The wait at the front of `queue`, or NULL. */
static inline struct cel__wait *
cel__queue_first(const struct cel__queue *queue)
{
    struct cel__link *link = cel__list_first(&queue->waiters);

    return link == NULL ? NULL : cel__container(link, struct cel__wait, link);
}

/* End the wait at the front of `queue`; returns whether there was one. */
static inline bool
cel__queue_pass(struct cel__queue *queue, int result, struct cel__worker *me)
{
    struct cel__wait *wait = cel__queue_first(queue);

    if (wait != NULL) {
        cel__queue_finish(wait, result, me);
    }
    return wait != NULL;
}

/*
 * Begin a call that may suspend and may as well not: a coroutine whose calls
 * never have to wait yields now and then.  Before, and not after: what such a
 * call brings is not kept from others over the yield.  Returns the calling
 * thread's worker, or NULL.
 */
CEL__HOT struct cel__worker *
cel__queue_charge(cel_time deadline)
{
    struct cel__worker *me = cel__worker();

    if (me != NULL && deadline > CEL_AT_ONCE &&
        (cel__unlikely(cel__worker_spent(me)) ||
         (CEL__HARD && cel__dice(4) == 0))) {
        (void)cel__yield(me);
    }
    return me;
}

/* Begin a call, and take `latch`; CEL_AT_ONCE: it does not suspend. */
CEL__HOT struct cel__worker *
cel__queue_enter(struct cel__latch *latch, cel_time deadline)
{
    struct cel__worker *me = cel__queue_charge(deadline);

    cel__latch_take(latch, me);
    return me;
}

#endif
