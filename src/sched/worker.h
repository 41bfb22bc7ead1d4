/* SPDX-License-Identifier: MIT */
/*
 * A worker: an OS thread that runs coroutines, and who runs next.
 *
 * Who must wait takes the next entry of the run queue, which has coroutines
 * and callbacks in the order they became ready, and switches straight to it;
 * if there is none it polls the backend on its own stack.
 *
 * I/O is looked at when the queue is empty, and else after CEL__SLICE has
 * passed, which is asked every few resumptions by the processor's counter;
 * so nobody starves and two coroutines that yield to each other pay nothing.
 *
 * A coroutine whose calls never have to wait yields every CEL__BUDGET calls.
 *
 * Threads: the owner's, but for cel__worker_post().
 *
 * Tests: unit/test_worker.c, unit/test_wait.c
 */
#ifndef CEL_WORKER_H
#define CEL_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/inbox.h"
#include "base/list.h"
#include "base/probe.h"
#include "base/ring.h"
#include "celadon/base.h"
#include "coro/coro.h"
#include "coro/stack.h"
#include "io/loop.h"
#include "see/see.h"

struct cel__run;

/* Calls that did not have to wait before a coroutine yields.  64: the talk's
   server makes 7 a connection; a spinning reader holds the others up for
   64 system calls, about 0.1 ms. */
#define CEL__BUDGET 64

/* How long ready coroutines may run between two looks at the backend. */
#define CEL__SLICE (100 * CEL_USEC)

/* Resumptions between two readings of the processor's counter (10 ns), and so
   the least between two looks at the backend: a greenlet of the talk's server
   runs for 40 us, so events wait for a millisecond at most there. */
#define CEL__CHECK_EVERY 32

/*
 * Something to run in the order of the run queue, on whatever stack happens
 * to schedule: it must not suspend.  It may name a coroutine to run at once
 * (PARKED, NEW, of this worker) by returning it; else NULL.
 */
struct cel__callback {
    struct cel__coro *(*fn)(struct cel__callback *callback);
    bool queued; /* in worker->ready */
};

/* A moment at which `fire` is called, from the poll; must not suspend. */
struct cel__timer {
    struct cel__heap_node node;
    void (*fire)(struct cel__timer *timer);
};

/*
 * What a layer above keeps for one worker: at the head of a structure of its
 * own, from cel__worker_annex() until close() is called.
 */
struct cel__annex {
    struct cel__link link; /* in worker->annexes */
    /* The worker ends: release it.  Coroutines have ended, the loop is open
       yet.  Also the name by which it is found. */
    void (*close)(struct cel__annex *annex);
    /* In the child of a fork, before the loop is armed again; may wake. */
    void (*forked)(struct cel__annex *annex);
};

/* What an embedder wants to be asked.  Any may be NULL. */
struct cel__hooks {
    /* Around a poll of worker->loop that may sleep: let go of and retake a
       global lock. */
    void (*before_sleep)(struct cel__loop *loop);
    void (*after_sleep)(struct cel__loop *loop);
    /* A poll was ended by a signal. */
    void (*signalled)(struct cel__worker *worker);
    /* Nothing is ready and nothing can become so.  Returns a coroutine to
       run (PARKED; its code is set), or NULL where another thread may still
       send a message: then it is asked again from time to time.  Without the
       hook the root's park returns -EDEADLK. */
    struct cel__coro *(*stuck)(struct cel__worker *worker);
    /* Nobody is ready and the poll would sleep, or, `over`, has slept.  May
       wake.  Returns whether it is only to look, and not to sleep. */
    bool (*lull)(struct cel__worker *worker, bool over);
    /* Nothing is ready: look for something, before the poll. */
    void (*idle)(struct cel__worker *worker);
    /* `stuck` need not be asked again: a message ends the sleep. */
    bool patient;
};

/*
 * What other threads may read of a worker's business.  Written by the owner;
 * relaxed all of them, for nothing hangs on them.
 */
struct cel__business {
    cel__count narrived; /* coroutines of others that have begun here */
    cel__count nstolen;  /* taken from others, whoever they then began at */
    atomic_ulong nready; /* in the run queue at the last look at I/O */
};

