/* SPDX-License-Identifier: MIT */
/*
 * Coroutines inside a loop of somebody else's.
 *
 * The thread's own stack is the root coroutine, as in a run, but it is the
 * other loop that sleeps.  Where ours would have slept, the worker is marked
 * as asleep, so that messages wake our loop, which the other one sees by the
 * epoll's descriptor (io_uring's ring tells of itself there); and a turn looks
 * without sleeping, because something is in the run queue: a callback that
 * does nothing.
 *
 * Threads: see celadon/embed.h.
 *
 * Tests: unit/test_embed.c
 */
#include "celadon/embed.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/fork.h"
#include "sched/run.h"
#include "sched/wait.h"
#include "sched/worker.h"

struct embed {
    struct cel__run run; /* first */
    struct cel__callback look;
};

static struct cel__coro *
do_nothing(struct cel__callback *callback)
{
    (void)callback;
    return NULL;
}

/* The calling thread's, where it has opened one and its root calls; or
   NULL. */
static struct embed *
current(void)
{
    struct cel__run *run = cel__run_current();

    if (run == NULL || !run->embedded ||
        run->worker->current != &run->worker->root) {
        return NULL;
    }
    return (struct embed *)run;
}

/* The backend that is asked for: poll has nothing to wait for, and what has it
   is no worse. */
static const char *
choose(const cel_options *options)
{
    const char *name = options->backend != NULL ? options->backend
                                                : getenv("CELADON_BACKEND");

    return name != NULL && strcmp(name, "poll") == 0 ? "epoll" : name;
}

int
cel_embed_open(const cel_options *given)
{
    cel_options options;

    int err = cel__options_read(&options, given);
    if (err < 0) {
        return err;
    }
    struct embed *self = cel__alloc_zeroed(1, sizeof(*self));
    if (self == NULL) {
        return -ENOMEM;
    }
    err = cel__run_open(&self->run, &options, choose(&options));
    if (err < 0) {
        goto free_self;
    }
    err = cel__loop_embed(&self->run.worker->loop);
    if (err < 0) {
        goto close_run;
    }
    err = cel__callback_init(self->run.worker, &self->look, do_nothing);
    if (err < 0) {
        goto close_run;
    }
    self->run.embedded = true;
    return 0;

close_run:
    cel__run_close(&self->run);
free_self:
    free(self);
    return err;
}

int
cel_embed_fd(void)
{
    const struct embed *self = current();

    return self == NULL ? -EPERM : cel__loop_fd(&self->run.worker->loop);
}

cel_time
cel_embed_deadline(void)
{
    const struct embed *self = current();

    if (self == NULL) {
        return CEL_FOREVER;
    }
    struct cel__worker *worker = self->run.worker;
    if (cel__ring_count(&worker->ready) != 0 ||
        !cel__loop_hand_over(&worker->loop) ||
        (worker->hooks.lull != NULL && worker->hooks.lull(worker, false))) {
        return CEL_AT_ONCE;
    }
    /* In this order, as in cel__worker_turn(): see worker.c. */
    (void)atomic_exchange_explicit(&worker->asleep, CEL__POLLING,
                                   memory_order_seq_cst);
    if (!cel__inbox_empty(&worker->inbox)) {
        return CEL_AT_ONCE;
    }
    return cel__heap_least(&worker->timers);
}

int
cel_embed_turn(void)
{
    struct embed *self = current();

    if (self == NULL) {
        return -EPERM;
    }
    struct cel__worker *worker = self->run.worker;
    if (worker->hooks.lull != NULL) {
        (void)worker->hooks.lull(worker, true);
    }
    /* Where nothing is armed the loop would not look at all, and the message
       that woke the other one would do so for ever. */
    if (worker->loop.narmed == 0 && worker->forks == cel__fork_count()) {
        (void)worker->loop.backend->poll(&worker->loop, 0);
    }
    worker->now = cel__clock_now();
    cel__callback_queue(worker, &self->look);
    (void)cel__worker_turn(worker);
    (void)cel__yield(worker);
    return 0;
}

int
cel_embed_close(void)
{
    struct embed *self = current();

    if (self == NULL) {
        return -EPERM;
    }
    cel__callback_fini(self->run.worker, &self->look);
    cel__run_close(&self->run);
    free(self);
    return 0;
}
