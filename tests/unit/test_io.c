/* SPDX-License-Identifier: MIT */
/*
 * Operations that a coroutine waits for: deadlines, cancelling, fairness.
 */
#include "sched/io.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/sanitize.h"
#include "celadon/net.h"
#include "celadon/run.h"
#include "coros.h"
#include "sched/wait.h"
#include "sockets.h"

static int64_t
await_recv(int fd, void *buf, size_t len, cel_time deadline)
{
    struct cel__op op = {
        .code = CEL__OP_RECV,
        .fd = fd,
        .buf = buf,
        .len = len,
    };
    int64_t n = cel__op_await(cel__worker(), &op, deadline, "test");

    CHECK_EQ(op.state, CEL__OP_IDLE);
    CHECK(op.link.next == NULL || cel__list_empty(&op.link));
    return n;
}

/* A reader in a coroutine of its own. */
struct reader {
    cel_coro *coro;
    int fd;
    cel_time deadline;
    int64_t result;
    char byte;
};

static void
read_one(void *arg)
{
    struct reader *reader = arg;

    reader->result = 1000;
    reader->result = await_recv(reader->fd, &reader->byte, 1,
                                reader->deadline);
}

static void
start_reader(struct reader *reader, int fd)
{
    reader->fd = fd;
    reader->deadline = CEL_FOREVER;
    CHECK_EQ(cel_go(&reader->coro, read_one, reader), 0);
    CHECK_EQ(cel_yield(), 0);
    CHECK_EQ(reader->result, 1000);
}

static void
join_reader(struct reader *reader)
{
    CHECK_EQ(cel_join(reader->coro, cel_after(5 * CEL_SEC)), 0);
}

static int
quiet_socket(void *arg)
{
    int fds[2];
    char byte;

    (void)arg;
    CHECK_EQ(cel_socketpair(fds), 0);
    for (int i = 0; i < 2; i++) {
        cel_time begin = cel_now();
        CHECK_EQ(await_recv(fds[0], &byte, 1, begin + 3 * CEL_MSEC),
                 -ETIMEDOUT);
        CHECK_GE(cel_now() - begin, 3 * CEL_MSEC);
        cel_disown(fds[0]); /* and the same unowned */
    }
    CHECK_EQ(cel__worker()->loop.narmed, 0);
    return 0;
}

TEST(recv_on_a_quiet_socket_times_out)
{
    run(quiet_socket);
}

