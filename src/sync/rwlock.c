/* SPDX-License-Identifier: MIT */
/*
 * Reader-writer locks: one queue for both, served strictly in turn, so
 * neither kind starves the other.
 *
 * When a writer that waits at the front gives up, the readers behind it can
 * go: so whoever leaves the queue serves it.
 *
 * Threads: see celadon/sync.h.
 *
 * Tests: unit/test_sync.c, unit/test_threads.c
 */
#include <errno.h>
#include <stdbool.h>

#include "sync/mutex.h"

/*
 * Invariants: mutex.holder != NULL => nreaders == 0; somebody waits => the
 * first can't be served.  Guarded by the latch.
 */
struct cel_rwlock {
    struct cel_mutex mutex; /* whose holder writes; struct waiter waits */
    size_t nreaders;        /* how many read */
};

struct waiter {
    struct cel__wait wait; /* first */
    bool writes;
};

static const struct cel__awaited awaited_read = {.what = "a lock to read",
                                                 .holder = cel__mutex_holder,
                                                 .relation = "held by"};
static const struct cel__awaited awaited_write = {.what = "a lock to write",
                                                  .holder = cel__mutex_holder,
                                                  .relation = "held by"};

int
cel_rwlock_open(cel_rwlock **out)
{
    return cel__queue_open(out, sizeof(**out));
}

void
cel_rwlock_close(cel_rwlock *lock)
{
    cel__queue_close(lock);
}

/* Make `coro` a reader or the writer, if that can be now. */
static bool
admit(struct cel_rwlock *lock, struct cel__coro *coro, bool writes)
{
    if (lock->mutex.holder != NULL || (writes && lock->nreaders > 0)) {
        return false;
    }
    if (writes) {
        lock->mutex.holder = coro;
    }
    else {
        lock->nreaders++;
    }
    return true;
}

/* Admit those at the front; the latch is held. */
static void
serve(struct cel_rwlock *lock, struct cel__worker *me)
{
    struct cel__wait *first;

    while ((first = cel__queue_first(&lock->mutex.queue)) != NULL &&
           admit(lock, first->coro, ((struct waiter *)first)->writes)) {
        cel__queue_finish(first, 0, me);
    }
}

static int
take(struct cel_rwlock *lock, bool writes, cel_time deadline)
{
    struct cel__queue *queue = &lock->mutex.queue;
    struct cel__worker *me = cel__queue_enter(&queue->latch, deadline);
    struct waiter waiter = {.writes = writes};
    int code = -EDEADLK;

    if (me == NULL) {
        code = -EPERM;
    }
    else if (cel__list_empty(&queue->waiters) &&
             admit(lock, me->current, writes)) {
        code = 0;
    }
    else if (lock->mutex.holder != me->current) {
        code = cel__queue_wait_as(&waiter.wait, &queue->waiters, &queue->latch,
                                  me, deadline,
                                  writes ? &awaited_write : &awaited_read);
        if (code == 0) {
            return 0;
        }
        cel__latch_take(&queue->latch, me);
        serve(lock, me);
    }
    cel__latch_give(&queue->latch, me);
    return code;
}

int
cel_rwlock_read(cel_rwlock *lock, cel_time deadline)
{
    return take(lock, false, deadline);
}

int
cel_rwlock_write(cel_rwlock *lock, cel_time deadline)
{
    return take(lock, true, deadline);
}

int
cel_rwlock_unlock(cel_rwlock *lock)
{
    struct cel__worker *me = cel__queue_enter(&lock->mutex.queue.latch,
                                              CEL_AT_ONCE);
    int code = 0;

    if (lock->nreaders > 0) {
        lock->nreaders--;
    }
    else if (me != NULL && lock->mutex.holder == me->current) {
        lock->mutex.holder = NULL;
    }
    else {
        code = -EPERM;
    }
    serve(lock, me);
    cel__latch_give(&lock->mutex.queue.latch, me);
    return code;
}