/* How a worker that looks for messages no more is woken. */
enum cel__sleep {
    CEL__AWAKE,   /* not at all */
    CEL__POLLING, /* by cel__loop_wake() */
    CEL__WAITING  /* at `asleep` itself, a futex: nothing else could end the
                     poll, which costs 0.4 us more to sleep in */
};

/*
 * Invariants: current->state == CEL__RUNNING; nalive counts the coroutines of
 * `all` that are not DEAD, the root included; asleep => the owner is in, or
 * about to enter, a poll that may sleep.
 */
struct cel__worker {
    struct cel__coro *current;
    struct cel__ring ready;   /* coroutines, and callbacks tagged by bit 0 */
    struct cel__coro *dead;   /* to be released by whoever runs next */
    struct cel__coro *left;   /* who switched here (sanitizers only) */
    int budget;               /* calls left before the current one yields */
    int check;                /* resumptions left before the counter is read */
    uint64_t polled;          /* counter at the last poll */
    uint64_t slice;           /* CEL__SLICE in ticks of the counter */
    uint64_t slept;           /* ticks that the last sleep took */
    cel__count nswitch;       /* switches so far */
    cel__count nturn;         /* turns of the loop */
    uint64_t nstarted;        /* coroutines made, the root among them */
    uint64_t npark;           /* parks, of those the firm ones too */
    uint64_t nwake;           /* coroutines made ready again, by whatever */
    uint64_t nfired;          /* timers */
    cel_time now;             /* the clock at the last poll */
    struct cel__heap timers;  /* struct cel__timer by deadline */
    int64_t nexpected;        /* events on their way from elsewhere (pool
                                    jobs, …), less the armed operations and
                                    timers that nobody needs to wait for */
    uint32_t random;          /* which case a select tries first */
    size_t nshared;           /* waits that another thread may end unasked */
    struct cel__loop loop;    /* descriptors and the backend */
    struct cel__inbox inbox;  /* from other threads */
    atomic_uint asleep;       /* enum cel__sleep: the inbox's senders must wake
                                 it, by what that says */
    atomic_uint senders;      /* threads inside cel__worker_post() */
    struct cel__worker *owed; /* who is to be woken yet; `senders` there
                                 counts us; or NULL */
    unsigned owed_sleep;      /* how that one sleeps */
    atomic_uint nlatched;     /* latches it is inside of, see sched/latch.h */
    struct cel__link latch_link; /* in the list of those forks wait for */
    struct cel__hooks hooks;
    void *embedder;               /* the hub of the Python face */
    struct cel__run *run;         /* the C face's, see sched/run.h; or NULL */
    struct cel__link annexes;     /* struct cel__annex */
    struct cel__coro root;        /* the thread's own stack */
    struct cel__link all;         /* every coroutine that has not ended */
    cel__count nalive;            /* coroutines of `all` that are not DEAD */
    uint64_t last_id;             /* of a coroutine; see worker.c */
    struct cel__stackpool stacks; /* for coroutines without a pool of theirs */
    unsigned forks;               /* cel__fork_count() when last looked */
    struct cel__business business;
    struct cel__see see; /* for being seen from outside */
};

/* The calling thread's worker, or NULL.  See the comment in worker.c before
   touching this: the only thread-local variable of the core. */
struct cel__worker *cel__worker(void);

/* What cel__worker_open() may be told; zeroes are the defaults. */
struct cel__worker_options {
    size_t stack_size;   /* 0: 256 KiB */
    size_t stack_tail;   /* 0: none */
    const char *backend; /* NULL: CELADON_BACKEND, else the best there is */
    struct cel__hooks hooks;
    void *embedder;
};

/*
 * Make the calling thread a worker; what runs now becomes its root coroutine.
 * Returns 0, -EALREADY (it is one), -ENOMEM, or what the backend fails with;
 * on error the thread is as it was.
 */
int cel__worker_open(struct cel__worker **out,
                     const struct cel__worker_options *options);

/*
 * End the calling thread's worker.  Called by the root.  Every other coroutine
 * must have ended.
 */
void cel__worker_close(struct cel__worker *worker);

/*
 * As cel__worker_close(), where coroutines are left that will not end: they
 * stay suspended for good, and the worker's memory with them.  Its descriptors
 * are closed.
 */
void cel__worker_abandon(struct cel__worker *worker);

/* Keep `annex`, whose functions are set, until the worker closes (not where
   it is abandoned). */
