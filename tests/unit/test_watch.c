/* SPDX-License-Identifier: MIT */
/*
 * Watchers: called when, how often, and never after they were stopped.
 */
#include "celadon/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "celadon/net.h"
#include "coros.h"

/* What the functions below count and stop. */
struct seen {
    int ncalls;
    int last;  /* what the last call was told */
    int limit; /* calls until it stops itself */
    cel_watch *own;
    cel_watch *other;
    int fd;
};

static void
start(cel_watch *watch)
{
    CHECK_EQ(cel_watch_start(watch), 0);
    CHECK(cel_watch_active(watch));
}

static void
finish(void)
{
    CHECK_EQ(cel_watch_run(CEL_FOREVER), 0);
}

static void
count(cel_watch *watch, int what, void *arg)
{
    struct seen *seen = arg;

    seen->last = what;
    if (++seen->ncalls == seen->limit) {
        cel_watch_stop(watch);
    }
}

static void
read_one(cel_watch *watch, int what, void *arg)
{
    struct seen *seen = arg;
    char byte;

    CHECK((what & (CEL_READABLE | CEL_HUNG_UP)) != 0);
    seen->ncalls++;
    if (cel_read(seen->fd, &byte, 1, CEL_AT_ONCE) == 0) {
        cel_watch_stop(watch);
    }
}

static int
level(void *arg)
{
    struct seen seen = {0};
    int fds[2];

    (void)arg;
    for (int i = 0; i < 2; i++) {
        cel_watch *watch;
        if (i == 0) {
            CHECK_EQ(pipe(fds), 0);
        }
        else {
            CHECK_EQ(cel_pipe(fds), 0);
        }
        seen = (struct seen){.fd = fds[0]};
        CHECK_EQ(cel_watch_fd(&watch, fds[0], CEL_READABLE, read_one, &seen),
                 0);
        CHECK(!cel_watch_active(watch));
        start(watch);
        start(watch);
        settle();
        CHECK_EQ(seen.ncalls, 0);
        CHECK_EQ(write(fds[1], "abc", 3), 3);
        CHECK_EQ(cel_close(fds[1]), 0);
        finish();
        CHECK_EQ(seen.ncalls, 4);
        CHECK(!cel_watch_active(watch));
        cel_watch_close(watch);
        CHECK_EQ(cel_close(fds[0]), 0);
    }
    cel_watch_close(NULL);
    return 0;
}

TEST(who_does_not_read_is_told_again)
{
    run(level);
}

static int
writable(void *arg)
{
    struct seen seen = {.limit = 3};
    cel_watch *watch;
    int fds[2];

    (void)arg;
    CHECK_EQ(cel_pipe(fds), 0);
    CHECK_EQ(cel_watch_fd(&watch, fds[1], CEL_WRITABLE, count, &seen), 0);
    start(watch);
    finish();
    CHECK_EQ(seen.ncalls, 3);
    CHECK_EQ(seen.last, CEL_WRITABLE);
    /* Once more, after a stop. */
    seen.limit = 5;
    start(watch);
    finish();
    CHECK_EQ(seen.ncalls, 5);
    cel_watch_close(watch);
    (void)cel_close(fds[0]);
    (void)cel_close(fds[1]);
    return 0;
}

TEST(a_stopped_watcher_starts_again)
{
    run(writable);
}

static void
count_and_look(cel_watch *watch, int what, void *arg)
{
    struct seen *seen = arg;

    CHECK_EQ(what, 0);
    CHECK(!cel_watch_active(watch));
    if (++seen->ncalls < seen->limit) {
        start(watch);
    }
}

static int
timers(void *arg)
{
    struct seen seen = {.limit = 5};
    cel_watch *watch;

    (void)arg;
    CHECK_EQ(cel_watch_timer(&watch, 0, CEL_MSEC, count, &seen), 0);
    cel_time before = cel_now();
    start(watch);
    finish();
    CHECK_EQ(seen.ncalls, 5);
    CHECK_EQ(seen.last, 0);
    CHECK_GE(cel_now() - before, 4 * CEL_MSEC);
    cel_watch_close(watch);
    /* Once, and again by its own will. */
    seen = (struct seen){.limit = 3};
    CHECK_EQ(cel_watch_timer(&watch, CEL_MSEC, 0, count_and_look, &seen), 0);
    before = cel_now();
    start(watch);
    finish();
    CHECK_EQ(seen.ncalls, 3);
    CHECK_GE(cel_now() - before, 3 * CEL_MSEC);
    /* Stopped before its time. */
    start(watch);
    cel_watch_stop(watch);
    finish();
    CHECK_EQ(cel_sleep(cel_after(2 * CEL_MSEC)), 0);
    CHECK_EQ(seen.ncalls, 3);
    cel_watch_close(watch);
    CHECK_EQ(cel_watch_timer(&watch, INT64_MAX, INT64_MAX, count, &seen), 0);
    start(watch);
    settle();
    CHECK_EQ(seen.ncalls, 3);
    cel_watch_close(watch);
    CHECK_EQ(cel_watch_timer(&watch, -1, 0, count, &seen), -EINVAL);
    CHECK_EQ(cel_watch_timer(&watch, 0, -1, count, &seen), -EINVAL);
    return 0;
}

