/* SPDX-License-Identifier: MIT */
/*
 * The loop and its backends: opening, sleeping, waking, forgetting, fork.
 *
 * System calls are counted by standing in front of the C library's.
 */
#include "io/loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "ops.h"
#include "sockets.h"

static int nwaits;
static bool is_old; /* as Linux before 5.11, or in a sandbox */

/* The C library's names for their parameters are its own:
   NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
int
epoll_wait(int epoll, struct epoll_event *events, int room, int timeout)
{
    nwaits++;
    return (int)syscall(SYS_epoll_pwait, epoll, events, room, timeout, NULL,
                        0);
}

int
epoll_pwait2(int epoll, struct epoll_event *events, int room,
             const struct timespec *timeout, const sigset_t *mask)
{
    (void)mask;
    nwaits++;
    if (is_old) {
        errno = ENOSYS;
        return -1;
    }
    return (int)syscall(SYS_epoll_pwait2, epoll, events, room, timeout, NULL,
                        0);
}

int
ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
      const sigset_t *mask)
{
    struct timespec copy = {0, 0};

    (void)mask;
    nwaits++;
    if (timeout != NULL) {
        copy = *timeout; /* the system call changes it */
    }
    return (int)syscall(SYS_ppoll, fds, count, timeout == NULL ? NULL : &copy,
                        NULL, 0);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

static struct cel__loop *
open_loop(void)
{
    static struct cel__loop loop;

    CHECK_EQ(cel__loop_open(&loop, NULL), 0);
    return &loop;
}

TEST(an_unknown_backend_is_refused)
{
    struct cel__loop loop;

    CHECK_EQ(cel__loop_open(&loop, "kqueue"), -EINVAL);
    CHECK_EQ(setenv("CELADON_BACKEND", "select", 1), 0);
    CHECK_EQ(cel__loop_open(&loop, NULL), -EINVAL);
}

TEST(the_environment_names_the_backend)
{
    struct cel__loop loop;

    CHECK_EQ(setenv("CELADON_BACKEND", "poll", 1), 0);
    CHECK_EQ(cel__loop_open(&loop, NULL), 0);
    CHECK_STR(loop.backend->name, "poll");
    cel__loop_close(&loop);
    CHECK_EQ(cel__loop_open(&loop, "epoll"), 0);
    CHECK_STR(loop.backend->name, "epoll");
    cel__loop_close(&loop);
    CHECK_EQ(setenv("CELADON_BACKEND", "", 1), 0);
    CHECK_EQ(cel__loop_open(&loop, NULL), 0);
    CHECK_STR(loop.backend->name, "epoll");
    cel__loop_close(&loop);
}

TEST(a_loop_without_descriptors_to_spare_does_not_open)
{
    struct cel__loop loop;
    struct rlimit old;

    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    struct rlimit limit = {20, old.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while (dup(0) >= 0) {}
    CHECK_EQ(cel__loop_open(&loop, NULL), -EMFILE);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0); /* for LeakSanitizer */
}

TEST(a_sleep_ends_in_time)
{
    struct cel__loop *loop = open_loop();

    cel_time begin = cel_now();
    CHECK_EQ(cel__loop_poll(loop, 3 * CEL_MSEC / 2), 0);
    CHECK_GE(cel_now() - begin, 3 * CEL_MSEC / 2);
    cel__loop_close(loop);
}

TEST(an_old_kernel_sleeps_in_milliseconds)
{
    struct cel__loop *loop = open_loop();

    is_old = true;
    for (int i = 0; i < 2; i++) {
        cel_time begin = cel_now();
        CHECK_EQ(cel__loop_poll(loop, 3 * CEL_MSEC / 2), 0);
        CHECK_GE(cel_now() - begin, 3 * CEL_MSEC / 2);
    }
    cel__loop_close(loop);
}

