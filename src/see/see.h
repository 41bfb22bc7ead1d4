/* SPDX-License-Identifier: MIT */
/*
 * The list of all workers of the process, for those who look from outside:
 * dumps, signals, the watchdog.
 *
 * A worker's coroutines are its thread's, so a dump is a message to each
 * worker, which prints its own.  The list is a fixed array of pointers:
 * a signal handler walks over it, too.
 *
 * Threads: opened, closing and forked by the worker's; the rest by any.  The
 * child of a fork has an empty list, but for the worker of its thread.
 *
 * Tests: unit/test_see.c
 */
#ifndef CEL_SEE_H
#define CEL_SEE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/inbox.h"
#include "base/sys_thread.h"
#include "celadon/base.h"

struct cel__worker;

/* How a worker counts, by cel__sys_add(), what others read now and then. */
typedef _Atomic uint64_t cel__count;

static inline uint64_t
cel__count_read(const cel__count *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

/* What the watchdog has seen of a worker; owner: the watchdog. */
struct cel__watched {
    uint64_t steps; /* switches and turns */
    cel_time since; /* when they were first as many; 0: never looked at */
    cel_time again; /* before that it is not asked what it does */
    bool late;      /* there have been no more for the limit */
    bool told;      /* and somebody was told */
    bool named;     /* with the coroutine's name: that is all there is */
};

/* Workers that can be seen; those beyond them run unseen.  Two thousand
   threads are more than anybody has for coroutines, and 16 KiB. */
#define CEL__SEE_WORKERS 2048

/*
 * What a worker has for being seen.  Who turned `asked` from false owns the
 * fields after it, until the worker has printed and turns it back.
 */
struct cel__see {
    pid_t thread;                /* its number, as the system says */
    unsigned nstuck;             /* deadlocks reported; owner: worker */
    atomic_bool asked;           /* a dump is to be printed; any thread */
    bool owned;                  /* `fd` is closed after */
    int fd;                      /* where to print it */
    unsigned flags;              /* of cel_dump() */
    struct cel__message message; /* that asks for it */
    struct cel__watched watched;
};

/* The list; NULL where a worker has closed.  For see.c and debuggers alone. */
typedef _Atomic(struct cel__worker *) cel__see_place;
extern cel__see_place cel__see_workers[CEL__SEE_WORKERS];
extern atomic_size_t cel__see_nworkers;

/* Watch for forks; for who calls cel__see_each() with no worker open. */
void cel__see_prepare(void);

/* `worker` is open, or about to close: it answers no more. */
void cel__see_opened(struct cel__worker *worker);
void cel__see_closing(struct cel__worker *worker);

/* This is the child of a fork, `worker` has come along and heard all that was
   sent to it. */
void cel__see_forked(struct cel__worker *worker);

/*
 * Call fn(worker, arg) for each worker, which stays open meanwhile; as long
 * as `fn` returns 0.  It must not wait for anything.  Returns what the last
 * call did.  Also in a signal handler.
 */
int cel__see_each(int (*fn)(struct cel__worker *worker, void *arg), void *arg);

#endif
