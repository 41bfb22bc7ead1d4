/* SPDX-License-Identifier: MIT */
/*
 * Queues of waiting greenlets: what every synchronisation type is made of.
 *
 * Nothing is handed to a waiter: it is woken and asks again.  Somebody who
 * runs meanwhile may come first; then the waiter goes back to the place it
 * had, by its turn, so that waiters among themselves stay first come first
 * served.  One that is killed after it was woken wakes the next instead.
 *
 * After a fork the child's queues may hold waiters of threads that it does
 * not have; they are taken out before anybody is woken.
 *
 * Threads: under the guard (guard.h) of the object that it belongs to; waiters
 * of several hubs may stand in one queue.
 *
 * Tests: tests/python/test_semaphore.py, test_lock.py, test_queue.py
 */
#ifndef CELEXT_WAITQ_H
#define CELEXT_WAITQ_H

#include "ext/hub.h"

/* Invariant: waits is sorted by turn. */
struct waitq {
    struct cel__link waits; /* the wait.link of struct waiter */
    uint64_t turns;         /* how many have come so far */
    unsigned forks;         /* cel__fork_count() when the first one came */
};

/* Invariant: wait.done => it is in no queue. */
struct waiter {
    struct cel__wait wait;
    uint64_t turn; /* its place among the others; 0: it has none yet */
};

static inline void
waitq_init(struct waitq *queue)
{
    cel__list_init(&queue->waits);
    queue->turns = 0;
    queue->forks = 0;
}

static inline bool
waitq_empty(const struct waitq *queue)
{
    return cel__list_empty(&queue->waits);
}

/*
 * The longest waiting of this process, or NULL.  Borrowed from whoever waits:
 * good until something suspends.
 */
struct waiter *waitq_first(struct waitq *queue);

/* Wake the longest waiting, or all.  Neither suspends nor runs Python. */
void waitq_wake_first(struct waitq *queue);
void waitq_wake_everybody(struct waitq *queue);

static inline void
waitq_wake(struct waitq *queue)
{
    if (cel__unlikely(!waitq_empty(queue))) {
        waitq_wake_first(queue);
    }
}

static inline void
waitq_wake_all(struct waitq *queue)
{
    if (cel__unlikely(!waitq_empty(queue))) {
        waitq_wake_everybody(queue);
    }
}

/* Put `me`, whose turn the caller has set to 0 before the first time, in the
   queue: at the end, or back where it was. */
void waitq_enter(struct waitq *queue, struct waiter *me, struct hub *hub);

/*
 * Wait to be woken once.
 *
 * Suspends.  Returns 1 (woken), 0 (`deadline` passed), or -1 with an
 * exception; was it woken too, me->wait.done says so.
 */
int waitq_wait(struct waitq *queue, struct waiter *me, struct hub *hub,
               cel_time deadline, const char *what);

/* As below, where it was asked and not ready. */
int waitq_wait_until(struct waitq *queue, int (*ready)(PyObject *thing),
                     PyObject *thing, cel_time deadline, const char *what);

/*
 * Wait until `ready(thing)`, which is asked first; `what` names the wait.
 * CEL_AT_ONCE does not wait, but lets others run if it is time and asks again.
 *
 * `ready` returns 1, 0, or -1 with an exception.  Suspends.  Returns 1 where
 * it is ready: no other greenlet of this thread has run since.  Returns 0
 * (`deadline` passed) or -1 with an exception; where it is ready then, the
 * next waiter has been woken.
 */
static inline int
waitq_wait_for(struct waitq *queue, int (*ready)(PyObject *thing),
               PyObject *thing, cel_time deadline, const char *what)
{
    int is_ready = ready(thing);

    return cel__likely(is_ready != 0)
               ? is_ready
               : waitq_wait_until(queue, ready, thing, deadline, what);
}

/*
 * For a call that does not wait, for it must not or need not: let others run
 * if it is time, so that a loop round such calls leaves them something.
 * May suspend.  Returns 0, or -1 with an exception.
 */
int waitq_spin(void);

/* After a fork: forget the waiters of threads that are gone. */
void waitq_forget(struct waitq *queue);

#endif