TEST(timers_fire_once_and_over_and_over)
{
    run(timers);
}

static void
slow(cel_watch *watch, int what, void *arg)
{
    (void)what;
    (void)cel_sleep(cel_after(5 * CEL_MSEC));
    count(watch, 0, arg);
}

static int
late_calls(void *arg)
{
    struct seen seen = {.limit = 4};
    cel_watch *watch;

    (void)arg;
    CHECK_EQ(cel_watch_timer(&watch, 0, CEL_MSEC, slow, &seen), 0);
    cel_time before = cel_now();
    start(watch);
    finish();
    /* Each took the time of five. */
    CHECK_GE(cel_now() - before, 20 * CEL_MSEC);
    CHECK_EQ(seen.ncalls, 4);
    cel_watch_close(watch);
    return 0;
}

TEST(what_was_missed_is_not_made_up_for)
{
    run(late_calls);
}

/* What was called, a letter each. */
struct rhythm {
    char calls[4096];
    size_t ncalls;
    int nslept;
    cel_watch *watches[3];
};

static void
note(struct rhythm *rhythm, char letter)
{
    CHECK_LT(rhythm->ncalls, sizeof(rhythm->calls));
    rhythm->calls[rhythm->ncalls++] = letter;
}

static void
before_sleep(cel_watch *watch, int what, void *arg)
{
    CHECK(cel_watch_active(watch));
    CHECK_EQ(what, 0);
    note(arg, 'p');
}

static void
after_sleep(cel_watch *watch, int what, void *arg)
{
    struct rhythm *rhythm = arg;

    CHECK(cel_watch_active(watch));
    CHECK_EQ(what, 0);
    note(rhythm, 'c');
    rhythm->nslept++;
}

static void
tick(cel_watch *watch, int what, void *arg)
{
    struct rhythm *rhythm = arg;

    CHECK(cel_watch_active(watch));
    CHECK_EQ(what, 0);
    note(rhythm, 't');
    if (rhythm->nslept >= 5) {
        for (int i = 0; i < 3; i++) {
            cel_watch_stop(rhythm->watches[i]);
        }
    }
}

static int
sleeping(void *arg)
{
    static struct rhythm rhythm;
    cel_watch **watches = rhythm.watches;

    (void)arg;
    CHECK_EQ(cel_watch_prepare(&watches[0], before_sleep, &rhythm), 0);
    CHECK_EQ(
        cel_watch_timer(&watches[1], CEL_MSEC, 3 * CEL_MSEC, tick, &rhythm),
        0);
    CHECK_EQ(cel_watch_check(&watches[2], after_sleep, &rhythm), 0);
    for (int i = 0; i < 3; i++) {
        start(watches[i]);
    }
    finish();
    CHECK_GE(rhythm.nslept, 5);
    CHECK_NE(rhythm.calls[0], 'c');
    for (size_t i = 1; i < rhythm.ncalls; i++) {
        /* Nothing comes between the one and the sleep. */
        CHECK(rhythm.calls[i] != 'c' || rhythm.calls[i - 1] == 'p');
    }
    for (int i = 0; i < 3; i++) {
        cel_watch_close(watches[i]);
    }
    return 0;
}

TEST(functions_are_called_before_and_after_the_thread_sleeps)
{
    run(sleeping);
}

