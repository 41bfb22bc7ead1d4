/* SPDX-License-Identifier: MIT */
/*
 * Celadon under the names that core.c knows a coroutine library by.
 *
 * Inline, so that what is measured is the library's call and not ours.
 */
#ifndef BENCH_RT_CELADON_H
#define BENCH_RT_CELADON_H

#include "celadon/run.h"
#include "celadon/sync.h"
#include "tool.h"

#define RT_NAME "celadon"

/** What a coroutine is to call; it must stay until the coroutine ends. */
struct rt_call {
    void (*fn)(void *arg);
    void *arg;
};

typedef cel_coro *rt_coro;

/** Run `fn` in the library's first coroutine and return what it returns. */
static inline int
rt_run(int (*fn)(void *arg), void *arg)
{
    return cel_run(fn, arg, NULL);
}

static inline rt_coro
rt_go(const struct rt_call *call)
{
    rt_coro coro;

    int err = cel_go(&coro, call->fn, call->arg);
    if (err < 0) {
        tool_die("cel_go: error %d", -err);
    }
    return coro;
}

static inline void
rt_join(rt_coro coro)
{
    int err = cel_join(coro, CEL_FOREVER);
    if (err < 0) {
        tool_die("cel_join: error %d", -err);
    }
}

typedef cel_mutex *rt_mutex;

static inline rt_mutex
rt_mutex_open(void)
{
    cel_mutex *mutex;

    int err = cel_mutex_open(&mutex);
    if (err < 0) {
        tool_die("cel_mutex_open: error %d", -err);
    }
    return mutex;
}

static inline void
rt_lock(rt_mutex mutex)
{
    int err = cel_mutex_lock(mutex, CEL_FOREVER);
    if (err < 0) {
        tool_die("cel_mutex_lock: error %d", -err);
    }
}

static inline void
rt_unlock(rt_mutex mutex)
{
    (void)cel_mutex_unlock(mutex);
}

static inline void
rt_yield(void)
{
    (void)cel_yield();
}

/** Sleep for longer than anybody waits. */
static inline void
rt_park(void)
{
    (void)cel_sleep(cel_after(3600 * CEL_SEC));
}

#endif