TEST(a_look_at_nothing_makes_no_system_call)
{
    struct cel__loop *loop = open_loop();
    struct job job;
    int fds[2];

    unix_pair(fds);
    nwaits = 0;
    CHECK_EQ(cel__loop_poll(loop, 0), 0);
    CHECK_EQ(nwaits, 0);
    job_wait_recv(loop, &job, fds[0], 1);
    CHECK_EQ(cel__loop_poll(loop, 0), 0);
    CHECK_EQ(nwaits, 1);
    cel__loop_close(loop);
}

static int nbefore;
static int nafter;

static void
before_sleep(struct cel__loop *loop)
{
    (void)loop;
    nbefore++;
}

static void
after_sleep(struct cel__loop *loop)
{
    (void)loop;
    nafter++;
}

TEST(the_hooks_stand_around_a_sleep_only)
{
    struct cel__loop *loop = open_loop();
    struct job job;
    int fds[2];

    unix_pair(fds);
    loop->before_sleep = before_sleep;
    loop->after_sleep = after_sleep;
    job_wait_recv(loop, &job, fds[0], 1);
    CHECK_EQ(cel__loop_poll(loop, 0), 0);
    CHECK_EQ(nbefore, 0);
    CHECK_EQ(cel__loop_poll(loop, 1), 0);
    CHECK_EQ(nbefore, 1);
    CHECK_EQ(nafter, 1);
    cel__loop_close(loop);
}

static void *
wake_soon(void *arg)
{
    usleep(20000);
    cel__loop_wake(arg);
    return NULL;
}

TEST(another_thread_wakes_a_sleeping_loop)
{
    struct cel__loop *loop = open_loop();
    pthread_t thread;

    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pthread_create(&thread, NULL, wake_soon, loop), 0);
        CHECK_EQ(cel__loop_poll(loop, CEL_FOREVER), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
    cel__loop_close(loop);
}

TEST(a_wake_before_the_sleep_is_not_lost_and_not_kept)
{
    struct cel__loop *loop = open_loop();

    for (int i = 0; i < 200; i++) {
        cel__loop_wake(loop);
    }
    CHECK_EQ(cel__loop_poll(loop, CEL_FOREVER), 0);
    cel_time begin = cel_now();
    CHECK_EQ(cel__loop_poll(loop, 5 * CEL_MSEC), 0);
    CHECK_GE(cel_now() - begin, 5 * CEL_MSEC);
    cel__loop_close(loop);
}

static void
ignore(int signal)
{
    (void)signal;
}

TEST(a_signal_ends_a_sleep)
{
    struct cel__loop *loop = open_loop();
    struct sigaction action = {.sa_handler = ignore};

    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
    ualarm(20000, 0);
    CHECK_EQ(cel__loop_poll(loop, CEL_FOREVER), -EINTR);
    cel__loop_close(loop);
}

TEST(closing_the_loop_ends_what_waits)
{
    struct cel__loop *loop = open_loop();
    struct job read;
    struct job poll;
    int fds[2];

    unix_pair(fds);
    cel__loop_own(loop, fds[0]);
    job_wait_recv(loop, &read, fds[0], 1);
    job_wait_poll(loop, &poll, fds[1], CEL__READABLE);
    CHECK_EQ(loop->narmed, 2);
    cel__loop_close(loop);
    CHECK_EQ(read.ndone, 1);
    CHECK_EQ(read.op.result, -ECANCELED);
    CHECK_EQ(poll.ndone, 1);
    CHECK_EQ(poll.op.result, -ECANCELED);
}

