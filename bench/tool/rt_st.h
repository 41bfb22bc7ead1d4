/* SPDX-License-Identifier: MIT */
/*
 * State Threads under the names that core.c knows a coroutine library by.
 *
 * Its yield is a sleep of no time: it has no other.
 */
#ifndef BENCH_RT_ST_H
#define BENCH_RT_ST_H

#include "tool.h"

#include <st.h>
#include <stddef.h>

#define RT_NAME "state-threads"

enum {
    RT_STACK = 65536
};

struct rt_call {
    void (*fn)(void *arg);
    void *arg;
};

typedef st_thread_t rt_coro;

static inline int
rt_run(int (*fn)(void *arg), void *arg)
{
    if (st_init() < 0) {
        tool_die("st_init");
    }
    return fn(arg);
}

static inline void *
rt_enter(void *arg)
{
    const struct rt_call *call = arg;

    call->fn(call->arg);
    return NULL;
}

static inline rt_coro
rt_go(struct rt_call *call)
{
    rt_coro coro = st_thread_create(rt_enter, call, 1, RT_STACK);

    if (coro == NULL) {
        tool_die("st_thread_create");
    }
    return coro;
}

static inline void
rt_join(rt_coro coro)
{
    if (st_thread_join(coro, NULL) < 0) {
        tool_die("st_thread_join");
    }
}

typedef st_mutex_t rt_mutex;

static inline rt_mutex
rt_mutex_open(void)
{
    rt_mutex mutex = st_mutex_new();

    if (mutex == NULL) {
        tool_die("st_mutex_new");
    }
    return mutex;
}

static inline void
rt_lock(rt_mutex mutex)
{
    if (st_mutex_lock(mutex) < 0) {
        tool_die("st_mutex_lock");
    }
}

static inline void
rt_unlock(rt_mutex mutex)
{
    (void)st_mutex_unlock(mutex);
}

static inline void
rt_yield(void)
{
    (void)st_usleep(0);
}

static inline void
rt_park(void)
{
    (void)st_usleep((st_utime_t)3600 * 1000000);
}

#endif
