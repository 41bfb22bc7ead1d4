/* SPDX-License-Identifier: MIT */
/*
 * What a coroutine is: a control block, later a stack, and a state.
 *
 * The control block is the embedder's memory (a slab's, never the stack's:
 * blocks on page-aligned stacks cost 34 ns a switch at 1000 coroutines
 * against 5), usually at the head of a larger structure of its own.  The
 * stack is taken when the coroutine first runs, so that a thousand short
 * coroutines started at once use one hot stack in turn.
 *
 * Who runs next is not known here (see sched/worker.h).
 *
 * Threads: a coroutine belongs to one worker for life; all fields are the
 * worker's except `remote` and `cancel`.  Until one that another thread made
 * has arrived at its worker, they are that thread's.  One that may begin
 * anywhere has no worker until it has begun.
 */
#ifndef CEL_CORO_H
#define CEL_CORO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/inbox.h"
#include "base/list.h"
#include "base/sanitize.h"
#include "celadon/base.h"
#include "coro/stack.h"

struct cel__awaiting;
struct cel__park;
struct cel__worker;

enum cel__coro_state {
    CEL__NEW,     /* never ran, in no queue */
    CEL__READY,   /* in the run queue */
    CEL__RUNNING, /* worker->current */
    CEL__PARKED,  /* suspended until somebody wakes or resumes it */
    CEL__DEAD,    /* finished */
    CEL__FORSAKEN /* suspended for good, see os/forsake.h */
};

/* What is on its way to a coroutine from other threads. */
enum cel__coro_remote {
    CEL__REMOTE_SENT = 1, /* `wake` is in the worker's inbox, or will be */
    CEL__REMOTE_LAST = 2  /* and releases the coroutine when it arrives */
};

/* Whether what would cancel a coroutine is kept from it, see scope.h. */
enum cel__coro_shield {
    CEL__SHIELD_UP = 1, /* it is, until the scope is left */
    CEL__SHIELD_HIT = 2 /* and there was something */
};

/*
 * Invariants: worker->current is the one RUNNING coroutine of its worker;
 * a READY one is in worker->ready exactly once, no other is in it;
 * stack.low != NULL => it has run, is not DEAD, and is not the root.
 */
struct cel__coro {
    /* What a switch touches, one cache line. */
    void *sp;                   /* saved stack pointer while not RUNNING */
    struct cel__worker *worker; /* whose it is; or NULL, see sched/spread.h */
    uint8_t state;              /* enum cel__coro_state */
    bool started;               /* it has run: it left CEL__NEW for good */
    bool cancelled;             /* sticky: every park ends at once */
    bool firm;                  /* parked firmly: only a wake ends it */
    int code;                   /* why the last park ended, see wait.h */
    struct cel__stack stack;    /* where it runs; low == NULL: not yet */
    cel_time bound;             /* every park ends by then */

    /* Cold; in an order that run.c knows. */
    /* What runs on the new stack; returns who goes on when it has ended. */
    struct cel__coro *(*entry)(struct cel__coro *coro);
    void (*release)(struct cel__coro *coro); /* after death, by who is next */
    struct cel__link all;                    /* in worker->all */
    union {
        cel_time since;               /* not timed: since about when */
        const struct cel__park *park; /* timed: see sched/wait.h */
    };
    struct cel__message wake;    /* wake-up from another thread */
    uint64_t id;                 /* unique in the process */
    struct cel__stackpool *pool; /* where the stack comes from */
    const char *name;            /* for people; may be NULL */
    const char *waits_for;       /* what it is parked on */
    /* More of what it is parked on, on its stack; or NULL. */
    const struct cel__awaiting *awaiting;
    atomic_uchar remote; /* enum cel__coro_remote; any thread */
    atomic_bool cancel;  /* `wake` is to cancel it as well; any thread */
    bool bounded;        /* a park was ended by `bound` */
    bool timed;          /* it is parked with a deadline */
    uint8_t shield;      /* enum cel__coro_shield */
    struct cel__sanitize sanitize;
};

/* Its worker, for who is not sure to be there.  Acquire: pairs with
   begin() in sched/spread.c. */
static inline struct cel__worker *
cel__coro_worker(const struct cel__coro *coro)
{
    return __atomic_load_n(&coro->worker, __ATOMIC_ACQUIRE);
}

#endif
