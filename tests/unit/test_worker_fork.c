/* SPDX-License-Identifier: MIT */
/* Workers in a program that forks. */
#include "sched/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "celadon/run.h"
#include "coros.h"
#include "os/forsake.h"
#include "sched/io.h"
#include "sched/wait.h"

/* In a child ThreadSanitizer ignores what orders a switch, and sees races. */
static void
needs_fork(void)
{
    if (CEL__TSAN) {
        SKIP("ThreadSanitizer can't follow coroutines into a child");
    }
}

static int slept;

static void
sleep_and_count(void *arg)
{
    CHECK_EQ(cel_sleep(*(cel_time *)arg), 0);
    slept++;
}

/* A byte through a socket pair made by whoever calls, and one made before. */
static void
talk(const int *fds)
{
    struct cel__worker *worker = cel__worker();
    char byte = 'x';
    struct cel__op op = {.code = CEL__OP_RECV, .fd = fds[0], .len = 1};

    op.buf = &byte;
    CHECK_EQ(cel__op_await(worker, &op, cel_after(CEL_MSEC), "recv"),
             -ETIMEDOUT);
    CHECK_EQ(send(fds[1], &byte, 1, 0), 1);
    CHECK_EQ(cel__op_await(worker, &op, CEL_FOREVER, "recv"), 1);
}

static int
fork_inside(void *arg)
{
    cel_time when = cel_after(20 * CEL_MSEC);
    cel_coro *coros[3];
    int fds[2];

    (void)arg;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(cel_go(&coros[i], sleep_and_count, &when), 0);
    }
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    talk(fds);
    (void)fflush(NULL);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    }
    talk(fds);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(cel_join(coros[i], CEL_FOREVER), 0);
    }
    CHECK_EQ(slept, 3);
    talk(fds);
    if (child > 0) {
        int status = -1;
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK_EQ(status, 0);
    }
    return 0;
}

TEST(after_a_fork_both_go_on)
{
    needs_fork();
    run(fork_inside);
}

static int
fork_and_leave(void *arg)
{
    *(pid_t *)arg = fork();
    return 0;
}

TEST(after_a_fork_both_may_end_at_once)
{
    needs_fork();
    pid_t child = -1;
    int status = -1;

    CHECK_EQ(cel_run(fork_and_leave, &child, NULL), 0);
    CHECK_GE(child, 0);
    if (child > 0) {
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK_EQ(status, 0);
    }
    else {
        CHECK_EQ(cel_run(fork_inside, NULL, NULL), 0);
    }
}

/* Those that are forsaken: one waits for a byte, one is always ready. */
static struct {
    int fds[2];
    bool over;
    int nrounds;
    ssize_t received;
} left;

static void
wait_for_byte(void *arg)
{
    char byte;
    struct cel__op op = {.code = CEL__OP_RECV, .fd = left.fds[0], .len = 1};

    (void)arg;
    op.buf = &byte;
    left.received = cel__op_await(cel__worker(), &op, CEL_FOREVER, "recv");
}

static void
go_round(void *arg)
{
    (void)arg;
    while (!left.over) {
        left.nrounds++;
        CHECK_EQ(cel_yield(), 0);
    }
}

/* In the child: they stay where they are, and what they waited for is had by
   who goes on. */
_Noreturn static void
go_on_alone(void)
{
    cel__forsake_others(cel__worker(), NULL);
    int nrounds = left.nrounds;
    CHECK_EQ(send(left.fds[1], "x", 1, 0), 1);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(cel_yield(), 0);
        CHECK_EQ(cel_sleep(cel_after(CEL_MSEC / 10)), 0);
    }
    CHECK_EQ(left.nrounds, nrounds);
    CHECK_EQ(left.received, 0);
    char byte = 0;
    CHECK_EQ(recv(left.fds[0], &byte, 1, MSG_DONTWAIT), 1);
    talk(left.fds);
    exit(0);
}

static int
fork_and_forsake(void *arg)
{
    cel_coro *coros[2];
    int status = -1;

    (void)arg;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, left.fds), 0);
    CHECK_EQ(cel_go(&coros[0], wait_for_byte, NULL), 0);
    CHECK_EQ(cel_go(&coros[1], go_round, NULL), 0);
    CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    (void)fflush(NULL);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        go_on_alone();
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(send(left.fds[1], "y", 1, 0), 1);
    CHECK_EQ(cel_join(coros[0], CEL_FOREVER), 0);
    left.over = true;
    CHECK_EQ(cel_join(coros[1], CEL_FOREVER), 0);
    CHECK_EQ(left.received, 1);
    return 0;
}

TEST(who_is_forsaken_in_a_child_never_runs_again)
{
    needs_fork();
    run(fork_and_forsake);
}