void cel__worker_annex(struct cel__worker *worker, struct cel__annex *annex);

/* The annex whose close() is `close`, or NULL. */
struct cel__annex *cel__worker_find_annex(const struct cel__worker *worker,
                                          void (*close)(struct cel__annex *));

/*
 * Set up `coro`, zeroed and then numbered memory of the embedder's, as a new
 * coroutine of `worker`, whose stack is of `pool`.  `entry` runs when it is
 * first resumed or woken.  When it returns, the coroutine has ended
 * and the one it names goes on (PARKED, READY or NEW, its park returns
 * CEL__RESUMED); with NULL, whoever is next.  `release` is called once it is
 * dead and its stack is free.
 * Returns 0 or -ENOMEM; on error nothing is held.
 */
int cel__coro_init(struct cel__coro *coro, struct cel__worker *worker,
                   struct cel__stackpool *pool,
                   struct cel__coro *(*entry)(struct cel__coro *),
                   void (*release)(struct cel__coro *));

/* The number of the next coroutine that `worker` makes. */
uint64_t cel__worker_next_id(struct cel__worker *worker);

/* What `coro`, which `worker`, the calling thread's, makes, has wherever it
   is to begin: a number, and no scope's deadline. */
static inline void
cel__coro_number(struct cel__coro *coro, struct cel__worker *worker)
{
    coro->id = cel__worker_next_id(worker);
    coro->bound = CEL_FOREVER;
}

/* Undo cel__coro_init() of one that never ran and is in no queue. */
void cel__coro_discard(struct cel__coro *coro);

/* Release worker->dead: its stack and its block. */
void cel__coro_reap(struct cel__worker *worker);

/* Put a NEW coroutine into the run queue, at the back or ahead of all. */
static inline void
cel__coro_start_as(struct cel__coro *coro, bool first)
{
    cel__assert(coro->state == CEL__NEW);
    CEL__PROBE1(spawn, coro);
    coro->state = CEL__READY;
    (first ? cel__ring_put_first : cel__ring_put)(&coro->worker->ready, coro);
}

static inline void
cel__coro_start(struct cel__coro *coro)
{
    cel__coro_start_as(coro, false);
}

/*
 * Room for `callback` in the run queue, for as long as it may be queued.
 * Returns 0 or -ENOMEM.
 */
int cel__callback_init(struct cel__worker *worker,
                       struct cel__callback *callback,
                       struct cel__coro *(*fn)(struct cel__callback *));
void cel__callback_fini(struct cel__worker *worker,
                        struct cel__callback *callback);

/* Queue it; harmless where it is queued already. */
void cel__callback_queue(struct cel__worker *worker,
                         struct cel__callback *callback);

/* The same ahead of all others, where it is not queued. */
void cel__callback_queue_first(struct cel__worker *worker,
                               struct cel__callback *callback);

/* Returns 0 or -ENOMEM.  A timer in the past fires at the next poll, after
   those that are due already; also one started by another's `fire`. */
int cel__timer_start(struct cel__worker *worker, struct cel__timer *timer,
                     cel_time when);
void cel__timer_stop(struct cel__worker *worker, struct cel__timer *timer);

/*
 * One turn of the loop: take messages, poll (sleeping only where no coroutine
 * is ready), fire timers.  Does not suspend.  Returns a coroutine that must
 * run next, out of the order of the run queue, or NULL.
 */
struct cel__coro *cel__worker_turn(struct cel__worker *worker);

/* Run message->fn(message) on `worker`, soon.  Any thread; `worker` must be
   open when this begins, and is not touched after cel__worker_close(). */
void cel__worker_post(struct cel__worker *worker,
                      struct cel__message *message);

/* The same without haste: a loop that sleeps goes on sleeping. */
void cel__worker_post_quietly(struct cel__worker *worker,
                              struct cel__message *message);

/*
 * The same in two steps: the loop of `worker` is woken, if it sleeps, when the
 * caller's worker `me` settles; so a spin lock may be let go of in between.
 */
void cel__worker_post_late(struct cel__worker *me, struct cel__worker *worker,
                           struct cel__message *message);
void cel__worker_settle(struct cel__worker *me);

/* One more call that did not have to wait; whether it is time to yield. */
static inline bool
cel__worker_spent(struct cel__worker *worker)
{
    return --worker->budget <= 0;
}

#endif
