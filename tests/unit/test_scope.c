/* SPDX-License-Identifier: MIT */
/*
 * Deadlines of scopes.
 */
#include "celadon/scope.h"

#include <errno.h>
#include <sys/socket.h>

#include "celadon/chan.h"
#include "celadon/net.h"
#include "celadon/sync.h"
#include "coros.h"

#define SOON cel_after(CEL_MSEC)
#define LATE cel_after(3600 * CEL_SEC)

TEST(outside_of_a_coroutine_there_are_no_scopes)
{
    cel_scope scope;

    CHECK_EQ(cel_scope_enter(&scope, SOON), -EPERM);
    CHECK_EQ(cel_scope_leave(&scope), -EPERM);
}

static int
bound(void *arg)
{
    cel_chan *chan;
    cel_scope scope;
    int value;

    (void)arg;
    CHECK_EQ(cel_chan_open(&chan, sizeof(value), 0), 0);
    CHECK_EQ(cel_scope_enter(&scope, SOON), 0);
    CHECK_EQ(cel_chan_recv(chan, &value, CEL_FOREVER), -ETIMEDOUT);
    CHECK_EQ(cel_chan_recv(chan, &value, LATE), -ETIMEDOUT);
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ETIMEDOUT);
    CHECK_EQ(cel_sleep(LATE), -ETIMEDOUT);
    CHECK_EQ(cel_sleep(CEL_AT_ONCE), 0);
    CHECK_EQ(cel_yield(), 0);
    CHECK_EQ(cel_scope_leave(&scope), -ETIMEDOUT);

    /* It bounds nothing after. */
    CHECK_EQ(cel_sleep(SOON), 0);
    CHECK_EQ(cel_scope_enter(&scope, LATE), 0);
    CHECK_EQ(cel_sleep(SOON), 0);
    CHECK_EQ(cel_chan_recv(chan, &value, SOON), -ETIMEDOUT);
    CHECK_EQ(cel_scope_leave(&scope), 0);
    cel_chan_close(chan);
    return 0;
}

TEST(a_scope_bounds_calls_that_take_no_deadline)
{
    run(bound);
}

static int
bound_io(void *arg)
{
    cel_scope scope;
    char byte;
    int fds[2];

    (void)arg;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    CHECK_EQ(cel_scope_enter(&scope, SOON), 0);
    CHECK_EQ(cel_recv(fds[0], &byte, 1, 0, CEL_FOREVER), -ETIMEDOUT);
    /* It may be over, and what needs no waiting works still. */
    CHECK_EQ(cel_send(fds[1], "x", 1, 0, CEL_FOREVER), 1);
    CHECK_EQ(cel_recv(fds[0], &byte, 1, 0, CEL_FOREVER), 1);
    CHECK_EQ(cel_scope_leave(&scope), -ETIMEDOUT);
    CHECK_EQ(cel_close(fds[0]), 0);
    CHECK_EQ(cel_close(fds[1]), 0);
    return 0;
}

TEST(a_scope_bounds_what_sockets_wait_for)
{
    run(bound_io);
}

static int
nest(void *arg)
{
    cel_scope outer;
    cel_scope inner;

    (void)arg;
    /* The inner one is earlier: it fires, the outer does not. */
    CHECK_EQ(cel_scope_enter(&outer, LATE), 0);
    CHECK_EQ(cel_scope_enter(&inner, SOON), 0);
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ETIMEDOUT);
    CHECK_EQ(cel_scope_leave(&inner), -ETIMEDOUT);
    CHECK_EQ(cel_sleep(SOON), 0);
    CHECK_EQ(cel_scope_leave(&outer), 0);

    /* The outer one is earlier: it fires through the inner. */
    CHECK_EQ(cel_scope_enter(&outer, SOON), 0);
    CHECK_EQ(cel_scope_enter(&inner, LATE), 0);
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ETIMEDOUT);
    CHECK_EQ(cel_scope_leave(&inner), 0);
    CHECK_EQ(cel_scope_leave(&outer), -ETIMEDOUT);

    /* Neither has ended anything. */
    CHECK_EQ(cel_scope_enter(&outer, CEL_FOREVER), 0);
    CHECK_EQ(cel_scope_enter(&inner, CEL_AT_ONCE), 0);
    CHECK_EQ(cel_scope_leave(&inner), 0);
    CHECK_EQ(cel_scope_leave(&outer), 0);
    return 0;
}

TEST(of_nested_scopes_the_earliest_counts)
{
    run(nest);
}

static void
sleep_in_scope(void *arg)
{
    cel_scope scope;

    (void)arg;
    CHECK_EQ(cel_scope_enter(&scope, LATE), 0);
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ECANCELED);
    CHECK_EQ(cel_scope_leave(&scope), 0);
}

static void
wait_without_scope(void *arg)
{
    cel_event *over = arg;

    CHECK_EQ(cel_event_wait(over, CEL_FOREVER), 0);
}

static int
others(void *arg)
{
    cel_scope scope;
    cel_event *over;

    (void)arg;
    CHECK_EQ(cel_event_open(&over), 0);
    CHECK_EQ(cel_scope_enter(&scope, SOON), 0);
    cel_coro *unbound = go(wait_without_scope, over);
    cel_coro *cancelled = go(sleep_in_scope, NULL);
    CHECK_EQ(cel_join(unbound, CEL_FOREVER), -ETIMEDOUT);
    CHECK_EQ(cel_scope_leave(&scope), -ETIMEDOUT);
    cel_event_set(over);
    join(unbound);
    cel_event_close(over);
    cel_cancel(cancelled);
    join(cancelled);
    return 0;
}

TEST(a_scope_is_its_coroutines_own)
{
    run(others);
}