static int
past_deadlines(void *arg)
{
    int fds[2];
    char bytes[8];

    (void)arg;
    tcp_pair(fds);
    CHECK_EQ(cel_own(fds[0]), 0);
    /* Let an edge-triggered registration learn that nothing is there. */
    CHECK_EQ(await_recv(fds[0], bytes, 8, cel_after(CEL_MSEC)), -ETIMEDOUT);
    CHECK_EQ(await_recv(fds[0], bytes, 8, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(await_recv(fds[0], bytes, 8, 1), -ETIMEDOUT);
    put(fds[1], "a");
    usleep(1000);
    CHECK_EQ(await_recv(fds[0], bytes, 8, CEL_AT_ONCE), 1);
    put(fds[1], "b");
    usleep(1000);
    CHECK_EQ(await_recv(fds[0], bytes, 8, 1), 1);
    CHECK_EQ(cel__fd_await(cel__worker(), fds[0], CEL__READABLE, CEL_AT_ONCE,
                           "test"),
             -ETIMEDOUT);
    put(fds[1], "c");
    usleep(1000);
    CHECK_EQ(cel__fd_await(cel__worker(), fds[0], CEL__READABLE, CEL_AT_ONCE,
                           "test"),
             CEL__READABLE);
    CHECK_EQ(cel__fd_await(cel__worker(), fds[0], CEL__READABLE, 1, "test"),
             CEL__READABLE);
    return 0;
}

TEST(a_deadline_in_the_past_allows_one_attempt)
{
    run(past_deadlines);
}

static int
data_wakes(void *arg)
{
    struct reader readers[3];
    int fds[2];

    (void)arg;
    CHECK_EQ(cel_socketpair(fds), 0);
    for (int i = 0; i < 3; i++) {
        start_reader(&readers[i], fds[0]);
    }
    put(fds[1], "abc");
    for (int i = 0; i < 3; i++) {
        join_reader(&readers[i]);
        CHECK_EQ(readers[i].result, 1);
        CHECK_EQ(readers[i].byte, 'a' + i);
    }
    return 0;
}

TEST(data_wakes_readers_in_the_order_they_came)
{
    run(data_wakes);
}

static int
cancelling(void *arg)
{
    struct reader reader;
    int fds[2];

    (void)arg;
    CHECK_EQ(cel_socketpair(fds), 0);
    for (int owned = 1; owned >= 0; owned--) {
        start_reader(&reader, fds[0]);
        cel_cancel(reader.coro);
        join_reader(&reader);
        CHECK_EQ(reader.result, -ECANCELED);
        cel_disown(fds[0]);
    }
    CHECK_EQ(cel__worker()->loop.narmed, 0);
    /* Cancelled before it ran: what need not wait is still done. */
    reader.deadline = CEL_FOREVER;
    reader.fd = fds[0];
    CHECK_EQ(cel_go(&reader.coro, read_one, &reader), 0);
    cel_cancel(reader.coro);
    put(fds[1], "x");
    join_reader(&reader);
    if (!CEL__HARD) { /* which may pretend that it had to wait */
        CHECK_EQ(reader.result, 1);
    }
    return 0;
}

TEST(cancelling_ends_a_wait)
{
    run(cancelling);
}

static int
effect_first(void *arg)
{
    struct reader reader;
    int fds[2];

    (void)arg;
    tcp_pair(fds);
    CHECK_EQ(cel_own(fds[0]), 0);
    start_reader(&reader, fds[0]);
    put(fds[1], "x");
    usleep(1000);
    /* The event is taken, the reader made ready; then it is cancelled. */
    CHECK_EQ(cel__loop_poll(&cel__worker()->loop, 0), 0);
    cel_cancel(reader.coro);
    join_reader(&reader);
    CHECK_EQ(reader.result, 1);
    CHECK_EQ(reader.byte, 'x');
    return 0;
}

TEST(an_effect_that_came_first_is_what_is_returned)
{
    run(effect_first);
}

static int
closing(void *arg)
{
    struct reader readers[2];
    int fds[2];
    int again[2];

    (void)arg;
    CHECK_EQ(cel_socketpair(fds), 0);
    start_reader(&readers[0], fds[0]);
    start_reader(&readers[1], fds[0]);
    CHECK_EQ(cel_close(fds[0]), 0);
    CHECK_EQ(cel_socketpair(again), 0);
    CHECK_EQ(again[0], fds[0]); /* the number's next owner */
    put(again[1], "for the next one");
    for (int i = 0; i < 2; i++) {
        join_reader(&readers[i]);
        CHECK_EQ(readers[i].result, -ECANCELED);
    }
    char bytes[32];
    CHECK_EQ(cel_recv_all(again[0], bytes, 16, CEL_FOREVER), 16);
    return 0;
}

TEST(closing_wakes_waiters_and_spares_the_next_owner)
{
    run(closing);
}

static int nspins;
static bool others_ran;

static void
say_so(void *arg)
{
    (void)arg;
    others_ran = true;
}

static int
ready_calls(void *arg)
{
    int fds[2];
    char byte;

    (void)arg;
    CHECK_EQ(cel_socketpair(fds), 0);
    CHECK_EQ(cel_go(NULL, say_so, NULL), 0);
    for (nspins = 0; !others_ran; nspins++) {
        put(fds[1], "x");
        CHECK_EQ(await_recv(fds[0], &byte, 1, CEL_FOREVER), 1);
        CHECK_LT(nspins, 2 * CEL__BUDGET);
    }
    others_ran = false;
    CHECK_EQ(cel_go(NULL, say_so, NULL), 0);
    for (nspins = 0; !others_ran; nspins++) {
        CHECK_EQ(await_recv(fds[0], &byte, 1, CEL_AT_ONCE), -ETIMEDOUT);
        CHECK_LT(nspins, 2 * CEL__BUDGET);
    }
    return 0;
}

TEST(calls_that_never_wait_let_others_run)
{
    run(ready_calls);
}

static int
waits_for_readiness(void *arg)
{
    struct cel__worker *worker = cel__worker();
    int fds[2];

    (void)arg;
    CHECK_EQ(cel_socketpair(fds), 0);
    CHECK_EQ(cel__fd_await(worker, fds[0], CEL__READABLE | CEL__WRITABLE,
                           CEL_FOREVER, "test"),
             CEL__WRITABLE);
    CHECK_EQ(cel__fd_await(worker, fds[0], CEL__READABLE, cel_after(CEL_MSEC),
                           "test"),
             -ETIMEDOUT);
    CHECK_EQ(cel_close(fds[1]), 0);
    int64_t events = cel__fd_await(worker, fds[0], CEL__READABLE, CEL_FOREVER,
                                   "test");
    CHECK((events & CEL__READABLE) != 0 && (events & CEL__HUNG_UP) != 0);
    CHECK_EQ(cel__fd_await(worker, 9999, CEL__READABLE, CEL_FOREVER, "test"),
             -EBADF);
    return 0;
}

TEST(readiness_is_waited_for)
{
    run(waits_for_readiness);
}

/* ---- closed behind our back */

/* Waits in a coroutine of its own. */
struct waiter {
    cel_coro *coro;
    int fd;
    int events;
    int result;
};

static void
wait_once(void *arg)
{
    struct waiter *waiter = arg;

    waiter->result = cel_wait_fd(waiter->fd, waiter->events, CEL_FOREVER);
}

static void
start_waiter(struct waiter *waiter, int fd)
{
    waiter->fd = fd;
    waiter->coro = go(wait_once, waiter);
    CHECK_EQ(cel_yield(), 0);
}

static int
wait_both_ways(void *arg)
{
    struct waiter reader = {.events = CEL_READABLE};
    struct waiter writer = {.events = CEL_WRITABLE};
    int fds[2];

    (void)arg;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    while (write(fds[0], "x", 1) == 1) { /* until it is full */
    }
    int other = dup(fds[0]); /* for which the kernel goes on watching it */
    CHECK_GE(other, 0);
    start_waiter(&reader, fds[0]);
    start_waiter(&writer, fds[0]);
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    join(reader.coro);
    join(writer.coro);
    /* The number may be anybody's by now: neither hangs, and who waits for
       what will not come is told. */
    CHECK(reader.result == CEL_READABLE || reader.result == -EBADF);
    CHECK_EQ(writer.result, -EBADF);
    (void)close(other);
    (void)close(fds[1]);
    return 0;
}

TEST(who_waits_for_what_was_closed_behind_our_back_is_told)
{
    run(wait_both_ways);
}

static int
forking(void *arg)
{
    struct reader reader;
    int fds[2];
    int status;

    (void)arg;
    if (CEL__TSAN) {
        SKIP("it takes coroutines in a child for other threads");
    }
    CHECK_EQ(cel_socketpair(fds), 0);
    start_reader(&reader, fds[0]);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        put(fds[1], "c");
        join_reader(&reader);
        CHECK_EQ(reader.byte, 'c');
        CHECK_EQ(cel_close(fds[0]), 0);
        return 0;
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    put(fds[1], "p");
    join_reader(&reader);
    CHECK_EQ(reader.result, 1);
    CHECK_EQ(reader.byte, 'p');
    return 0;
}

TEST(both_sides_of_a_fork_go_on)
{
    run(forking);
}
