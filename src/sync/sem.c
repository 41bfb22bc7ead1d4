/* SPDX-License-Identifier: MIT */
/*
 * Semaphores.
 *
 * Threads: see celadon/sync.h.
 *
 * Tests: unit/test_sync.c, unit/test_threads.c
 */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "celadon/sync.h"
#include "sync/queue.h"

/* Invariant: somebody waits => count == 0.  Guarded by the latch. */
struct cel_sem {
    struct cel__latch latch;
    size_t count;             /* how many are to be had */
    struct cel__link waiters; /* struct cel__wait, the oldest first */
};

static const struct cel__awaited awaited_sem = {.what = "a semaphore"};

int
cel_sem_open(cel_sem **out, size_t count)
{
    struct cel_sem *sem = cel__alloc(sizeof(*sem));

    if (sem == NULL) {
        return -ENOMEM;
    }
    cel__latch_init(&sem->latch);
    cel__list_init(&sem->waiters);
    sem->count = count;
    *out = sem;
    return 0;
}

void
cel_sem_close(cel_sem *sem)
{
    cel__assert(sem == NULL || cel__list_empty(&sem->waiters));
    free(sem);
}

int
cel_sem_wait(cel_sem *sem, cel_time deadline)
{
    struct cel__worker *me = cel__worker();
    struct cel__wait wait;

    cel__queue_charge(me, deadline);
    cel__latch_take(&sem->latch, me);
    if (sem->count > 0) {
        sem->count--;
        cel__latch_give(&sem->latch, me);
        return 0;
    }
    return cel__queue_wait(&sem->waiters, &wait, &sem->latch, me, deadline,
                           &awaited_sem);
}

void
cel_sem_post(cel_sem *sem)
{
    struct cel__worker *me = cel__worker();

    cel__latch_take(&sem->latch, me);
    struct cel__wait *wait = cel__queue_first(&sem->waiters);
    if (wait != NULL) {
        cel__queue_finish(wait, 0, me);
    }
    else {
        sem->count++;
    }
    cel__latch_give(&sem->latch, me);
}
