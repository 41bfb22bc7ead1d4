/* SPDX-License-Identifier: MIT */
/*
 * Signals that coroutines receive: from whichever thread, however many, and
 * what is there before and after.
 */
#include "celadon/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "celadon/net.h"
#include "coros.h"

static cel_signals *
open_for(int first, int second)
{
    const int both[] = {first, second};
    cel_signals *signals = NULL;

    CHECK_EQ(cel_signals_open(&signals, both, second == 0 ? 1 : 2), 0);
    return signals;
}

static void
expect(cel_signals *signals, int signal)
{
    CHECK_EQ(cel_signals_wait(signals, CEL_FOREVER), signal);
}

static void
expect_none(cel_signals *signals)
{
    CHECK_EQ(cel_signals_wait(signals, CEL_AT_ONCE), -ETIMEDOUT);
}

static void
send_usr1(void *arg)
{
    (void)arg;
    CHECK_EQ(kill(getpid(), SIGUSR1), 0);
}

static int
receiving(void *arg)
{
    (void)arg;
    cel_signals *signals = open_for(SIGUSR1, SIGUSR2);
    expect_none(signals);
    CHECK_EQ(cel_signals_wait(signals, cel_after(CEL_MSEC)), -ETIMEDOUT);
    /* Before the wait, during it, twice. */
    CHECK_EQ(raise(SIGUSR2), 0);
    expect(signals, SIGUSR2);
    cel_coro *coro = go(send_usr1, NULL);
    expect(signals, SIGUSR1);
    join(coro);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(cel_signals_wait(signals, CEL_AT_ONCE), SIGUSR1);
    expect_none(signals);
    /* Both at once come one after the other. */
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(raise(SIGUSR2), 0);
    int first = cel_signals_wait(signals, CEL_FOREVER);
    int second = cel_signals_wait(signals, CEL_FOREVER);
    CHECK_EQ(first + second, SIGUSR1 + SIGUSR2);
    CHECK_NE(first, second);
    expect_none(signals);
    cel_signals_close(signals);
    cel_signals_close(NULL);
    return 0;
}

TEST(each_signal_is_received_once)
{
    run(receiving);
}

static int
refused(void *arg)
{
    const int bad[] = {0,       -1,     65,     1000,   SIGKILL, SIGSTOP,
                       SIGSEGV, SIGBUS, SIGFPE, SIGILL, 32,      33};
    cel_signals *signals = NULL;
    struct sigaction now;

    (void)arg;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const int both[] = {SIGUSR1, bad[i]};
        CHECK_EQ(cel_signals_open(&signals, both, 2), -EINVAL);
        CHECK(signals == NULL);
        CHECK_EQ(sigaction(SIGUSR1, NULL, &now), 0);
        CHECK(now.sa_handler == SIG_DFL);
    }
    CHECK_EQ(cel_signals_open(&signals, bad, 0), -EINVAL);
    return 0;
}

TEST(what_can_not_be_received_is_refused_and_changes_nothing)
{
    run(refused);
}

