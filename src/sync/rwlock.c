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
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "celadon/sync.h"
#include "sync/queue.h"

/*
 * Invariants: writer != NULL => nreaders == 0; somebody waits => the first
 * can't be served.  Guarded by the latch.
 */
struct cel_rwlock {
    struct cel__latch latch;
    struct cel__coro *writer; /* who writes, or NULL */
    size_t nreaders;          /* how many read */
    struct cel__link waiters; /* struct waiter, the oldest first */
};

struct waiter {
    struct cel__wait wait; /* first */
    bool writes;
};

/* For a dump: who writes; those who read are only counted. */
static const struct cel__coro *
holder(void *object, size_t number)
{
    struct cel_rwlock *lock = object;
    struct cel__worker *me = cel__worker();

    cel__latch_take(&lock->latch, me);
    const struct cel__coro *coro = lock->writer;
    cel__latch_give(&lock->latch, me);
    return number == 0 ? coro : NULL;
}

static const struct cel__awaited awaited_read = {
    .what = "a lock to read", .holder = holder, .relation = "held by"};
static const struct cel__awaited awaited_write = {
    .what = "a lock to write", .holder = holder, .relation = "held by"};

int
cel_rwlock_open(cel_rwlock **out)
{
    struct cel_rwlock *lock = cel__alloc(sizeof(*lock));

    if (lock == NULL) {
        return -ENOMEM;
    }
    cel__latch_init(&lock->latch);
    cel__list_init(&lock->waiters);
    lock->writer = NULL;
    lock->nreaders = 0;
    *out = lock;
    return 0;
}

void
cel_rwlock_close(cel_rwlock *lock)
{
    cel__assert(lock == NULL || cel__list_empty(&lock->waiters));
    free(lock);
}

/* Make `coro` a reader or the writer, if that can be now. */
static bool
admit(struct cel_rwlock *lock, struct cel__coro *coro, bool writes)
{
    if (lock->writer != NULL || (writes && lock->nreaders > 0)) {
        return false;
    }
    if (writes) {
        lock->writer = coro;
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

    while ((first = cel__queue_first(&lock->waiters)) != NULL &&
           admit(lock, first->coro, ((struct waiter *)first)->writes)) {
        cel__queue_finish(first, 0, me);
    }
}

static int
take(struct cel_rwlock *lock, bool writes, cel_time deadline)
{
    struct cel__worker *me = cel__worker();
    struct waiter waiter = {.writes = writes};

    if (me == NULL) {
        return -EPERM;
    }
    cel__queue_charge(me, deadline);
    cel__latch_take(&lock->latch, me);
    int code = -EDEADLK;
    if (cel__list_empty(&lock->waiters) && admit(lock, me->current, writes)) {
        code = 0;
    }
    else if (lock->writer != me->current) {
        code = cel__queue_wait(&lock->waiters, &waiter.wait, &lock->latch, me,
                               deadline,
                               writes ? &awaited_write : &awaited_read);
        if (code == 0) {
            return 0;
        }
        cel__latch_take(&lock->latch, me);
        serve(lock, me);
    }
    cel__latch_give(&lock->latch, me);
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
    struct cel__worker *me = cel__worker();
    int code = 0;

    cel__latch_take(&lock->latch, me);
    if (lock->nreaders > 0) {
        lock->nreaders--;
    }
    else if (me != NULL && lock->writer == me->current) {
        lock->writer = NULL;
    }
    else {
        code = -EPERM;
    }
    serve(lock, me);
    cel__latch_give(&lock->latch, me);
    return code;
}
