/* SPDX-License-Identifier: MIT */
/*
 * Something to be done once.
 *
 * It begins as zeroes, so that it can stand in static memory: its latch is
 * biased towards nobody, its queue is made by who runs it.
 *
 * Threads: see celadon/sync.h.
 *
 * Tests: unit/test_sync.c
 */

#include "celadon/sync.h"
#include "sync/queue.h"

enum state {
    OPEN, /* zeroes */
    RUNNING,
    DONE
};

static const struct cel__awaited awaited_once = {
    .what = "something done once"};

/* What a waiter is told: it is its turn to try. */
#define YOUR_TURN 1

/* Invariant: somebody waits => RUNNING.  Guarded by the latch, but for
   looking whether it is DONE. */
struct once {
    struct cel__queue queue;
    atomic_int state; /* enum state */
};

CEL__STATIC_ASSERT(sizeof(struct once) <= sizeof(cel_once),
                   "a cel_once has room for it");

/* Call it and tell those who wait how it went. */
static int
run(struct once *self, int (*fn)(void *arg), void *arg)
{
    int code = fn(arg);
    struct cel__worker *me = cel__queue_enter(&self->queue.latch, CEL_AT_ONCE);

    if (code < 0) {
        if (!cel__queue_pass(&self->queue, YOUR_TURN, me)) {
            atomic_store_explicit(&self->state, OPEN, memory_order_relaxed);
        }
    }
    else {
        /* Release: who sees it sees what `fn` did; pairs with the acquire in
           cel_once_run(). */
        atomic_store_explicit(&self->state, DONE, memory_order_release);
        while (cel__queue_pass(&self->queue, 0, me)) {}
    }
    cel__latch_give(&self->queue.latch, me);
    return code < 0 ? code : 0;
}

int
cel_once_run(cel_once *once, int (*fn)(void *arg), void *arg,
             cel_time deadline)
{
    struct once *self = (struct once *)once;

    if (cel__likely(atomic_load_explicit(&self->state, memory_order_acquire) ==
                    DONE)) {
        return 0;
    }
    struct cel__worker *me = cel__queue_enter(&self->queue.latch, CEL_AT_ONCE);
    int state = atomic_load_explicit(&self->state, memory_order_relaxed);
    if (state == RUNNING) {
        int code = cel__queue_wait(&self->queue, me, deadline, &awaited_once);
        return code == YOUR_TURN ? run(self, fn, arg) : code;
    }
    if (state == OPEN) {
        cel__list_init(&self->queue.waiters);
        atomic_store_explicit(&self->state, RUNNING, memory_order_relaxed);
    }
    cel__latch_give(&self->queue.latch, me);
    return state == OPEN ? run(self, fn, arg) : 0;
}
