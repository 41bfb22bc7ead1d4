/* SPDX-License-Identifier: MIT */
/*
 * The process's pool of threads for calls that block.
 *
 * A job is heap memory of whoever submits it.  It belongs to the pool from
 * cel__pool_submit() until exactly one of these has happened:
 *
 *     job->done(job)            on the worker: it has run (or, in the child
 *                               of a fork, never will: job->lost)
 *     cel__pool_withdraw(job)   returned true: it has not and will not run
 *     cel__pool_abandon(job)    returned true: job->drop(job) is called on
 *                               the pool's thread when it has run
 *
 * after which it is the submitter's (drop: the callee's) to free.
 *
 * run() may take locks, the interpreter's among them: none is held around it.
 *
 * Threads: as each function says.
 *
 * Tests: unit/test_pool.c
 */
#ifndef CEL_POOL_H
#define CEL_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/inbox.h"
#include "base/list.h"
#include "celadon/base.h"
#include "celadon/pool.h"

struct cel__worker;

enum cel__job_state {
    CEL__JOB_QUEUED,    /* waits for a thread */
    CEL__JOB_RUNNING,   /* a thread is in run() */
    CEL__JOB_ABANDONED, /* the same, and nobody waits for it */
    CEL__JOB_SENT       /* its message is on the way to the worker */
};

/*
 * The submitter sets run, done and drop; drop may be NULL where the job is
 * never abandoned.
 *
 * Invariants: QUEUED => link is in the pool's queue; RUNNING or ABANDONED =>
 * link is among the pool's running jobs.
 */
struct cel__job {
    void (*run)(struct cel__job *job);  /* on a thread of the pool */
    void (*done)(struct cel__job *job); /* on the worker; must not suspend */
    void (*drop)(struct cel__job *job); /* on a thread of the pool */
    struct cel__message message;        /* tells the worker */
    struct cel__link link;              /* see above; guarded by the lock */
    struct cel__worker *worker;         /* who is told */
    uint8_t state; /* enum cel__job_state; guarded by the lock */
    bool lost;     /* a fork came between; valid in done() */
};

/* The bound that CELADON_POOL_THREADS asks for; `text` may be NULL. */
unsigned cel__pool_bound(const char *text);

/*
 * Hand `job` to the pool; `worker` is the calling thread's.  Does not
 * suspend.  Returns 0, or -EAGAIN where no thread could be started; then the
 * job is still the caller's.
 */
int cel__pool_submit(struct cel__worker *worker, struct cel__job *job);

/* Take `job` back before it runs; on its worker, before done().  Does not
   suspend.  False: it has begun, and nothing is changed. */
bool cel__pool_withdraw(struct cel__job *job);

/* Let `job` run without telling anybody; on its worker, before done().  Does
   not suspend.  False: it has ended, and done() is to come; or it has not
   begun. */
bool cel__pool_abandon(struct cel__job *job);

#endif
