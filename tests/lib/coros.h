/* SPDX-License-Identifier: MIT */
/*
 * Coroutines for tests of what they meet at.
 *
 * Threads: a run's.
 */
#ifndef CEL_TEST_COROS_H
#define CEL_TEST_COROS_H

#include <string.h>

#include "base/fault.h"
#include "base/sanitize.h"
#include "celadon/run.h"
#include "tap.h"

static inline void
run(int (*fn)(void *arg))
{
    CHECK_EQ(cel_run(fn, NULL, NULL), 0);
}

static inline cel_coro *
go(void (*fn)(void *arg), void *arg)
{
    cel_coro *coro;

    CHECK_EQ(cel_go(&coro, fn, arg), 0);
    return coro;
}

static inline void
join(cel_coro *coro)
{
    CHECK_EQ(cel_join(coro, CEL_FOREVER), 0);
}

static inline void
do_nothing(void *arg)
{
    (void)arg;
}

/* Let all others run until they wait. */
static inline void
settle(void)
{
    for (int i = 0; i < (CEL__HARD ? 50 : 3); i++) {
        (void)cel_yield();
    }
}

#endif
