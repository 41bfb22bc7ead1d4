/* SPDX-License-Identifier: MIT */
/*
 * Leaving coroutines behind for good.
 *
 * Their state alone does most of it: whoever would wake a coroutine looks
 * whether it is PARKED.  What else could bring one back, or act in its stead,
 * is taken away: its place in the run queue, and its operations, which would
 * still read what arrives.
 *
 * Threads: see forsake.h.
 *
 * Tests: unit/test_worker_fork.c, python/test_fork.py
 */
#include "sched/forsake.h"

#include <errno.h>

#include "sched/wait.h"

/* Whether it waits to be switched back to, and so is part of what runs. */
static bool
resumed_another(const struct cel__coro *coro)
{
    return coro->state == CEL__PARKED && coro->waits_for == cel__wait_by_hand;
}

static void
take_out_of_queue(struct cel__worker *worker)
{
    struct cel__link *all = &worker->all;

    for (struct cel__link *link = all->next; link != all; link = link->next) {
        struct cel__coro *coro = cel__container(link, struct cel__coro, all);
        if (coro->state == CEL__FORSAKEN) {
            (void)cel__ring_remove(&worker->ready, coro);
        }
    }
}

/* Those who could want any are forsaken, or have none: take back them all. */
static void
cancel_operations(struct cel__worker *worker)
{
    struct cel__loop *loop = &worker->loop;
    struct cel__fd *entry;

    /* Before its descriptors are told of anything: they are the parent's. */
    if (cel__loop_after_fork(loop) < 0) {
        return; /* the next turn says so */
    }
    for (int fd = 0; (entry = cel__fd_next(&loop->fds, &fd)) != NULL; fd++) {
        for (size_t i = 0; i < 3; i++) {
            struct cel__link *queue = &entry->waiters[i];
            struct cel__link *next;
            for (struct cel__link *link = queue->next; link != queue;
                 link = next) {
                struct cel__op *op = cel__container(link, struct cel__op,
                                                    link);
                next = link->next;
                cel__loop_cancel(loop, op, -ECANCELED);
            }
        }
    }
}

void
cel__forsake_others(struct cel__worker *worker, const struct cel__coro *spared)
{
    struct cel__link *all = &worker->all;

    for (struct cel__link *link = all->next; link != all; link = link->next) {
        struct cel__coro *coro = cel__container(link, struct cel__coro, all);
        if (coro != worker->current && coro != spared &&
            coro->state != CEL__NEW && !resumed_another(coro)) {
            coro->state = CEL__FORSAKEN;
        }
    }
    take_out_of_queue(worker);
    cancel_operations(worker);
}
