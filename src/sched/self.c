/* SPDX-License-Identifier: MIT */
/*
 * What a coroutine does with itself: yield, sleep, end.
 *
 * Threads: the coroutine's.
 *
 * Tests: unit/test_run.c
 */
#include <errno.h>

#include "celadon/local.h"
#include "sched/run.h"
#include "sched/wait.h"
#include "sched/worker.h"

int
cel_cancelled(void)
{
    struct cel__worker *worker = cel__worker();

    return worker != NULL && worker->current->cancelled;
}

int
cel_yield(void)
{
    struct cel__worker *worker = cel__worker();

    if (worker == NULL) {
        return -EPERM;
    }
    (void)cel__yield(worker);
    return worker->current->cancelled ? -ECANCELED : 0;
}

int
cel_sleep(cel_time deadline)
{
    struct cel__worker *worker = cel__worker();

    if (worker == NULL) {
        return -EPERM;
    }
    /* Who sleeps until the past, over and over, must not starve others. */
    if (deadline <= worker->now && cel__worker_spent(worker)) {
        (void)cel__yield(worker);
    }
    int code;
    do {
        code = cel__park(worker, deadline, "sleep");
    } while (code == 0);
    /* Where a scope's deadline came first it has not slept enough. */
    return code == -ETIMEDOUT && worker->current->bound >= deadline ? 0 : code;
}

cel_coro *
cel_self(void)
{
    struct cel__run *run = cel__run_current();

    if (run == NULL) {
        return NULL;
    }
    if (run->worker->current == &run->worker->root) {
        return &run->root;
    }
    return (cel_coro *)run->worker->current;
}

void
cel_set_name(const char *name)
{
    struct cel__worker *worker = cel__worker();

    if (worker != NULL) {
        worker->current->name = name;
    }
}

int
cel_exit(int result)
{
    struct cel__run *run = cel__run_current();

    if (run == NULL || run->worker->current == &run->worker->root) {
        return -EPERM;
    }
    struct cel_coro *self = (struct cel_coro *)run->worker->current;
    self->result = result;
    cel__exit(run->worker, cel__run_leave(self));
}