static int
nothing_to_come(void *arg)
{
    struct seen seen = {0};
    cel_watch *watch;

    (void)arg;
    CHECK_EQ(cel_watch_prepare(&watch, count, &seen), 0);
    start(watch);
    CHECK_EQ(cel_watch_run(CEL_FOREVER), -EDEADLK);
    CHECK_EQ(seen.ncalls, 1);
    /* Where the moment has passed before there is a sleep, once more. */
    do {
        CHECK_EQ(cel_watch_run(cel_after(CEL_MSEC)), -ETIMEDOUT);
    } while (seen.ncalls < 2);
    cel_watch_close(watch);
    finish();
    return 0;
}

TEST(who_waits_for_sleeps_alone_waits_in_vain)
{
    run(nothing_to_come);
}

/* Once the other one has had its turn: on a slow machine the first time comes
   before that. */
static void
stop_both(cel_watch *watch, int what, void *arg)
{
    struct seen *seen = arg;

    (void)what;
    if (seen->ncalls > 10) {
        cel_watch_stop(watch);
        cel_watch_stop(seen->other);
    }
}

static int
idling(void *arg)
{
    struct seen seen = {.limit = 10};
    struct seen other = {0};
    cel_watch *timer;

    (void)arg;
    CHECK_EQ(cel_watch_idle(&seen.other, count, &seen), 0);
    start(seen.other);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(cel_yield(), 0); /* somebody is ready all the time */
    }
    CHECK_EQ(seen.ncalls, 0);
    finish();
    CHECK_EQ(seen.ncalls, 10);
    CHECK_EQ(seen.last, 0);
    /* What comes is not kept waiting. */
    seen.limit = 0;
    start(seen.other);
    CHECK_EQ(cel_watch_timer(&timer, 2 * CEL_MSEC, CEL_MSEC, stop_both, &seen),
             0);
    CHECK_EQ(cel_watch_prepare(&other.own, count, &other), 0);
    start(timer);
    start(other.own);
    CHECK_EQ(cel_watch_run(CEL_FOREVER), -EDEADLK);
    /* Only when none was idle. */
    CHECK_EQ(other.ncalls, 1);
    cel_watch_close(other.own);
    cel_watch_close(seen.other);
    cel_watch_close(timer);
    return 0;
}

TEST(idle_ones_are_called_while_nothing_else_is_ready)
{
    run(idling);
}

static int
slow_preparation(void *arg)
{
    struct seen seen = {.limit = 3};
    struct seen ticks = {0};

    (void)arg;
    CHECK_EQ(cel_watch_prepare(&seen.own, slow, &seen), 0);
    CHECK_EQ(cel_watch_timer(&ticks.own, 0, CEL_MSEC, count, &ticks), 0);
    start(seen.own);
    start(ticks.own);
    while (cel_watch_active(seen.own)) {
        CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    }
    /* It makes the thread sleep, for which it is not called. */
    CHECK_EQ(seen.ncalls, 3);
    cel_watch_close(seen.own);
    cel_watch_close(ticks.own);
    return 0;
}

TEST(a_function_that_suspends_is_not_called_meanwhile)
{
    run(slow_preparation);
}

static void
close_both(cel_watch *watch, int what, void *arg)
{
    struct seen *seen = arg;

    (void)what;
    seen->ncalls++;
    CHECK(watch == seen->own || watch == seen->other);
    cel_watch_close(seen->own);
    cel_watch_close(seen->other);
}

static int
closing(void *arg)
{
    struct seen seen = {0};
    int fds[2];

    (void)arg;
    CHECK_EQ(cel_pipe(fds), 0);
    for (int i = 0; i < 2; i++) {
        cel_watch **out = i == 0 ? &seen.own : &seen.other;
        CHECK_EQ(cel_watch_fd(out, fds[1], CEL_WRITABLE, close_both, &seen),
                 0);
        start(*out);
    }
    finish();
    CHECK_EQ(seen.ncalls, 1);
    (void)cel_close(fds[0]);
    (void)cel_close(fds[1]);
    return 0;
}

TEST(a_function_may_close_its_own_watcher_and_others)
{
    run(closing);
}

static void
stop_the_other(cel_watch *watch, int what, void *arg)
{
    struct seen *seen = arg;

    (void)what;
    seen->ncalls++;
    cel_watch_stop(watch == seen->own ? seen->other : seen->own);
    cel_watch_stop(watch);
}

static int
stopping_due_ones(void *arg)
{
    struct seen seen = {0};

    (void)arg;
    /* Both are due at one poll; whichever comes first stops the other. */
    CHECK_EQ(cel_watch_timer(&seen.own, 0, 0, stop_the_other, &seen), 0);
    CHECK_EQ(cel_watch_timer(&seen.other, 0, 0, stop_the_other, &seen), 0);
    for (int i = 1; i <= 20; i++) {
        start(seen.own);
        start(seen.other);
        finish();
        CHECK_EQ(seen.ncalls, i);
    }
    cel_watch_close(seen.own);
    cel_watch_close(seen.other);
    return 0;
}

