/* SPDX-License-Identifier: MIT */
/*
 * Runs of several workers.
 *
 * Threads: any.
 */
#ifndef CEL_TEST_MANY_H
#define CEL_TEST_MANY_H

#include "celadon/run.h"
#include "celadon/workers.h"
#include "tap.h"

enum {
    NWORKERS = 3
};

static inline int
run_on(int nworkers, int (*fn)(void *arg), void *arg)
{
    cel_options options;

    cel_options_init(&options);
    options.workers = nworkers;
    return cel_run(fn, arg, &options);
}

static inline void
run_many(int (*fn)(void *arg))
{
    CHECK_EQ(run_on(NWORKERS, fn, NULL), 0);
}

static inline cel_coro *
go_on(int worker, void (*fn)(void *arg), void *arg)
{
    cel_coro *coro;

    CHECK_EQ(cel_go_on(&coro, worker, fn, arg), 0);
    return coro;
}

#endif
