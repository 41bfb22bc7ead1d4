/* SPDX-License-Identifier: MIT */
/*
 * The list of all workers of the process, for those who look from outside:
 * dumps, signals, the watchdog.
 *
 * A worker's coroutines are its thread's, so a dump is a message to each
 * worker, which prints its own.  The list is a fixed array of pointers:
 * a signal handler walks over it, too.
 *
 * Threads: opened, closing and forked by the worker's; the rest by any.
 *
 * Tests: unit/test_see.c
 */
#ifndef CEL_SEE_H
#define CEL_SEE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/inbox.h"

struct cel__worker;

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
};

/* `worker` is open, or about to close: it answers no more. */
void cel__see_opened(struct cel__worker *worker);
void cel__see_closing(struct cel__worker *worker);

/* This is the child of a fork, and `worker` the only one that came along. */
void cel__see_forked(struct cel__worker *worker);

/*
 * Call fn(worker, arg) for each worker, which stays open meanwhile; as long
 * as `fn` returns 0.  It must not wait for anything.  Returns what the last
 * call did.  Also in a signal handler.
 */
int cel__see_each(int (*fn)(struct cel__worker *worker, void *arg), void *arg);

#endif
