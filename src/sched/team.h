/* SPDX-License-Identifier: MIT */
/*
 * The workers of one cel_run(): starting them, and starting coroutines in
 * others than one's own.
 *
 * Each worker has a thread, a loop and a slab of coroutines; nothing of that
 * is shared.  A coroutine that is to begin elsewhere is made here, in a block
 * of our own slab, and sent as a message; there it takes a place in the run
 * queue and a stack, and stays for life.  At its end the block goes back to
 * the slab it came from.  Who joins it waits at its latch, as at any lock.
 * One that may begin anywhere lies at its maker's until a worker takes it (see
 * spread.h).
 *
 * The end is known by tokens.  Each worker has one, and each coroutine that
 * is on its way.  When the run is ending, a worker without coroutines, begun
 * or not, gives its own away; one that arrives there brings it another.  Who
 * gives the last one away knows that nothing runs any more that could make
 * anything run, and tells all.
 *
 * A child after fork has but one of the threads.  Its worker goes on alone:
 * nothing can be started elsewhere, and the run ends without the others.
 *
 * Threads: each worker's own, but for what is atomic.
 *
 * Tests: unit/test_workers.c, model/tokens.pml
 */
#ifndef CEL_TEAM_H
#define CEL_TEAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "sched/run.h"
#include "sched/spread.h"

/* Instead of a worker's number: whichever comes to it first. */
#define CEL__ANYWHERE (~0U)

/* One of the workers 1 … n - 1. */
struct cel__mate {
    _Alignas(64) struct cel__run run; /* not in a line with another's */
    pthread_t thread;
};

/* Invariants: tokens == the workers with `token` + coroutines on their way;
   it is 0 only when the run is over. */
struct cel__team {
    size_t n;                    /* workers */
    struct cel__run **runs;      /* of each; the first is the caller's */
    struct cel__mate *mates;     /* the others */
    struct cel__spread *spreads; /* of each */
    struct cel__hunt hunt;
    size_t nthreads;     /* mates whose thread was started */
    cel_options options; /* each worker's */
    unsigned forks;      /* cel__fork_count() when it began */
    atomic_size_t tokens;
    pthread_mutex_t lock;    /* guards what follows */
    pthread_cond_t reported; /* nreported has changed */
    size_t nreported;        /* mates that have opened their worker, or not */
    int error;               /* of the first that has not, or 0 */
};

/*
 * Start the other workers of `run`, which is open, by `options`.  Returns 0,
 * -ENOMEM, -EAGAIN (no threads), or what opening a worker fails with.  In any
 * case the run ends as it would have, by cel__run_close().
 */
int cel__team_open(struct cel__run *run, const cel_options *options);

/* Tell the other workers that the run is ending.  By worker 0. */
void cel__team_end(struct cel__team *team);

/* Whether `run`, which is ending and has no coroutine, may close its worker;
   else its root parks and asks again. */
bool cel__team_is_over(struct cel__run *run);

/* Wait for the threads and release all.  By worker 0, closed itself.  NULL is
   allowed. */
void cel__team_close(struct cel__team *team);

/* Whether all its threads are there: false in a child after fork. */
bool cel__team_is_whole(const struct cel__team *team);

/* CEL__ANYWHERE, or the number of `run` where there are no others. */
unsigned cel__team_anywhere(const struct cel__run *run);

/*
 * As cel__run_new(), of a coroutine that is to begin at worker `index` of the
 * run's team, or anywhere; cel__team_start() lets it.  Until then
 * cel__team_discard() may undo it.  Returns 0, -ENOMEM, or -ESRCH (that worker
 * is gone).
 */
int cel__team_new(struct cel__run *run, unsigned index, struct cel_coro **out,
                  struct cel__coro *(*entry)(struct cel__coro *),
                  struct cel__coro *(*end)(struct cel_coro *));
void cel__team_start(struct cel__run *run, struct cel_coro *coro);
void cel__team_discard(struct cel__run *run, struct cel_coro *coro);

#endif
