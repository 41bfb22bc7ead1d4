/* SPDX-License-Identifier: MIT */
/*
 * Coroutines that have not begun, and begin at whichever worker has time.
 *
 * cel_go_spread() only puts a coroutine down at its own worker: it has no
 * place in the run queue, no stack, and no worker.  A worker that would go to
 * sleep takes half of what it finds at another, and wakes the next.  Where a
 * coroutine begins it stays.
 *
 * Its own worker lets it begin when it has nothing else to do; a callback in
 * the run queue sees to that.  Of what has lain there for a millisecond half
 * begins in any case, as one entry of the run queue: all are busy.  It takes
 * no more at once than run in some 10 us: what it has taken can't be stolen.
 *
 * What lies there is a ring, the oldest first, of which all take: by one
 * compare-and-swap of its head for many, the worker too.  Nothing is held
 * meanwhile, so a fork finds it whole.  What it has no room for is in a list
 * of the worker's own, which refills the ring at one end and takes at the
 * other: so a tree grows in breadth until there is enough for all, and then in
 * depth, where the caches hold what it needs.
 *
 * Until a coroutine has begun coro->worker is NULL, and who cancels it only
 * notes that.  Beginning and cancelling each write one and read the other's;
 * but who begins it where it was made passes no barrier, for that he should
 * pay nothing: any other thread has him do so (cel__latch_barrier()).
 *
 * Threads: the worker's, unless said otherwise.
 *
 * Tests: unit/test_spread.c, model/steal.pml
 */
#ifndef CEL_SPREAD_H
#define CEL_SPREAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "sched/run.h"
#include "sched/worker.h"

/* Slots of a ring: what a worker can be robbed of while it does not suspend;
   four in hard builds, so that it is full at once. */
#define CEL__SPREAD_SLOTS ((size_t)(CEL__HARD ? 4 : 64))

/* Invariants: head <= tail <= head + CEL__SPREAD_SLOTS; something lies there
   => `turn` is in the run queue; what is in the list is younger than what is
   in the ring. */
struct cel__spread {
    _Alignas(64) atomic_size_t head; /* counts what was taken, by anybody */
    atomic_size_t tail;              /* what was put; owner: the worker */
    atomic_bool wanting; /* it looks for work, and sleeps; who clears it
                            wakes it */
    _Atomic(struct cel_coro *) slots[CEL__SPREAD_SLOTS];

    /* Its worker's only. */
    struct cel__link list; /* by coro.all */
    size_t nlist;
    struct cel__callback turn; /* lets them begin */
    size_t due;                /* so many begin in this turn */
    uint64_t since;            /* the processor's counter when something came
                                  to lie there, or when all were due; or 0 */
    uint64_t taken;            /* the counter when it last took some */
    uint64_t called;           /* the counter when it last woke a worker for
                                  one alone */
    unsigned batch;            /* how many it took then */
    bool lucky;                /* the last look found something */
    struct cel_coro *loot[CEL__SPREAD_SLOTS]; /* while it is stolen */

    /* Others' too; not in a line with what its worker writes often. */
    atomic_size_t seen;        /* `head` when one was seen to lie alone */
    _Atomic(uint64_t) seen_at; /* the counter then */
    atomic_uint nvain;         /* times it called, and nobody took any */
};

/* What the workers of a team share of it. */
struct cel__hunt {
    atomic_uint nwanting; /* workers with `wanting` */
    atomic_bool sent;     /* `message` is on its way: one at a time */
    struct cel__message message;
};

/* Of `run`, which has room for it and is of a team.  Returns 0 or -ENOMEM. */
int cel__spread_open(struct cel__run *run);

/* Put `coro` down, of cel__run_new_elsewhere(). */
void cel__spread_put(struct cel__run *run, struct cel_coro *coro);

/* Whether nothing lies at `run`, nor will begin there. */
bool cel__spread_is_empty(const struct cel__run *run);

/*
 * Whether `coro`, whose `cancel` was set before, has not begun: when it does,
 * that is seen.  Any thread; `me` is its worker, or NULL.
 */
bool cel__spread_holds(const struct cel__worker *me,
                       const struct cel__coro *coro);

#endif
