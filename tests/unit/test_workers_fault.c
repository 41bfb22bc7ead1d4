/* SPDX-License-Identifier: MIT */
/*
 * Several workers in one run, where the system refuses what they need.  A
 * process has one fault, so each run is a child's.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "celadon/workers.h"
#include "many.h"

static void
needs_faults(void)
{
    if (!CEL__HARD) {
        SKIP("only hard builds have faults on demand");
    }
}

/* Run `fn` in a child in which `fault` happens; it exits with what that
   returns, negated. */
static int
run_with_fault(const char *fault, int (*fn)(void *arg), int nworkers)
{
    int status;

    (void)fflush(NULL);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        CHECK_EQ(setenv("CELADON_FAULT", fault, 1), 0);
        _exit(-run_on(nworkers, fn, NULL));
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

static int
return_zero(void *arg)
{
    (void)arg;
    return 0;
}

TEST(threads_that_are_refused_end_all)
{
    char fault[64];
    int nrefused = 0;

    needs_faults();
    /* A backend may have a thread of its own, and do without. */
    for (int i = 1; i <= NWORKERS + 2; i++) {
        (void)snprintf(fault, sizeof(fault), "pthread_create:%d:EAGAIN", i);
        int code = run_with_fault(fault, return_zero, NWORKERS);
        CHECK(code == 0 || code == -EAGAIN);
        nrefused += code < 0;
    }
    CHECK_EQ(nrefused, NWORKERS - 1);
}

static atomic_int nbegun;

static void
count(void *arg)
{
    (void)arg;
    atomic_fetch_add(&nbegun, 1);
}

/* The same where whoever takes one has no memory for it. */
static int
spread_some(void *arg)
{
    cel_coro *coros[20];
    int n = 0;

    (void)arg;
    for (int i = 0; i < 20; i++) {
        n += cel_go_spread(&coros[n], count, NULL) == 0;
    }
    for (int i = 0; i < n; i++) {
        if (cel_join(coros[i], CEL_FOREVER) < 0) {
            return -EIO;
        }
    }
    return n >= 19 && atomic_load(&nbegun) == n ? 0 : -EIO;
}

/* What could be started is there, once; the rest was refused. */
static int
start_some(void *arg)
{
    cel_coro *coros[20];
    int n = 0;

    (void)arg;
    for (int i = 0; i < 20; i++) {
        int err = cel_go_on(&coros[n], i % NWORKERS, count, NULL);
        if (err != 0 && err != -ENOMEM) {
            return err;
        }
        n += err == 0;
    }
    for (int i = 0; i < n; i++) {
        int err = cel_join(coros[i], CEL_FOREVER);
        if (err < 0) {
            return err;
        }
    }
    return n >= 19 && atomic_load(&nbegun) == n ? 0 : -EIO;
}

TEST(where_memory_is_short_nothing_is_lost)
{
    char fault[64];
    int code;

    needs_faults();
    for (int i = 1; i < 60; i++) {
        (void)snprintf(fault, sizeof(fault), "malloc:%d:ENOMEM", i);
        code = run_with_fault(fault, start_some, NWORKERS);
        CHECK(code == 0 || code == -ENOMEM);
        code = run_with_fault(fault, spread_some, NWORKERS);
        CHECK(code == 0 || code == -ENOMEM);
    }
    for (int i = 1; i < 12; i++) {
        (void)snprintf(fault, sizeof(fault), "mmap:%d:ENOMEM", i);
        code = run_with_fault(fault, start_some, NWORKERS);
        CHECK(code == 0 || code == -ENOMEM);
        code = run_with_fault(fault, spread_some, NWORKERS);
        CHECK(code == 0 || code == -ENOMEM);
    }
}
