/* SPDX-License-Identifier: MIT */
/*
 * The watchdog: whom it names, whom it leaves alone.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "celadon.h"
#include "coros.h"
#include "tap.h"

/* The lines that were said, by the watchdog's thread. */
static char said[8192];
static size_t nsaid;
static atomic_int nnamed; /* reports that name a coroutine */
static atomic_bool told;  /* something was said of "busy" */

static void
keep(const char *line)
{
    size_t len = strlen(line);

    CHECK_LT(nsaid + len + 2, sizeof(said));
    memcpy(said + nsaid, line, len);
    nsaid += len;
    said[nsaid++] = '\n';
    said[nsaid] = '\0';
    /* On a busy machine a thread may not come to answer. */
    if (strstr(line, "has not switched for") != NULL &&
        strstr(line, "nor does it answer") == NULL) {
        atomic_fetch_add(&nnamed, 1);
    }
    if (strstr(line, "\"busy\"") != NULL) {
        atomic_store(&told, true);
    }
}

/* Computes until the watchdog has said so. */
static void
hog(void *arg)
{
    (void)arg;
    cel_set_name("busy");
    while (!atomic_load(&told)) {
        __asm__ volatile("" ::: "memory");
    }
    /* What it has to say of the frames. */
    for (int i = 0; i < 100; i++) {
        (void)usleep(1000);
    }
}

static void
rest(void *arg)
{
    (void)arg;
    (void)cel_sleep(CEL_FOREVER);
}

static int
hold_up(void *arg)
{
    (void)arg;
    cel_coro *one = go(rest, NULL);
    cel_coro *other = go(hog, NULL);
    CHECK_EQ(cel_join(other, CEL_FOREVER), 0);
    cel_cancel(one);
    CHECK_EQ(cel_join(one, CEL_FOREVER), 0);
    return 0;
}

TEST(who_holds_the_others_up_is_named_with_its_frames)
{
    cel_log_to(keep);
    CHECK_EQ(cel_watchdog_start(20 * CEL_MSEC), 0);
    run(hold_up);
    cel_watchdog_stop();
    cel_log_to(NULL);
    printf("%s", said);
    CHECK_GE(nnamed, 1);
    CHECK(strstr(said, "watchdog: thread ") == said);
    CHECK(strstr(said, "\"busy\"") != NULL);
    if (strstr(said, "watchdog:     ") == NULL) {
        SKIP("no unwinder here");
    }
    CHECK(strstr(said, "(test_watchdog+0x") != NULL);
}

static int
be_lively(void *arg)
{
    (void)arg;
    cel_coro *one = go(rest, NULL);
    cel_time end = cel_after(200 * CEL_MSEC);
    for (int i = 0; cel_now() < end; i++) {
        CHECK_EQ(cel_yield(), 0);
        if (i % 1000 == 0) {
            CHECK_EQ(cel_sleep(cel_after(2 * CEL_MSEC)), 0);
        }
    }
    CHECK_EQ(cel_sleep(cel_after(200 * CEL_MSEC)), 0);
    cel_cancel(one);
    CHECK_EQ(cel_join(one, CEL_FOREVER), 0);
    return 0;
}

TEST(who_switches_or_sleeps_is_left_alone)
{
    cel_log_to(keep);
    /* Long: a busy machine may leave a thread out for a while. */
    CHECK_EQ(cel_watchdog_start(100 * CEL_SEC), 0);
    CHECK_EQ(cel_watchdog_start(5 * CEL_SEC), 0);
    run(be_lively);
    cel_watchdog_stop();
    CHECK_EQ(nnamed, 0);
}

static int
compute_alone(void *arg)
{
    cel_time end = cel_after(100 * CEL_MSEC);

    (void)arg;
    while (cel_now() < end) {
        __asm__ volatile("" ::: "memory");
    }
    return 0;
}

TEST(who_is_alone_holds_nobody_up)
{
    cel_log_to(keep);
    CHECK_EQ(cel_watchdog_start(5 * CEL_MSEC), 0);
    run(compute_alone);
    cel_watchdog_stop();
    CHECK_EQ(nnamed, 0);
}

TEST(what_starting_it_can_fail_with)
{
    CHECK_EQ(cel_watchdog_start(CEL_MSEC - 1), -EINVAL);
    cel_watchdog_stop();
    CHECK_EQ(cel_watchdog_start(CEL_SEC), 0);
    cel_watchdog_stop();
    cel_watchdog_stop();
}

static volatile sig_atomic_t nurgent;

static void
on_urgent(int signo)
{
    (void)signo;
    nurgent = nurgent + 1;
}

TEST(a_handler_from_before_still_has_its_signals)
{
    CHECK(signal(SIGURG, on_urgent) != SIG_ERR);
    CHECK_EQ(cel_watchdog_start(CEL_SEC), 0);
    CHECK_EQ(raise(SIGURG), 0);
    CHECK_EQ(nurgent, 1);
    cel_watchdog_stop();
    CHECK_EQ(cel_watchdog_start(CEL_SEC), 0);
    CHECK_EQ(raise(SIGURG), 0);
    CHECK_EQ(nurgent, 2);
    cel_watchdog_stop();
}

static int
hold_nobody_up_first(void *arg)
{
    cel_time until = cel_after(200 * CEL_MSEC);

    (void)arg;
    while (cel_now() < until) { /* asked, and alone */
    }
    cel_coro *one = go(rest, NULL);
    hog(NULL);
    cel_cancel(one);
    join(one);
    return 0;
}

TEST(who_held_nobody_up_is_asked_again)
{
    cel_log_to(keep);
    CHECK_EQ(cel_watchdog_start(20 * CEL_MSEC), 0);
    run(hold_nobody_up_first);
    cel_watchdog_stop();
}

static int
fork_and_hold_up(void *arg)
{
    int status;

    (void)arg;
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        cel_coro *one = go(rest, NULL);
        /* The child's first turn. */
        (void)cel_sleep(cel_after(CEL_MSEC));
        hog(NULL);
        cel_cancel(one);
        _exit(cel_join(one, CEL_FOREVER) == 0 ? 0 : 1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    return 0;
}

TEST(a_forked_child_has_one_of_its_own)
{
    if (CEL__TSAN) {
        SKIP("it does not want threads after a fork from a process with some");
    }
    if (getenv("MESON_EXE_WRAPPER") != NULL) {
        SKIP("the emulator dies of a thread that such a child starts");
    }
    cel_log_to(keep);
    CHECK_EQ(setenv("CELADON_WATCHDOG", "50ms", 1), 0);
    run(fork_and_hold_up);
    cel_watchdog_stop();
}
