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
#include "sched/io.h"
#include "sched/wait.h"
#include "tap.h"

static void
run(int (*fn)(void *arg))
{
    CHECK_EQ(cel_run(fn, NULL, NULL), 0);
}

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
