/* SPDX-License-Identifier: MIT */
/*
 * Locks, and other things that coroutines wait at.
 *
 * All are fair: who waits longest is served first, and what becomes free is
 * handed to it, so nobody who comes later takes it away.  Nothing is lost:
 * where a deadline or a cancel comes at the same moment as a lock or a count,
 * the call succeeds.
 *
 * A call that waits returns -ETIMEDOUT, -ECANCELED, -EDEADLK (no other thread
 * is there, and nothing in this one can end the wait; the first coroutine of
 * a run is told), -ENOMEM (no room for the deadline) or -EPERM (not in a
 * coroutine); then it had no effect.
 *
 * `_close` releases what nobody uses any more: nobody may be waiting at it;
 * NULL is allowed.  `_open` returns 0 or -ENOMEM.  Neither suspends.
 *
 * Threads: any.  Those who wait and those who wake may be of different
 * threads.  An object is cheapest in the thread that made it.
 */
#ifndef CELADON_SYNC_H
#define CELADON_SYNC_H

#include "celadon/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A lock that one coroutine holds at a time. */
typedef struct cel_mutex cel_mutex;

/**
 * Make a mutex that nobody holds.  Does not suspend.  Returns 0 or -ENOMEM.
 */
CEL_API CEL_NODISCARD int cel_mutex_open(cel_mutex **mutex);
/** Release a mutex that nobody uses any more.  Does not suspend. */
CEL_API void cel_mutex_close(cel_mutex *mutex);

/**
 * Lock `mutex`.  Suspends while another coroutine holds it.  Returns 0, or as
 * above; -EDEADLK also where the caller holds it already.
 */
CEL_API CEL_NODISCARD int cel_mutex_lock(cel_mutex *mutex, cel_time deadline);

/**
 * Unlock `mutex`: it is the next one's, if anybody waits.  Does not suspend.
 * Returns 0, or -EPERM where the caller does not hold it.
 */
CEL_API int cel_mutex_unlock(cel_mutex *mutex);

/** A lock that many readers or one writer hold at a time. */
typedef struct cel_rwlock cel_rwlock;

/** Make a lock that nobody holds.  Does not suspend.  Returns 0 or -ENOMEM. */
CEL_API CEL_NODISCARD int cel_rwlock_open(cel_rwlock **lock);
/** Release a lock that nobody uses any more.  Does not suspend. */
CEL_API void cel_rwlock_close(cel_rwlock *lock);

/**
 * Lock for reading.  Suspends while somebody writes, or waits to write and
 * came first.  Returns 0, or as above.
 */
CEL_API CEL_NODISCARD int cel_rwlock_read(cel_rwlock *lock, cel_time deadline);

/**
 * Lock for writing.  Suspends while others read or write, or wait and came
 * first.  Returns 0, or as above; -EDEADLK also where the caller writes
 * already.
 */
CEL_API CEL_NODISCARD int cel_rwlock_write(cel_rwlock *lock,
                                           cel_time deadline);

/**
 * Give back what the caller locked.  Does not suspend.  Returns 0, or -EPERM
 * where nobody reads and the caller does not write.
 */
CEL_API int cel_rwlock_unlock(cel_rwlock *lock);

/** A condition that is waited for, with a mutex that guards it. */
typedef struct cel_cond cel_cond;

/**
 * Make a condition that nobody waits for.  Does not suspend.  Returns 0 or
 * -ENOMEM.
 */
CEL_API CEL_NODISCARD int cel_cond_open(cel_cond **cond);
/** Release a condition that nobody uses any more.  Does not suspend. */
CEL_API void cel_cond_close(cel_cond *cond);

/**
 * Unlock `mutex`, wait until somebody signals `cond`, and lock it again; a
 * signal after the unlocking is not missed.  No wake-up comes for nothing,
 * but what was signalled may be untrue again when the mutex is had.
 *
 * Suspends, and for the mutex whatever the deadline.  Returns 0, or as above;
 * the mutex is held in any case.  -EPERM: the caller does not hold it.
 */
