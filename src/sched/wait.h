/* SPDX-License-Identifier: MIT */
/*
 * Suspending and waking: the whole protocol.
 *
 * A coroutine that must wait puts a wait node, on its own stack, in the queue
 * of each thing it waits for, parks, and takes its nodes out again on every
 * path.  Whoever makes the thing true unlinks the node, notes a result in it
 * and wakes the coroutine.
 *
 *     struct cel__wait wait;
 *     cel__wait_init(&wait, worker->current);
 *     cel__list_append(&thing->waiters, &wait.link);
 *     while (!wait.done) {
 *         int code = cel__park(worker, deadline, "thing");
 *         if (code < 0) {
 *             cel__list_remove(&wait.link);
 *             return wait.done ? wait.result : code;
 *         }
 *     }
 *     return wait.result;
 *
 * cel__park() may return 0 although nothing happened (a wake-up from another
 * thread can come late), so the condition is asked again, as with condition
 * variables.  Nothing can be lost: a wake-up before the park makes the park
 * return at once only if it was for this coroutine while PARKED; therefore
 * nodes are armed and the condition is checked before parking, and no other
 * coroutine runs in between.
 *
 * Threads: cel__wake() from any; the rest on the coroutine's worker.
 */
#ifndef CEL_WAIT_H
#define CEL_WAIT_H

#include <stdbool.h>

#include "base/list.h"
#include "celadon/base.h"
#include "coro/coro.h"
#include "sched/worker.h"

/* Why a park ended, besides 0, -ETIMEDOUT, -ECANCELED and -EDEADLK: somebody
   resumed the coroutine by hand (cel__resume(), cel__interrupt()). */
#define CEL__RESUMED (-4096)

/* Invariant: done => link is in no queue. */
struct cel__wait {
    struct cel__link link;  /* in the queue of what is waited for */
    struct cel__coro *coro; /* who waits */
    bool done;              /* what was waited for has happened */
    int result;             /* what it came to; valid once done */
};

/* A park with a deadline, on the stack of the one who parks. */
struct cel__park {
    struct cel__timer timer;
    struct cel__coro *coro;
    cel_time since; /* when it began, about */
    cel_time until; /* the deadline */
};

static inline void
cel__wait_init(struct cel__wait *wait, struct cel__coro *coro)
{
    cel__list_init(&wait->link);
    wait->coro = coro;
    wait->done = false;
    wait->result = 0;
}

/*
 * Suspend the current coroutine of `worker` until it is woken, or `deadline`.
 *
 * Suspends.  `what` names the wait for dumps; a literal.  The worker runs
 * others meanwhile; where none is ready it polls on this very stack, so a
 * coroutine whose own event comes next returns without any switch.
 *
 * Returns 0 (woken, perhaps for nothing: ask again), -ETIMEDOUT, -ECANCELED
 * (cancelled, now or before), -EDEADLK (nothing is left that could wake it),
 * -ENOMEM (no room for the deadline) or CEL__RESUMED.
 */
CEL_NODISCARD int cel__park(struct cel__worker *worker, cel_time deadline,
                            const char *what);

/*
 * As cel__park() without a deadline, and neither cancelling nor interrupting
 * ends it: for a buffer that somebody else still writes to.
 */
void cel__park_firmly(struct cel__worker *worker, const char *what);

/*
 * Let the current coroutine go to the back of the run queue.
 * Suspends.  Returns 0 or CEL__RESUMED; a cancelled coroutine too yields.
 */
int cel__yield(struct cel__worker *worker);

/*
 * Make a parked coroutine ready; of any other it changes nothing.
 * Does not suspend.  Any thread, as long as `coro` is alive: from another
 * thread it is a message, and arrives when the worker next looks.
 */
void cel__wake(struct cel__coro *coro);

/*
 * As cel__wake(), under a latch (see sched/latch.h).  `me` is the calling
 * thread's worker, or NULL where it has none; if not, and the coroutine is of
 * another, that one's loop is woken by cel__worker_settle(): a system call
 * under the latch would let the woken one spin.
 */
void cel__wake_late(struct cel__worker *me, struct cel__coro *coro);

/*
 * Cancel `coro`: its park, if it is parked and not firmly, and every later one
 * returns -ECANCELED.  Does not suspend.  Any thread, as long as `coro` is
 * alive: from another one it is a message, as a wake-up is.
 */
void cel__cancel(struct cel__coro *coro);

/* The same on its worker.  Returns whether a park was ended: where `coro` is
   shielded it is cancelled later. */
bool cel__cancel_here(struct cel__coro *coro);

/* The same under a latch, as cel__wake_late(). */
void cel__cancel_late(struct cel__worker *me, struct cel__coro *coro);

/*
 * As cel__wake(), but ahead of all that are ready: for who takes connections.
 * Those who come while the kernel's queue is full try again after a second,
 * so their turn must not wait for the service of all that came before.
 * The coroutine's worker only.
 */
void cel__wake_first(struct cel__coro *coro);

/* Note the result of `wait`, unlink it and wake the coroutine. */
static inline void
cel__wait_finish(struct cel__wait *wait, int result)
{
    cel__list_remove(&wait->link);
    wait->done = true;
    wait->result = result;
    cel__wake(wait->coro);
}

/*
 * Let a parked coroutine's park return `code`, in its turn.
 * Does not suspend.  Its worker only.  Returns false, and changes nothing,
 * where it is not parked (or parked firmly).
 */
bool cel__interrupt(struct cel__coro *coro, int code);

/*
 * Switch to `target` now, whatever it waits for: its park or yield returns
 * CEL__RESUMED; a new one starts.  The caller is parked until somebody
 * resumes or wakes it.
 *
 * Suspends.  `target` must be NEW, READY or PARKED and of this worker.
 * Returns as cel__park() does: 0 (woken) or CEL__RESUMED.
 */
int cel__resume(struct cel__worker *worker, struct cel__coro *target);

/*
 * End the current coroutine here, however deep in calls it is: as if its
 * entry had returned `heir`.  Does not return.
 */
_Noreturn void cel__exit(struct cel__worker *worker, struct cel__coro *heir);

/* What a coroutine in cel__resume() waits for (coro->waits_for). */
extern const char cel__wait_by_hand[];

#endif
