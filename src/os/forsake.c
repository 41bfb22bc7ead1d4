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
#include "os/forsake.h"

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
    struct cel__coro *coro;

    cel__list_foreach (coro, &worker->all, all) {
        if (coro->state == CEL__FORSAKEN) {
            (void)cel__ring_remove(&worker->ready, coro);
        }
    }
}

void
cel__forsake_others(struct cel__worker *worker, const struct cel__coro *spared)
{
    struct cel__coro *coro;

    cel__list_foreach (coro, &worker->all, all) {
        if (coro != worker->current && coro != spared &&
            coro->state != CEL__NEW && !resumed_another(coro)) {
            coro->state = CEL__FORSAKEN;
        }
    }
    take_out_of_queue(worker);
    /* Before its descriptors are told of anything: they are the parent's.
       Where it fails the next turn says so. */
    if (cel__loop_after_fork(&worker->loop) == 0) {
        /* Those who could want any are forsaken, or have none. */
        cel__loop_cancel_all(&worker->loop);
    }
}