TEST(one_that_is_due_and_stopped_is_not_called)
{
    run(stopping_due_ones);
}

static void
sleeper(cel_watch *watch, int what, void *arg)
{
    struct seen *seen = arg;

    (void)watch;
    (void)what;
    seen->ncalls++;
    CHECK_EQ(cel_sleep(cel_after(2 * CEL_MSEC)), 0);
    seen->ncalls++;
}

static int
suspended_call(void *arg)
{
    struct seen seen = {0};
    struct seen after = {.limit = 1};
    cel_watch *first;
    cel_watch *second;

    (void)arg;
    CHECK_EQ(cel_watch_timer(&first, 0, 0, sleeper, &seen), 0);
    CHECK_EQ(cel_watch_timer(&second, 0, 0, count, &after), 0);
    start(first);
    while (seen.ncalls == 0) {
        CHECK_EQ(cel_yield(), 0);
    }
    start(second);
    while (seen.ncalls == 1) {
        CHECK_EQ(after.ncalls, 0);
        CHECK_EQ(cel_yield(), 0);
    }
    finish();
    CHECK_EQ(after.ncalls, 1);
    /* Closed while its function sleeps. */
    start(first);
    while (seen.ncalls == 2) {
        CHECK_EQ(cel_yield(), 0);
    }
    cel_watch_close(first);
    finish();
    CHECK_EQ(seen.ncalls, 4);
    cel_watch_close(second);
    return 0;
}

TEST(a_function_may_suspend_and_the_others_wait)
{
    run(suspended_call);
}

static void
run_inside(cel_watch *watch, int what, void *arg)
{
    (void)what;
    (void)arg;
    cel_watch_stop(watch);
    CHECK_EQ(cel_watch_run(CEL_FOREVER), -EDEADLK);
}

static void
cancelled_run(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_watch_run(CEL_FOREVER), -ECANCELED);
}

