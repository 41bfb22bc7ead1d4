/* SPDX-License-Identifier: MIT */
/*
 * What is behind a cel_coro and a cel_run(); the rest is celadon/run.h.
 *
 * Threads: the run's; where it has several workers, the worker's whose run or
 * coroutine it is, unless said otherwise.
 *
 * Tests: unit/test_run.c, unit/test_gen.c
 */
#ifndef CEL_RUN_H
#define CEL_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/slab.h"
#include "celadon/run.h"
#include "coro/coro.h"

struct cel__spread;
struct cel__team;

/*
 * A coroutine of the C face.  It is given back to its slab when the last who
 * needs it lets go: its stack, its handle, those who join it.
 *
 * Who joins it, and who has references to it, is its home's business: that of
 * the run from whose slab it is, wherever it runs.  So nothing of that needs a
 * lock.  Where it ends elsewhere a message tells its home, and who joins it
 * from elsewhere asks there, by a message too (see sched/join.h).
 *
 * Invariants: refs == 0 <=> it is given back; handle => refs > 0.
 */
struct cel_coro {
    struct cel__coro coro; /* first: a cel__coro of a run is one of these */
    struct cel__run *home; /* from whose slab it is; never changes */
    atomic_uint nasked;    /* messages about it on their way to its home */
    uint32_t refs;         /* one for the stack, one for the handle, one
                                 for each joiner; its home's */
    bool handle;           /* somebody holds it, from cel_go(); its home's
                                 from when it has ended */
    bool is_gen;           /* it is the head of a struct cel_gen */
    bool is_root;          /* it only stands for worker->root */
    atomic_bool ended;     /* fn has returned; written at its home */
    bool away;             /* it has ended elsewhere; its home's */
    bool told;             /* it has told its home so; its worker's */
    bool unstacked;        /* it ended elsewhere and has no stack; likewise */
    atomic_bool halfway;   /* and one of the two needs it no more */
    struct cel__locals *locals; /* values of its own, and what it has
                                 deferred; or NULL */
    struct cel_group *group;    /* whose member it is, or NULL */

    /* From here on nothing is read before it is set; see clean(). */
    union {
        void (*fn)(void *arg);
        int (*member_fn)(void *arg); /* where group != NULL */
    };
    union {
        void *arg;  /* what fn gets */
        int result; /* a member's, from when it has begun */
    };
    /* What ends it, when it has returned or called cel_exit(), in place of
       cel__run_end(); returns who goes on, as cel__coro.entry does.  NULL:
       cel__run_end() and whoever is next. */
    struct cel__coro *(*end)(struct cel_coro *self);
    struct cel__link joiners; /* waits of those who join */
    union {
        struct cel__link member;  /* in the group's, guarded by its latch */
        struct cel__message last; /* of one with a handle, and so no member:
                                     tells its home that it has ended */
    };
};

/* A larger one cost 2 ns a start and join. */
CEL__STATIC_ASSERT(CEL__ASAN || CEL__TSAN || sizeof(void *) != 8 ||
                       sizeof(struct cel_coro) <= 256,
                   "a coroutine's block is four cache lines");

/* What worker->run is, where cel_run() opened the worker. */
struct cel__run {
    struct cel__worker *worker;
    struct cel__team *team; /* where it is one of several workers, see
                               sched/team.h; or NULL */
    struct cel__slab coros; /* struct cel_coro */
    struct cel__slab gens;  /* struct cel_gen */
    struct cel_coro root;   /* the handle of worker->root, which it is not */
    size_t nunstarted;      /* generators that nobody has asked yet */
    bool ending;            /* the root waits for the others to end */
    bool embedded;          /* it is the head of embed.c's, not of cel_run() */

    /* Where it is one of several workers. */
    unsigned index;             /* which one */
    bool barriers;              /* others' serve, see cel__latch_may_bias() */
    struct cel__message word;   /* what worker 0 has to say */
    bool token;                 /* it has one of the team's */
    bool over;                  /* no worker has any coroutine */
    struct cel__spread *spread; /* what has not begun yet */
};

/*
 * Copy what `given`, or NULL, has of the options that are known here, with
 * the number of workers it stands for.  Returns 0, or -EINVAL (it has others,
 * or no such number of workers).
 */
int cel__options_read(cel_options *options, const cel_options *given);

/*
 * Let the calling thread run coroutines: what cel_run() does before it calls.
 * `run` is zeroed; `backend` NULL: as `given` says.  Returns as cel_run(); on
 * error nothing is held.
 */
int cel__run_open(struct cel__run *run, const cel_options *given,
                  const char *backend);

/* What it does after; suspends until all coroutines have ended, those of the
   other workers too where it is worker 0.  By the root. */
void cel__run_close(struct cel__run *run);

/* The calling thread's run, or NULL. */
struct cel__run *cel__run_current(void);

/*
 * Set up `coro`, zeroed and of a slab of `run`, with one reference, that of
 * its stack, which is of `pool`, and without starting it.  It calls `entry`,
 * which returns what cel__run_leave() does; that calls `end`, which ends with
 * cel__run_end(), or where that is NULL just this.
 * Returns 0 or -ENOMEM; on error nothing is held.
 */
int cel__run_make(struct cel__run *run, struct cel_coro *coro,
                  struct cel__stackpool *pool,
                  struct cel__coro *(*entry)(struct cel__coro *),
                  struct cel__coro *(*end)(struct cel_coro *));

/* cel_coro.coro.release: the stack of `coro` is free; or what was still on
   its way to it has come.  At its home, and elsewhere. */
void cel__run_release(struct cel__coro *coro);
void cel__run_release_away(struct cel__coro *coro);

/* As cel__run_make(), of a block taken from the slab of `run`; NULL where
   memory is short. */
struct cel_coro *cel__run_new(struct cel__run *run,
                              struct cel__coro *(*entry)(struct cel__coro *),
                              struct cel__coro *(*end)(struct cel_coro *));

/* The same without a worker yet: that one calls cel__coro_init(). */
struct cel_coro *cel__run_new_elsewhere(
    struct cel__run *run, struct cel__coro *(*entry)(struct cel__coro *),
    struct cel__coro *(*end)(struct cel_coro *));

/*
 * The function of `coro`, the current one, has returned, or will not: call
 * what it has deferred, destroy its values, end it.  Suspends as those do.
 * Returns who goes on.
 */
struct cel__coro *cel__run_leave(struct cel_coro *coro);

/* Release the memory of the coroutines of `run`, which is closed, as all its
   fellows are. */
void cel__run_fini(struct cel__run *run);

/* Let go of one reference; the last gives `coro` back to its slab.  At its
   home. */
void cel__run_unref(struct cel_coro *coro);

/* Whether `coro` has ended.  Acquire: and so has all that it did. */
static inline bool
cel__run_ended(const struct cel_coro *coro)
{
    return atomic_load_explicit(&coro->ended, memory_order_acquire);
}

/* `coro`, the current one, is about to end: tell those who wait for it. */
void cel__run_end(struct cel_coro *coro);

#endif
