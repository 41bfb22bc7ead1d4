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
#include "celadon/workers.h"
#include "coros.h"

#define SOON cel_after(CEL_MSEC)
#define LATE cel_after(3600 * CEL_SEC)

TEST(outside_of_a_coroutine_there_are_no_scopes)
{
    cel_scope scope;

    CHECK_EQ(cel_scope_enter(&scope, SOON), -EPERM);
    CHECK_EQ(cel_scope_shield(&scope, SOON), -EPERM);
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

/* What a coroutine with a shield and who cancels it have in common. */
struct shielded {
    cel_chan *chan;
    int got;
};

/* The shield is up when a first value is sent; a second one ends the wait. */
static void
receive_shielded(void *arg)
{
    struct shielded *common = arg;
    cel_scope scope;
    int value = 0;

    CHECK_EQ(cel_scope_shield(&scope, LATE), 0);
    CHECK_EQ(cel_chan_recv(common->chan, &value, CEL_FOREVER), 0);
    CHECK_EQ(cel_chan_recv(common->chan, &value, CEL_FOREVER), 0);
    CHECK_EQ(cel_cancelled(), 0);
    CHECK_EQ(cel_scope_leave(&scope), 0);
    common->got = value;
    CHECK_EQ(cel_cancelled(), 1);
    CHECK_EQ(cel_chan_recv(common->chan, &value, CEL_FOREVER), -ECANCELED);
    /* Once more, after the cancel. */
    CHECK_EQ(cel_scope_shield(&scope, LATE), 0);
    CHECK_EQ(cel_sleep(SOON), 0);
    CHECK_EQ(cel_scope_leave(&scope), 0);
    CHECK_EQ(cel_sleep(SOON), -ECANCELED);
}

/* At the worker of the number `worker`. */
static void
cancel_shielded(int worker)
{
    struct shielded common = {.got = 0};
    cel_coro *coro;

    CHECK_EQ(cel_chan_open(&common.chan, sizeof(int), 0), 0);
    CHECK_EQ(cel_go_on(&coro, worker, receive_shielded, &common), 0);
    for (int value = 1; value <= 2; value++) {
        CHECK_EQ(cel_chan_send(common.chan, &value, CEL_FOREVER), 0);
        cel_cancel(coro);
        CHECK_EQ(cel_sleep(SOON), 0);
    }
    join(coro);
    CHECK_EQ(common.got, 2);
    cel_chan_close(common.chan);
}

static int
cancel_at_each_worker(void *arg)
{
    (void)arg;
    for (int i = 0; i < cel_workers(); i++) {
        cancel_shielded(i);
    }
    return 0;
}

TEST(a_cancel_does_not_come_through_a_shield_and_counts_behind_it)
{
    cel_options options;

    cel_options_init(&options);
    options.workers = 2;
    CHECK_EQ(cel_run(cancel_at_each_worker, NULL, &options), 0);
}

static int
bound_shields(void *arg)
{
    cel_scope outer;
    cel_scope shield;
    cel_scope inner;

    (void)arg;
    CHECK_EQ(cel_scope_shield(&shield, CEL_FOREVER), -EINVAL);
    CHECK_EQ(cel_scope_enter(&outer, CEL_AT_ONCE), 0);
    CHECK_EQ(cel_sleep(SOON), -ETIMEDOUT);
    CHECK_EQ(cel_scope_shield(&shield, LATE), 0);
    CHECK_EQ(cel_sleep(SOON), 0);
    CHECK_EQ(cel_scope_enter(&inner, SOON), 0);
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ETIMEDOUT);
    CHECK_EQ(cel_scope_leave(&inner), -ETIMEDOUT);
    CHECK_EQ(cel_scope_leave(&shield), 0);
    CHECK_EQ(cel_sleep(SOON), -ETIMEDOUT);
    CHECK_EQ(cel_scope_leave(&outer), -ETIMEDOUT);

    CHECK_EQ(cel_scope_shield(&shield, SOON), 0);
    CHECK_EQ(cel_scope_shield(&inner, LATE), 0);
    CHECK_EQ(cel_sleep(SOON), 0);
    CHECK_EQ(cel_scope_leave(&inner), 0);
    CHECK_EQ(cel_sleep(LATE), -ETIMEDOUT);
    CHECK_EQ(cel_scope_leave(&shield), -ETIMEDOUT);
    CHECK_EQ(cel_sleep(SOON), 0);
    return 0;
}

TEST(a_shield_has_a_deadline_of_its_own_and_no_other)
{
    run(bound_shields);
}

static int ncleaned;

static void
clean_up(void *arg)
{
    cel_scope outer;
    cel_scope inner;

    (void)arg;
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ECANCELED);
    CHECK_EQ(cel_scope_shield(&outer, LATE), 0);
    CHECK_EQ(cel_scope_shield(&inner, LATE), 0);
    CHECK_EQ(cel_sleep(SOON), 0);
    CHECK_EQ(cel_scope_leave(&inner), 0);
    CHECK_EQ(cel_sleep(SOON), 0);
    ncleaned++;
    /* Not left: the next coroutine in its place has none of it. */
}

static int
leave_it_to_the_end(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        (void)go(clean_up, NULL);
    }
    CHECK_EQ(cel_sleep(SOON), 0);
    return 0;
}

TEST(the_end_of_a_run_waits_for_shields)
{
    run(leave_it_to_the_end);
    CHECK_EQ(ncleaned, 3);
}

static int
leave_shields_up(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) {
        cel_coro *coro = go(clean_up, NULL);
        settle();
        cel_cancel(coro);
        join(coro);
    }
    return 0;
}

TEST(a_shield_ends_with_its_coroutine)
{
    run(leave_shields_up);
    CHECK_EQ(ncleaned, 100);
}