TEST(forgetting_wakes_its_waiters_and_never_the_next_owner)
{
    struct cel__loop *loop = open_loop();
    struct job old[3];
    struct job next;
    int fds[2];
    int other[2];

    tcp_pair(fds);
    tcp_pair(other);
    cel__loop_own(loop, fds[0]);
    job_wait_recv(loop, &old[0], fds[0], 1);
    job_wait_recv(loop, &old[1], fds[0], 1);
    job_wait_poll(loop, &old[2], fds[0], CEL__READABLE);
    /* The event is in the kernel's list, and not taken yet. */
    put(fds[1], "x");
    cel__loop_forget(loop, fds[0], -ECANCELED);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(old[i].ndone, 1);
        CHECK_EQ(old[i].op.result, -ECANCELED);
    }
    int copy = dup(fds[0]); /* keeps the old one alive */
    CHECK_EQ(dup2(other[0], fds[0]), fds[0]);
    cel__loop_own(loop, fds[0]);
    job_wait_recv(loop, &next, fds[0], 1);
    put(fds[1], "more for the old one");
    settle(loop);
    CHECK_EQ(next.ndone, 0);
    put(other[1], "n");
    job_finish(loop, &next);
    CHECK_EQ(next.op.result, 1);
    CHECK_EQ(next.bytes[0], 'n');
    close(copy);
    cel__loop_close(loop);
}

TEST(a_number_owned_again_starts_afresh)
{
    struct cel__loop *loop = open_loop();
    struct job old;
    struct job next;
    int fds[2];
    int other[2];

    tcp_pair(fds);
    tcp_pair(other);
    cel__loop_own(loop, fds[0]);
    job_wait_recv(loop, &old, fds[0], 1);
    /* Against the rules: closed without a word. */
    CHECK_EQ(dup2(other[0], fds[0]), fds[0]);
    cel__loop_own(loop, fds[0]);
    CHECK_EQ(old.ndone, 1);
    CHECK_EQ(old.op.result, -ECANCELED);
    job_wait_recv(loop, &next, fds[0], 1);
    put(other[1], "n");
    job_finish(loop, &next);
    CHECK_EQ(next.op.result, 1);
    cel__loop_close(loop);
}

TEST(an_unowned_descriptor_reused_behind_our_back_still_works)
{
    struct cel__loop *loop = open_loop();
    struct job job;
    int fds[2];
    int other[2];

    unix_pair(fds);
    unix_pair(other);
    job_wait_poll(loop, &job, fds[0], CEL__READABLE);
    cel__loop_cancel(loop, &job.op, -ETIMEDOUT);
    CHECK_EQ(job.op.result, -ETIMEDOUT);
    int copy = dup(fds[0]); /* keeps the old one alive */
    CHECK_EQ(dup2(other[0], fds[0]), fds[0]);
    job_wait_recv(loop, &job, fds[0], 1);
    put(fds[1], "x");
    settle(loop);
    CHECK_EQ(job.ndone, 0);
    put(other[1], "n");
    job_finish(loop, &job);
    CHECK_EQ(job.bytes[0], 'n');
    close(copy);
    cel__loop_close(loop);
}

TEST(an_unowned_descriptor_closed_behind_our_back_harms_nobody)
{
    struct cel__loop *loop = open_loop();
    struct job lost;
    struct job job;
    int fds[2];
    int other[2];

    unix_pair(fds);
    unix_pair(other);
    job_wait_recv(loop, &lost, fds[0], 1);
    job_wait_recv(loop, &job, other[0], 1);
    close(fds[0]);
    settle(loop);
    put(other[1], "n");
    job_finish(loop, &job);
    CHECK_EQ(job.op.result, 1);
    if (lost.ndone == 0) {
        cel__loop_cancel(loop, &lost.op, -ECANCELED);
    }
    CHECK_EQ(lost.ndone, 1);
    job_init(&job, CEL__OP_POLL, fds[0]);
    job.op.events = CEL__READABLE;
    CHECK_EQ(cel__loop_submit(loop, &job.op) < 0 ? -EBADF : job.op.result,
             -EBADF);
    CHECK_EQ(loop->narmed, 0);
    cel__loop_close(loop);
}