static int
no_descriptors(void *arg)
{
    const int usr1 = SIGUSR1;
    cel_signals *signals = NULL;
    struct sigaction now;
    struct rlimit limit;

    (void)arg;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct rlimit none = {0, limit.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    CHECK_EQ(cel_signals_open(&signals, &usr1, 1), -EMFILE);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK(signals == NULL);
    CHECK_EQ(sigaction(SIGUSR1, NULL, &now), 0);
    CHECK(now.sa_handler == SIG_DFL);
    return 0;
}

TEST(short_of_descriptors_nothing_changes)
{
    run(no_descriptors);
}

TEST(outside_a_run_nothing_is_received)
{
    const int usr1 = SIGUSR1;
    cel_signals *signals;

    CHECK_EQ(cel_signals_open(&signals, &usr1, 1), -EPERM);
}

static void
cancelled(void *arg)
{
    CHECK_EQ(cel_signals_wait(arg, CEL_FOREVER), -ECANCELED);
}

static int
giving_up(void *arg)
{
    (void)arg;
    cel_signals *signals = open_for(SIGUSR1, 0);
    cel_coro *coro = go(cancelled, signals);
    settle();
    cel_cancel(coro);
    join(coro);
    coro = go(cancelled, signals);
    settle();
    cel_signals_close(signals);
    join(coro);
    return 0;
}

TEST(cancelling_and_closing_end_a_wait)
{
    run(giving_up);
}

static volatile sig_atomic_t nhandled;

static void
handler(int signal)
{
    (void)signal;
    nhandled++;
}

static void
other_handler(int signal)
{
    (void)signal;
}

static int
before_and_after(void *arg)
{
    struct sigaction action = {.sa_flags = SA_NODEFER};
    struct sigaction now;

    (void)arg;
    action.sa_handler = handler;
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    signal(SIGUSR2, SIG_IGN);
    cel_signals *first = open_for(SIGUSR1, SIGUSR2);
    cel_signals *second = open_for(SIGUSR1, 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(raise(SIGUSR2), 0);
    cel_signals_close(first);
    CHECK_EQ(raise(SIGUSR2), 0); /* ignored again */
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(nhandled, 0);
    expect(second, SIGUSR1);
    cel_signals_close(second);
    CHECK_EQ(sigaction(SIGUSR1, NULL, &now), 0);
    CHECK(now.sa_handler == handler);
    CHECK_EQ(now.sa_flags & SA_NODEFER, SA_NODEFER);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(nhandled, 1);
    CHECK_EQ(sigaction(SIGUSR2, NULL, &now), 0);
    CHECK(now.sa_handler == SIG_IGN);
    /* A handler that another has set since stays. */
    first = open_for(SIGUSR1, 0);
    action.sa_handler = other_handler;
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    cel_signals_close(first);
    CHECK_EQ(sigaction(SIGUSR1, NULL, &now), 0);
    CHECK(now.sa_handler == other_handler);
    return 0;
}

TEST(what_was_set_before_comes_back_with_the_last_close)
{
    run(before_and_after);
}

static int
interrupt(void *arg)
{
    if (arg != NULL) {
        cel_signals *signals = open_for(SIGINT, 0);
        CHECK_EQ(raise(SIGINT), 0);
        expect(signals, SIGINT);
        cel_signals_close(signals);
    }
    (void)raise(SIGINT);
    return 0;
}

TEST(nobody_survives_an_interrupt_that_asked_for_none)
{
    for (int i = 0; i < 2; i++) {
        int status;
        pid_t pid = fork();
        CHECK_GE(pid, 0);
        if (pid == 0) {
            signal(SIGINT, SIG_DFL);
            _exit(cel_run(interrupt, i == 0 ? NULL : &status, NULL));
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK(WIFSIGNALED(status));
        CHECK_EQ(WTERMSIG(status), SIGINT);
    }
}

static int
two_objects(void *arg)
{
    (void)arg;
    cel_signals *first = open_for(SIGUSR1, 0);
    cel_signals *second = open_for(SIGUSR1, SIGUSR2);
    CHECK_EQ(raise(SIGUSR1), 0);
    expect(first, SIGUSR1);
    expect(second, SIGUSR1);
    CHECK_EQ(raise(SIGUSR2), 0);
    expect(second, SIGUSR2);
    expect_none(first);
    cel_signals_close(second);
    cel_signals_close(first);
    return 0;
}

TEST(each_object_receives_what_it_asked_for)
{
    run(two_objects);
}

struct taker {
    cel_signals *signals;
    int signal;
};

static void
take_one(void *arg)
{
    struct taker *taker = arg;

    taker->signal = cel_signals_wait(taker->signals, CEL_FOREVER);
}

static int
two_waiters(void *arg)
{
    (void)arg;
    cel_signals *signals = open_for(SIGUSR1, SIGUSR2);
    struct taker takers[2] = {{signals, 0}, {signals, 0}};
    cel_coro *first = go(take_one, &takers[0]);
    cel_coro *second = go(take_one, &takers[1]);
    settle();
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(raise(SIGUSR2), 0);
    join(first);
    join(second);
    CHECK_EQ(takers[0].signal + takers[1].signal, SIGUSR1 + SIGUSR2);
    expect_none(signals);
    cel_signals_close(signals);
    return 0;
}

TEST(two_that_wait_get_one_each)
{
    run(two_waiters);
}

#define NSENT 2000

static void *
send_many(void *arg)
{
    for (int i = 0; i < NSENT; i++) {
        (void)kill(getpid(), SIGUSR1);
    }
    (void)kill(getpid(), SIGUSR2);
    return arg;
}

static int
storm(void *arg)
{
    pthread_t threads[2];
    int nreceived = 0;
    int nends = 0;

    (void)arg;
    cel_signals *signals = open_for(SIGUSR1, SIGUSR2);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, send_many, NULL), 0);
    }
    while (nends == 0) {
        int signal = cel_signals_wait(signals, CEL_FOREVER);
        CHECK(signal == SIGUSR1 || signal == SIGUSR2);
        nreceived += signal == SIGUSR1;
        nends += signal == SIGUSR2;
    }
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    while (cel_signals_wait(signals, cel_after(CEL_MSEC)) > 0) {}
    CHECK_LE(nreceived, 2 * NSENT);
    /* After all that one more is one more. */
    CHECK_EQ(raise(SIGUSR1), 0);
    expect(signals, SIGUSR1);
    expect_none(signals);
    cel_signals_close(signals);
    return 0;
}