CEL_API CEL_NODISCARD int cel_cond_wait(cel_cond *cond, cel_mutex *mutex,
                                        cel_time deadline);

/** Wake who waits longest, if anybody does.  Does not suspend. */
CEL_API void cel_cond_signal(cel_cond *cond);

/** Wake all who wait.  Does not suspend. */
CEL_API void cel_cond_broadcast(cel_cond *cond);

/** A number of things to be had. */
typedef struct cel_sem cel_sem;

/**
 * Make a semaphore with `count` things to be had.  Does not suspend.  Returns
 * 0 or -ENOMEM.
 */
CEL_API CEL_NODISCARD int cel_sem_open(cel_sem **sem, size_t count);
/** Release a semaphore that nobody uses any more.  Does not suspend. */
CEL_API void cel_sem_close(cel_sem *sem);

/** Take one.  Suspends until there is one.  Returns 0, or as above. */
CEL_API CEL_NODISCARD int cel_sem_wait(cel_sem *sem, cel_time deadline);

/** Give one back, or a new one.  Does not suspend. */
CEL_API void cel_sem_post(cel_sem *sem);

/** Something that has happened or not. */
typedef struct cel_event cel_event;

/**
 * Make an event that has not happened.  Does not suspend.  Returns 0 or
 * -ENOMEM.
 */
CEL_API CEL_NODISCARD int cel_event_open(cel_event **event);
/** Release an event that nobody uses any more.  Does not suspend. */
CEL_API void cel_event_close(cel_event *event);

/**
 * Wait until it has happened: at once if it has.  Suspends.  Returns 0, or as
 * above.
 */
CEL_API CEL_NODISCARD int cel_event_wait(cel_event *event, cel_time deadline);

/**
 * It has happened: wake all who wait, even where it is cleared before they
 * run.  Does not suspend.
 */
CEL_API void cel_event_set(cel_event *event);

/** It has not happened.  Does not suspend. */
CEL_API void cel_event_clear(cel_event *event);

/** Whether it has happened.  Does not suspend. */
CEL_API int cel_event_is_set(cel_event *event);

/** A number of things that are not done yet. */
typedef struct cel_wg cel_wg;

/**
 * Make a wait group with nothing to be done.  Does not suspend.  Returns 0 or
 * -ENOMEM.
 */
CEL_API CEL_NODISCARD int cel_wg_open(cel_wg **wg);
/** Release a wait group that nobody uses any more.  Does not suspend. */
CEL_API void cel_wg_close(cel_wg *wg);

/**
 * `n` more things are to be done; fewer, where it is negative.  Does not
 * suspend.  Returns 0, or -EINVAL with nothing changed: fewer than none.
 */
CEL_API int cel_wg_add(cel_wg *wg, ptrdiff_t n);

/** One is done: as cel_wg_add(wg, -1).  Does not suspend. */
CEL_API int cel_wg_done(cel_wg *wg);

/** Wait until all are done.  Suspends.  Returns 0, or as above. */
CEL_API CEL_NODISCARD int cel_wg_wait(cel_wg *wg, cel_time deadline);

/** Something to be done once; begins as CEL_ONCE_INIT or as zeroes. */
typedef struct cel_once {
    void *opaque[8];
} cel_once;

#define CEL_ONCE_INIT                                                         \
    {                                                                         \
        {                                                                     \
            NULL                                                              \
        }                                                                     \
    }

/**
 * Call `fn(arg)` unless that was done; while another coroutine calls it, wait.
 * A call that returns a negative number was not done: that is returned to
 * its caller, and whoever waits longest tries next.
 *
 * Suspends as `fn` does, and while another calls it.  Returns 0 once it was
 * done; or what `fn` returned, or as above.
 */
CEL_API CEL_NODISCARD int cel_once_run(cel_once *once, int (*fn)(void *arg),
                                       void *arg, cel_time deadline);

#ifdef __cplusplus
}
#endif

#endif