TEST(a_negative_descriptor_is_refused)
{
    struct cel__loop *loop = open_loop();
    struct job job;

    job_init(&job, CEL__OP_RECV, -1);
    int err = cel__loop_submit(loop, &job.op);
    CHECK(err == -EBADF || (err == 1 && job.op.result == -EBADF));
    job_init(&job, CEL__OP_POLL, -1);
    job.op.events = CEL__READABLE;
    err = cel__loop_submit(loop, &job.op);
    CHECK(err == -EBADF || (err == 1 && job.op.result == -EBADF));
    cel__loop_forget(loop, -1, -ECANCELED);
    cel__loop_own(loop, -1);
    CHECK(!cel__loop_owns(loop, -1));
    cel__loop_close(loop);
}

/* Wait for a child that must exit with 0. */
static void
reap(pid_t child)
{
    int status;

    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

TEST(after_a_fork_both_processes_go_on)
{
    struct cel__loop *loop = open_loop();
    struct job own;
    struct job bare;
    int fds[2];
    int other[2];

    tcp_pair(fds);
    unix_pair(other);
    cel__loop_own(loop, fds[0]);
    job_wait_recv(loop, &own, fds[0], 2);
    job_wait_poll(loop, &bare, other[0], CEL__READABLE);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        put(fds[1], "a");
        job_finish(loop, &own);
        CHECK_EQ(own.op.result, 1);
        put(other[1], "c");
        job_finish(loop, &bare);
        CHECK_EQ(bare.op.result, CEL__READABLE);
        cel__loop_forget(loop, fds[0], -ECANCELED);
        close(fds[0]);
        cel__loop_close(loop);
        exit(0);
    }
    reap(child);
    /* The child took the bytes, forgot the descriptor and closed it: all
       that is no matter of ours. */
    job_finish(loop, &bare);
    CHECK_EQ(own.ndone, 0);
    put(fds[1], "d");
    job_finish(loop, &own);
    CHECK_EQ(own.op.result, 1);
    CHECK_EQ(own.bytes[0], 'd');
    cel__loop_close(loop);
}

TEST(forgetting_first_thing_in_a_child_spares_the_parent)
{
    struct cel__loop *loop = open_loop();
    struct job job;
    int fds[2];

    tcp_pair(fds);
    cel__loop_own(loop, fds[0]);
    job_wait_recv(loop, &job, fds[0], 1);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        cel__loop_forget(loop, fds[0], -ECANCELED);
        CHECK_EQ(job.ndone, 1);
        exit(0);
    }
    reap(child);
    put(fds[1], "x");
    job_finish(loop, &job);
    CHECK_EQ(job.op.result, 1);
    cel__loop_close(loop);
}

TEST(a_loop_whose_own_descriptors_were_closed_makes_new_ones)
{
    struct cel__loop *loop = open_loop();
    struct job job;
    int fds[2];

    tcp_pair(fds);
    cel__loop_own(loop, fds[0]);
    job_wait_recv(loop, &job, fds[0], 1);
    for (int fd = 3; fd < 64; fd++) {
        if (fd != fds[0] && fd != fds[1]) {
            close(fd);
        }
    }
    CHECK_EQ(cel__loop_poll(loop, CEL_MSEC), 0);
    put(fds[1], "x");
    job_finish(loop, &job);
    CHECK_EQ(job.op.result, 1);
    cel__loop_wake(loop);
    CHECK_EQ(cel__loop_poll(loop, CEL_FOREVER), 0);
    cel__loop_close(loop);
}

TEST(four_hundred_descriptors_wait_at_once)
{
    enum {
        N = 400
    }; /* below the usual limit of 1024 */
    struct cel__loop *loop = open_loop();
    static struct job jobs[N];
    int fds[N][2];

    for (int i = 0; i < N; i++) {
        unix_pair(fds[i]);
        if (i % 2 == 0) {
            cel__loop_own(loop, fds[i][0]);
        }
        job_wait_recv(loop, &jobs[i], fds[i][0], 1);
    }
    CHECK_EQ(loop->narmed, N);
    for (int i = N - 1; i >= 0; i--) {
        put(fds[i][1], "x");
    }
    for (int i = 0; i < N; i++) {
        job_finish(loop, &jobs[i]);
    }
    CHECK_EQ(loop->narmed, 0);
    cel__loop_close(loop);
}