TEST(a_storm_is_received_as_some)
{
    if (CEL__TSAN) {
        SKIP("ThreadSanitizer keeps a signal, and all others blocked, for the "
             "coroutine that it came in");
    }
    run(storm);
}

static atomic_bool stop;

static void *
send_until_stopped(void *arg)
{
    while (!atomic_load(&stop)) {
        (void)kill(getpid(), SIGUSR1);
    }
    return arg;
}

static int
opening_in_a_storm(void *arg)
{
    pthread_t thread;

    (void)arg;
    signal(SIGUSR1, SIG_IGN);
    CHECK_EQ(pthread_create(&thread, NULL, send_until_stopped, NULL), 0);
    for (int i = 0; i < 200; i++) {
        cel_signals *signals = open_for(SIGUSR1, 0);
        expect(signals, SIGUSR1);
        cel_signals_close(signals);
    }
    atomic_store(&stop, true);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    return 0;
}

TEST(objects_come_and_go_in_a_storm)
{
    if (getenv("MESON_EXE_WRAPPER") != NULL) {
        SKIP("qemu (7.2) dies where a handler changes while signals arrive");
    }
    run(opening_in_a_storm);
}

static atomic_int nready;

static int
worker_waits(void *arg)
{
    cel_signals *signals = open_for(SIGUSR1, 0);

    (void)arg;
    atomic_fetch_add(&nready, 1);
    expect(signals, SIGUSR1);
    cel_signals_close(signals);
    return 0;
}

static void *
worker_main(void *arg)
{
    CHECK_EQ(cel_run(worker_waits, NULL, NULL), 0);
    return arg;
}

TEST(every_worker_receives_it_whichever_thread_got_it)
{
    pthread_t threads[4];
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, worker_main, NULL), 0);
    }
    while (atomic_load(&nready) < 4) {
        (void)usleep(1000);
    }
    /* This thread runs no coroutines; so all but the first are woken by
       another's handler. */
    CHECK_EQ(pthread_kill(threads[0], SIGUSR1), 0);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
}

static void
waits_over_fork(void *arg)
{
    struct taker *taker = arg;

    taker->signal = cel_signals_wait(taker->signals, CEL_FOREVER);
}

static int
forking(void *arg)
{
    int fds[2];
    char byte;

    (void)arg;
    cel_signals *signals = open_for(SIGUSR1, SIGUSR2);
    struct taker taker = {signals, 0};
    cel_coro *coro = go(waits_over_fork, &taker);
    settle();
    CHECK_EQ(cel_pipe(fds), 0);
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0) {
        CHECK_EQ(raise(SIGUSR2), 0);
        join(coro);
        CHECK_EQ(taker.signal, SIGUSR2);
        cel_signals_close(signals);
        (void)cel_close(fds[0]);
        (void)cel_close(fds[1]);
        return 42;
    }
    (void)cel_close(fds[1]);
    CHECK_EQ(cel_read(fds[0], &byte, 1, CEL_FOREVER), 0);
    (void)cel_close(fds[0]);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    /* What the child was sent is not ours. */
    settle();
    CHECK_EQ(taker.signal, 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    join(coro);
    CHECK_EQ(taker.signal, SIGUSR1);
    cel_signals_close(signals);
    return 0;
}

TEST(a_fork_receives_its_own)
{
    int result = cel_run(forking, NULL, NULL);

    if (result == 42) {
        _exit(42);
    }
    CHECK_EQ(result, 0);
}