static int
running(void *arg)
{
    struct seen seen = {.limit = 1};
    cel_watch *watch;

    (void)arg;
    CHECK_EQ(cel_watch_run(CEL_FOREVER), 0);
    CHECK_EQ(cel_watch_timer(&watch, 1000 * CEL_SEC, 0, count, &seen), 0);
    start(watch);
    CHECK_EQ(cel_watch_run(CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_watch_run(cel_after(CEL_MSEC)), -ETIMEDOUT);
    cel_coro *coro = go(cancelled_run, NULL);
    settle();
    cel_cancel(coro);
    join(coro);
    cel_watch_close(watch);
    finish();
    CHECK_EQ(cel_watch_timer(&watch, 0, 0, run_inside, &seen), 0);
    start(watch);
    finish();
    cel_watch_close(watch);
    return 0;
}

TEST(a_run_of_watchers_ends_with_the_last)
{
    run(running);
}

static int
errors(void *arg)
{
    struct seen seen = {0};
    cel_watch *watch;
    int fds[2];

    (void)arg;
    CHECK_EQ(cel_watch_fd(&watch, -1, CEL_READABLE, count, &seen), 0);
    CHECK_EQ(cel_watch_start(watch), -EBADF);
    CHECK(!cel_watch_active(watch));
    cel_watch_close(watch);
    CHECK_EQ(cel_watch_signal(&watch, SIGKILL, count, &seen), 0);
    CHECK_EQ(cel_watch_start(watch), -EINVAL);
    CHECK(!cel_watch_active(watch));
    cel_watch_close(watch);
    finish();
    CHECK_EQ(seen.ncalls, 0);
    /* Closed by someone who forgot about the watcher. */
    CHECK_EQ(cel_pipe(fds), 0);
    CHECK_EQ(cel_watch_fd(&watch, fds[0], CEL_READABLE, count, &seen), 0);
    start(watch);
    settle();
    (void)cel_close(fds[0]);
    (void)cel_close(fds[1]);
    finish();
    CHECK_EQ(seen.ncalls, 1);
    CHECK_EQ(seen.last, -ECANCELED);
    CHECK(!cel_watch_active(watch));
    cel_watch_close(watch);
    return 0;
}

TEST(what_can_not_be_watched_is_told)
{
    run(errors);
}

static void
raise_usr1(cel_watch *watch, int what, void *arg)
{
    struct seen *seen = arg;

    CHECK_EQ(what, SIGUSR1);
    if (++seen->ncalls == 3) {
        cel_watch_stop(watch);
    }
    else {
        CHECK_EQ(raise(SIGUSR1), 0);
    }
}

static int
signals(void *arg)
{
    struct seen seen = {0};
    struct sigaction now;
    cel_watch *watch;

    (void)arg;
    CHECK_EQ(cel_watch_signal(&watch, SIGUSR1, raise_usr1, &seen), 0);
    start(watch);
    settle();
    CHECK_EQ(raise(SIGUSR1), 0);
    finish();
    CHECK_EQ(seen.ncalls, 3);
    CHECK_EQ(sigaction(SIGUSR1, NULL, &now), 0);
    CHECK(now.sa_handler == SIG_DFL);
    cel_watch_close(watch);
    return 0;
}

TEST(signals_are_watched_between_start_and_stop)
{
    run(signals);
}

static void
spin(void *arg)
{
    struct seen *seen = arg;

    CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    seen->limit = seen->ncalls + 1;
}

static int
always_ready(void *arg)
{
    struct seen seen = {0};
    cel_watch *watch;

    (void)arg;
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    CHECK_GE(fd, 0);
    CHECK_EQ(cel_watch_fd(&watch, fd, CEL_READABLE, count, &seen), 0);
    start(watch);
    cel_coro *coro = go(spin, &seen);
    finish();
    join(coro);
    CHECK_EQ(seen.ncalls, seen.limit);
    cel_watch_close(watch);
    (void)cel_close(fd);
    return 0;
}

TEST(one_that_is_always_ready_lets_others_run)
{
    run(always_ready);
}

static int
many(void *arg)
{
    static cel_watch *watches[1000];
    struct seen seen = {0};

    (void)arg;
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(cel_watch_timer(&watches[i], i % 7 * (CEL_MSEC / 4), 0, count,
                                 &seen),
                 0);
        start(watches[i]);
    }
    for (int i = 0; i < 1000; i += 2) {
        cel_watch_stop(watches[i]);
    }
    finish();
    CHECK_EQ(seen.ncalls, 500);
    for (int i = 0; i < 1000; i++) {
        cel_watch_close(watches[i]);
    }
    return 0;
}

TEST(a_thousand_timers_less_the_stopped)
{
    run(many);
}

static void
close_at_the_end(void *arg)
{
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ECANCELED);
    cel_watch_close(arg);
}

static int
end_early(void *arg)
{
    cel_watch *watch;
    int fds[2];

    CHECK_EQ(cel_pipe(fds), 0);
    CHECK_EQ(cel_watch_fd(&watch, fds[0], CEL_READABLE, count, arg), 0);
    start(watch);
    CHECK_EQ(cel_go(NULL, close_at_the_end, watch), 0);
    CHECK_EQ(cel_watch_timer(&watch, 0, CEL_MSEC, slow, arg), 0);
    start(watch);
    CHECK_EQ(cel_go(NULL, close_at_the_end, watch), 0);
    settle();
    return 0;
}

static void
cancelled_sleep(cel_watch *watch, int what, void *arg)
{
    (void)watch;
    (void)what;
    (void)arg;
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ECANCELED);
}

static int
end_in_a_call(void *arg)
{
    cel_watch *watch;

    CHECK_EQ(cel_watch_timer(&watch, 0, 0, cancelled_sleep, arg), 0);
    start(watch);
    CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    cel_watch_close(watch);
    return 0;
}

TEST(the_end_of_a_run_stops_all)
{
    struct seen seen = {0};

    CHECK_EQ(cel_run(end_in_a_call, &seen, NULL), 0);
    CHECK_EQ(cel_run(end_early, &seen, NULL), 0);
}

TEST(outside_a_run_nothing_is_watched)
{
    struct seen seen = {0};
    cel_watch *watch;

    CHECK_EQ(cel_watch_fd(&watch, 0, CEL_READABLE, count, &seen), -EPERM);
    CHECK_EQ(cel_watch_timer(&watch, 0, 0, count, &seen), -EPERM);
    CHECK_EQ(cel_watch_signal(&watch, SIGUSR1, count, &seen), -EPERM);
    CHECK_EQ(cel_watch_run(CEL_FOREVER), -EPERM);
}
