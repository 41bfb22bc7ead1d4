/* SPDX-License-Identifier: MIT */
/*
 * Semaphores.
 *
 * Threads: see celadon/sync.h.
 *
 * Tests: unit/test_sync.c, unit/test_threads.c
 */

#include "celadon/sync.h"
#include "sync/queue.h"

/* Invariant: somebody waits => count == 0.  Guarded by the latch. */
struct cel_sem {
    struct cel__queue queue;
    size_t count; /* how many are to be had */
};

static const struct cel__awaited awaited_sem = {.what = "a semaphore"};

int
cel_sem_open(cel_sem **out, size_t count)
{
    int err = cel__queue_open(out, sizeof(**out));

    if (err == 0) {
        (*out)->count = count;
    }
    return err;
}

void
cel_sem_close(cel_sem *sem)
{
    cel__queue_close(sem);
}

int
cel_sem_wait(cel_sem *sem, cel_time deadline)
{
    struct cel__worker *me = cel__queue_enter(&sem->queue.latch, deadline);

    if (sem->count == 0) {
        return cel__queue_wait(&sem->queue, me, deadline, &awaited_sem);
    }
    sem->count--;
    cel__latch_give(&sem->queue.latch, me);
    return 0;
}

void
cel_sem_post(cel_sem *sem)
{
    struct cel__worker *me = cel__queue_enter(&sem->queue.latch, CEL_AT_ONCE);

    if (!cel__queue_pass(&sem->queue, 0, me)) {
        sem->count++;
    }
    cel__latch_give(&sem->queue.latch, me);
}
