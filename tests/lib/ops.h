/* SPDX-License-Identifier: MIT */
/*
 * Operations for tests of the loop alone, without coroutines.
 *
 * Threads: any.
 */
#ifndef CEL_TEST_OPS_H
#define CEL_TEST_OPS_H

#include <string.h>

#include "io/loop.h"
#include "tap.h"

/* An operation with room for what it moves. */
struct job {
    struct cel__op op;
    int ndone; /* calls of done() */
    int order; /* its place among those that are done */
    char bytes[64];
};

static int njobs_done;

static inline void
job_done(struct cel__op *op)
{
    struct job *job = cel__container(op, struct job, op);

    CHECK_EQ(op->state, CEL__OP_IDLE);
    CHECK(cel__list_empty(&op->link));
    job->ndone++;
    job->order = ++njobs_done;
}

static inline void
job_init(struct job *job, enum cel__op_code code, int fd)
{
    memset(job, 0, sizeof(*job));
    job->op.code = (uint8_t)code;
    job->op.fd = fd;
    job->op.done = job_done;
    if (code != CEL__OP_ACCEPT && code != CEL__OP_CONNECT) {
        job->op.buf = job->bytes;
        job->op.len = sizeof(job->bytes);
    }
}

/* Submit a job that reads up to `len` bytes, and must wait. */
static inline void
job_wait_recv(struct cel__loop *loop, struct job *job, int fd, size_t len)
{
    job_init(job, CEL__OP_RECV, fd);
    job->op.len = len;
    CHECK_EQ(cel__loop_submit(loop, &job->op), 0);
    CHECK_EQ(job->op.state, CEL__OP_ARMED);
}

/* Submit a job that waits for `events`, which have not come yet. */
static inline void
job_wait_poll(struct cel__loop *loop, struct job *job, int fd, uint32_t events)
{
    job_init(job, CEL__OP_POLL, fd);
    job->op.events = events;
    CHECK_EQ(cel__loop_submit(loop, &job->op), 0);
    CHECK_EQ(job->op.state, CEL__OP_ARMED);
}

/* Run the loop until the job is done, a second at most. */
static inline void
job_finish(struct cel__loop *loop, struct job *job)
{
    cel_time limit = cel_after((cel_time)(tap_slow() * 1e9));

    while (job->ndone == 0) {
        CHECK_LT(cel_now(), limit);
        CHECK_EQ(cel__loop_poll(loop, 50 * CEL_MSEC), 0);
    }
    CHECK_EQ(job->ndone, 1);
}

/* Run the loop as long as anything happens at once. */
static inline void
settle(struct cel__loop *loop)
{
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(cel__loop_poll(loop, 0), 0);
    }
    CHECK_EQ(cel__loop_poll(loop, CEL_MSEC), 0);
}

/* Submit a receive of up to `len` bytes and run the loop until it ends. */
static inline int64_t
get(struct cel__loop *loop, struct job *job, int fd, size_t len)
{
    job_init(job, CEL__OP_RECV, fd);
    job->op.len = len;
    int err = cel__loop_submit(loop, &job->op);
    if (err < 0) {
        return err;
    }
    if (err == 0) {
        job_finish(loop, job);
    }
    return job->op.result;
}

#endif
