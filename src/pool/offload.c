/* SPDX-License-Identifier: MIT */
/*
 * A blocking call of a coroutine, as a job of the pool.
 *
 * The job lives on the heap: where the caller leaves before the call has
 * ended it is the pool's, which frees it.
 *
 * Threads: see celadon/pool.h.
 *
 * Tests: unit/test_pool.c
 */
#include "pool/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "sched/wait.h"
#include "sched/worker.h"
#include "see/awaited.h"
#include "see/trace.h"

struct offload {
    struct cel__job job; /* first */
    int (*fn)(void *arg);
    void (*release)(void *arg); /* may be NULL: then it is never abandoned */
    void *arg;
    int result;
    struct cel__wait *wait; /* on the caller's stack, while it waits */
};

/* Whether the caller leaves a call that has begun, for that reason; another
   is its own affair, and then it waits for the end. */
static bool
leaves(int code)
{
    return code == -ETIMEDOUT || code == -ECANCELED;
}

static void
run(struct cel__job *job)
{
    struct offload *self = (struct offload *)job;

    self->result = self->fn(self->arg);
}

static void
done(struct cel__job *job)
{
    struct offload *self = (struct offload *)job;

    cel__wait_finish(self->wait, job->lost ? -ECANCELED : 0);
}

static void
drop(struct cel__job *job)
{
    struct offload *self = (struct offload *)job;

    self->release(self->arg);
    free(self);
}

/* For a dump: which function. */
static void
describe(const void *object, struct cel__text *text)
{
    const struct offload *self = object;
    const void *code;

    memcpy(&code, &self->fn, sizeof(code));
    cel__text_put(text, ": ");
    cel__trace_put_address(text, code);
}

static const struct cel__awaited awaited_call = {.what = "a call",
                                                 .describe = describe};

/*
 * Wait for the job's end.  Returns 0, or a negative errno: then it was not
 * called, and `*mine` tells whether it is still the caller's.
 */
static int
await(struct cel__worker *worker, struct offload *self, cel_time deadline,
      bool *mine)
{
    int code = 0;

    *mine = true;
    while (!self->wait->done) {
        if (code < 0) {
            /* It can't be taken back, and `arg` is the caller's. */
            cel__park_firmly(worker, "the end of an offloaded call");
            continue;
        }
        code = cel__park(worker, deadline, "an offloaded call");
        if (code == 0 || self->wait->done) {
            continue;
        }
        if (cel__pool_withdraw(&self->job)) {
            return code;
        }
        if (leaves(code) && self->release != NULL &&
            cel__pool_abandon(&self->job)) {
            *mine = false;
            return code;
        }
    }
    return self->wait->result;
}

int
cel_offload(int *result, int (*fn)(void *arg), void *arg,
            void (*release)(void *arg), cel_time deadline)
{
    struct cel__worker *worker = cel__worker();
    struct cel__wait wait;

    if (worker == NULL) {
        return -EPERM;
    }
    if (worker->current->cancelled) {
        if (release != NULL) {
            release(arg);
        }
        return -ECANCELED;
    }
    struct offload *self = cel__alloc_zeroed(1, sizeof(*self));
    if (self == NULL) {
        return -ENOMEM;
    }
    cel__wait_init(&wait, worker->current);
    self->job.run = run;
    self->job.done = done;
    self->job.drop = drop;
    self->fn = fn;
    self->arg = arg;
    self->release = release;
    self->wait = &wait;
    int err = cel__pool_submit(worker, &self->job);
    if (err < 0) {
        free(self);
        return err;
    }
    bool mine;
    struct cel__awaiting note = {&awaited_call, self};
    worker->current->awaiting = &note;
    err = await(worker, self, deadline, &mine);
    worker->current->awaiting = NULL;
    if (!mine) {
        return err;
    }
    if (err == 0 && result != NULL) {
        *result = self->result;
    }
    /* Withdrawn: nobody else will.  A lost one is left as it is. */
    if (leaves(err) && release != NULL && !self->job.lost) {
        release(arg);
    }
    free(self);
    return err;
}
