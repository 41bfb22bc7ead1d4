/* SPDX-License-Identifier: MIT */
/*
 * What a child has of what threads of its parent were at when it was forked:
 * the list of workers, the tables of names, the watchdog.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "celadon.h"
#include "coros.h"
#include "see/names.h"
#include "see/see.h"
#include "see/sys_trace.h"
#include "tap.h"

static atomic_bool entered; /* the thread is where the fork is to find it */
static atomic_bool leaves;  /* it need not stay */

static void
await(atomic_bool *flag)
{
    /* The harness bounds it. */
    while (!atomic_load(flag)) {
        (void)usleep(1000);
    }
}

/* Whether `fn` returns 0 in a child. */
static void
check_in_child(int (*fn)(void))
{
    int status;
    pid_t child = fork();

    CHECK_GE(child, 0);
    if (child == 0) {
        _exit(fn());
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

/* ---- the list of workers */

static int
stay(struct cel__worker *worker, void *arg)
{
    (void)worker;
    (void)arg;
    atomic_store(&entered, true);
    await(&leaves);
    return 1;
}

static int
look_around(void *arg)
{
    (void)arg;
    CHECK_EQ(cel__see_each(stay, NULL), 1);
    return 0;
}

static void *
run_thread(void *arg)
{
    run(look_around);
    return arg;
}

static int
count(struct cel__worker *worker, void *arg)
{
    (void)worker;
    ++*(int *)arg;
    return 0;
}

static int
see_oneself(void *arg)
{
    int n = 0;

    (void)arg;
    (void)cel__see_each(count, &n);
    CHECK_EQ(n, 1);
    return 0;
}

static int
run_alone(void)
{
    int n = 0;

    (void)cel__see_each(count, &n);
    CHECK_EQ(n, 0);
    run(see_oneself);
    return 0;
}

TEST(who_looked_and_who_was_seen_stay_behind)
{
    pthread_t thread;

    if (tap_valgrind()) {
        SKIP("at its end a child is asked for its parent's threads' memory");
    }
    CHECK_EQ(pthread_create(&thread, NULL, run_thread, NULL), 0);
    await(&entered);
    check_in_child(run_alone);
    atomic_store(&leaves, true);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* ---- names */

static struct cel__symbol known; /* of await() */
static const char *fifo;         /* who opens it waits for who writes */

/* Whether the name of await() can be found out. */
static bool
finds(void)
{
    struct cel__text text;

    cel__text_init(&text, -1);
    bool found = cel__names_put(&text, (const char *)(uintptr_t)await, &known);
    CHECK_EQ(found, strstr(cel__text_string(&text), "await+") != NULL);
    return found;
}

static void *
look_up(void *arg)
{
    static const char nowhere;
    struct cel__symbol symbol = {.module = fifo};
    struct cel__text text;

    cel__text_init(&text, -1);
    do { /* until nobody else has the tables */
        CHECK(!cel__names_put(&text, &nowhere, &symbol));
    } while (!atomic_load(&leaves));
    return arg;
}

static int
find_twice(void)
{
    bool found = finds();

    cel__names_forget();
    return found && finds() ? 0 : 1;
}

TEST(names_that_a_thread_looked_up_are_found_again)
{
    pthread_t thread;

    cel__sys_symbol((const char *)(uintptr_t)await, &known);
    if (known.module == NULL || !finds()) {
        SKIP("there are no names here");
    }
    cel__names_forget();
    fifo = tap_path("fifo");
    CHECK_EQ(mkfifo(fifo, 0600), 0);
    CHECK_EQ(pthread_create(&thread, NULL, look_up, NULL), 0);
    while (finds()) { /* until the thread has the tables */
        cel__names_forget();
        (void)usleep(1000);
    }
    check_in_child(find_twice);
    atomic_store(&leaves, true);
    FILE *end = fopen(fifo, "w");
    CHECK(end != NULL);
    (void)fclose(end);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(finds());
}

/* ---- the watchdog */

/* What the watchdog's thread says, and stops at. */
static void
dwell(const char *line)
{
    if (strstr(line, "has not switched for") != NULL) {
        atomic_store(&entered, true);
        await(&leaves);
    }
}

static int
start(void)
{
    int err = cel_watchdog_start(CEL_SEC);

    cel_watchdog_stop();
    return err == 0 ? 0 : 1;
}

static int
stop_and_start(void)
{
    cel_watchdog_stop();
    return start();
}

static void
rest(void *arg)
{
    (void)arg;
    (void)cel_sleep(CEL_FOREVER);
}

/* Fork while the watchdog, at work, has its locks. */
static int
fork_beside(void *arg)
{
    cel_coro *one = go(rest, NULL);

    (void)arg;
    while (!atomic_load(&entered)) {
        __asm__ volatile("" ::: "memory");
    }
    check_in_child(stop_and_start);
    check_in_child(start);
    atomic_store(&leaves, true);
    cel_cancel(one);
    join(one);
    return 0;
}

TEST(a_watchdog_that_stayed_behind_is_stopped_and_started)
{
    if (CEL__TSAN) {
        SKIP("it does not want threads after a fork from a process with some");
    }
    if (getenv("MESON_EXE_WRAPPER") != NULL) {
        SKIP("the emulator dies of a thread that such a child starts");
    }
    cel_log_to(dwell);
    CHECK_EQ(cel_watchdog_start(20 * CEL_MSEC), 0);
    run(fork_beside);
    cel_watchdog_stop();
    cel_log_to(NULL);
}
