/* SPDX-License-Identifier: MIT */
/*
 * Channels between coroutines of one worker; of several, test_threads.c.
 */
#include "celadon/chan.h"

#include <errno.h>

#include "coros.h"

static cel_chan *
open_chan(size_t size, size_t capacity)
{
    cel_chan *chan;

    CHECK_EQ(cel_chan_open(&chan, size, capacity), 0);
    return chan;
}

/* One that sends or receives once, and what came of it. */
struct party {
    cel_chan *chan;
    cel_time deadline;
    int value;
    int code;
    int turn; /* the how-manieth to come back */
};

static int turns;

static void
send_one(void *arg)
{
    struct party *self = arg;

    self->code = cel_chan_send(self->chan, &self->value, self->deadline);
    self->turn = ++turns;
}

static void
recv_one(void *arg)
{
    struct party *self = arg;

    self->code = cel_chan_recv(self->chan, &self->value, self->deadline);
    self->turn = ++turns;
}

static void
send_now(cel_chan *chan, int value)
{
    CHECK_EQ(cel_chan_send(chan, &value, CEL_AT_ONCE), 0);
}

static int
recv_now(cel_chan *chan)
{
    int value = -1;

    CHECK_EQ(cel_chan_recv(chan, &value, CEL_AT_ONCE), 0);
    return value;
}

TEST(a_channel_of_more_bytes_than_there_are_is_refused)
{
    cel_chan *chan = NULL;

    CHECK_EQ(cel_chan_open(&chan, SIZE_MAX / 2, 3), -EINVAL);
    CHECK_EQ(cel_chan_open(&chan, SIZE_MAX, 1), -EINVAL);
    CHECK_PTR(chan, NULL);
    cel_chan_close(NULL);
}

TEST(outside_of_a_coroutine_nothing_waits)
{
    cel_chan *chan = open_chan(sizeof(int), 1);
    int value = 7;

    CHECK_EQ(cel_chan_recv(chan, &value, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_chan_recv(chan, &value, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_chan_send(chan, &value, CEL_FOREVER), 0);
    CHECK_EQ(cel_chan_send(chan, &value, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_chan_count(chan), 1);
    CHECK_EQ(recv_now(chan), 7);
    cel_chan_close(chan);
}

static int
buffer(void *arg)
{
    cel_chan *chan = open_chan(sizeof(int), 3);
    int value = 0;

    (void)arg;
    /* Twice round the buffer, so that it wraps. */
    for (int i = 0; i < 6; i++) {
        send_now(chan, i);
        send_now(chan, 100 + i);
        CHECK_EQ(cel_chan_count(chan), 2);
        CHECK_EQ(recv_now(chan), i);
        CHECK_EQ(recv_now(chan), 100 + i);
    }
    for (int i = 0; i < 3; i++) {
        send_now(chan, i);
    }
    CHECK_EQ(cel_chan_send(chan, &value, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_chan_send(chan, &value, cel_after(CEL_MSEC)), -ETIMEDOUT);
    CHECK_EQ(cel_chan_count(chan), 3);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(recv_now(chan), i);
    }
    value = 55;
    CHECK_EQ(cel_chan_recv(chan, &value, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_chan_recv(chan, &value, cel_after(CEL_MSEC)), -ETIMEDOUT);
    CHECK_EQ(value, 55);
    cel_chan_close(chan);
    return 0;
}

TEST(a_buffer_keeps_the_order)
{
    run(buffer);
}

static int
sizes(void *arg)
{
    struct {
        char bytes[100];
    } out, in = {{0}};
    cel_chan *big = open_chan(sizeof(out), 1);
    cel_chan *none = open_chan(0, 2);

    (void)arg;
    memset(&out, 'x', sizeof(out));
    CHECK_EQ(cel_chan_send(big, &out, CEL_FOREVER), 0);
    CHECK_EQ(cel_chan_recv(big, &in, CEL_FOREVER), 0);
    CHECK_MEM(&out, &in, sizeof(out));
    CHECK_EQ(cel_chan_send(none, NULL, CEL_AT_ONCE), 0);
    CHECK_EQ(cel_chan_send(none, NULL, CEL_AT_ONCE), 0);
    CHECK_EQ(cel_chan_send(none, NULL, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_chan_recv(none, NULL, CEL_AT_ONCE), 0);
    CHECK_EQ(cel_chan_count(none), 1);
    cel_chan_close(big);
    cel_chan_close(none);
    return 0;
}

TEST(values_have_any_size_and_none)
{
    run(sizes);
}

/* Three that wait, in order, and what they came to. */
static int
wait_in_turn(void *arg)
{
    cel_chan *chan = open_chan(sizeof(int), 0);
    struct party parties[3];
    cel_coro *coros[3];

    (void)arg;
    for (int i = 0; i < 3; i++) {
        parties[i] = (struct party){chan, CEL_FOREVER, i, 1, 0};
        coros[i] = go(send_one, &parties[i]);
        settle();
    }
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(parties[i].code, 1);
        CHECK_EQ(recv_now(chan), i);
    }
    for (int i = 0; i < 3; i++) {
        join(coros[i]);
        CHECK_EQ(parties[i].code, 0);
        coros[i] = go(recv_one, &parties[i]);
        settle();
    }
    for (int i = 0; i < 3; i++) {
        send_now(chan, 10 + i);
    }
    for (int i = 0; i < 3; i++) {
        join(coros[i]);
        CHECK_EQ(parties[i].code, 0);
        CHECK_EQ(parties[i].value, 10 + i);
    }
    cel_chan_close(chan);
    return 0;
}

TEST(who_waits_longest_is_served_first)
{
    run(wait_in_turn);
}

static int
wait_for_room(void *arg)
{
    cel_chan *chan = open_chan(sizeof(int), 1);
    struct party waiting = {chan, CEL_FOREVER, 2, 1, 0};

    (void)arg;
    send_now(chan, 1);
    cel_coro *coro = go(send_one, &waiting);
    settle();
    CHECK_EQ(waiting.code, 1);
    CHECK_EQ(recv_now(chan), 1);
    /* It has come in by now, whether it has run or not. */
    CHECK_EQ(cel_chan_count(chan), 1);
    CHECK_EQ(recv_now(chan), 2);
    join(coro);
    CHECK_EQ(waiting.code, 0);
    cel_chan_close(chan);
    return 0;
}

TEST(who_waits_for_room_comes_in_when_there_is_some)
{
    run(wait_for_room);
}

static int
shut_down(void *arg)
{
    cel_chan *chan = open_chan(sizeof(int), 1);
    struct party sender = {chan, CEL_FOREVER, 2, 1, 0};
    struct party receiver = {chan, CEL_FOREVER, 3, 1, 0};
    int value = 9;

    (void)arg;
    send_now(chan, 1);
    cel_coro *coro = go(send_one, &sender);
    settle();
    cel_chan_shutdown(chan);
    cel_chan_shutdown(chan);
    join(coro);
    CHECK_EQ(sender.code, -EPIPE);
    CHECK_EQ(cel_chan_send(chan, &value, CEL_AT_ONCE), -EPIPE);
    CHECK_EQ(recv_now(chan), 1);
    CHECK_EQ(cel_chan_recv(chan, &value, CEL_FOREVER), -EPIPE);
    CHECK_EQ(value, 9);
    cel_chan_close(chan);

    chan = open_chan(sizeof(int), 0);
    receiver.chan = chan;
    coro = go(recv_one, &receiver);
    settle();
    cel_chan_shutdown(chan);
    join(coro);
    CHECK_EQ(receiver.code, -EPIPE);
    CHECK_EQ(receiver.value, 3);
    cel_chan_close(chan);
    return 0;
}

TEST(a_shutdown_ends_those_who_wait_and_keeps_what_is_left)
{
    run(shut_down);
}

static int
give_up(void *arg)
{
    cel_chan *chan = open_chan(sizeof(int), 0);
    struct party sender = {chan, CEL_FOREVER, 1, 1, 0};
    struct party receiver = {chan, CEL_FOREVER, 2, 1, 0};
    int value;

    (void)arg;
    cel_coro *coro = go(send_one, &sender);
    settle();
    cel_cancel(coro);
    join(coro);
    CHECK_EQ(sender.code, -ECANCELED);
    CHECK_EQ(cel_chan_recv(chan, &value, CEL_AT_ONCE), -ETIMEDOUT);
    coro = go(recv_one, &receiver);
    settle();
    cel_cancel(coro);
    join(coro);
    CHECK_EQ(receiver.code, -ECANCELED);
    CHECK_EQ(cel_chan_send(chan, &value, CEL_AT_ONCE), -ETIMEDOUT);
    receiver.deadline = cel_after(CEL_MSEC);
    coro = go(recv_one, &receiver);
    join(coro);
    CHECK_EQ(receiver.code, -ETIMEDOUT);
    cel_chan_close(chan);
    return 0;
}

TEST(who_gives_up_leaves_nothing_behind)
{
    run(give_up);
}

static int
race(void *arg)
{
    cel_chan *chan = open_chan(sizeof(int), 0);
    struct party receiver = {chan, CEL_FOREVER, 2, 1, 0};
    struct party sender = {chan, CEL_FOREVER, 3, 1, 0};

    (void)arg;
    cel_coro *coro = go(recv_one, &receiver);
    settle();
    send_now(chan, 77);
    cel_cancel(coro); /* too late: the value is its own already */
    join(coro);
    CHECK_EQ(receiver.code, 0);
    CHECK_EQ(receiver.value, 77);

    coro = go(recv_one, &receiver);
    settle();
    cel_cancel(coro); /* ready to say so, but the value comes first */
    send_now(chan, 78);
    join(coro);
    CHECK_EQ(receiver.code, 0);
    CHECK_EQ(receiver.value, 78);

    coro = go(send_one, &sender);
    settle();
    cel_cancel(coro);
    CHECK_EQ(recv_now(chan), 3);
    join(coro);
    CHECK_EQ(sender.code, 0);
    cel_chan_close(chan);
    return 0;
}

TEST(a_value_handed_over_beats_a_cancel)
{
    run(race);
}

static int
be_alone(void *arg)
{
    cel_chan *chan = open_chan(sizeof(int), 0);
    int value;

    (void)arg;
    int code = cel_chan_recv(chan, &value, CEL_FOREVER);
    cel_chan_close(chan);
    return code;
}

TEST(who_is_alone_is_told_of_the_deadlock)
{
    if (CEL__TSAN || tap_valgrind()) {
        SKIP("the tool has threads of its own");
    }
    CHECK_EQ(cel_run(be_alone, NULL, NULL), -EDEADLK);
}

static void
keep_sending(void *arg)
{
    struct party *self = arg;

    while (cel_chan_send(self->chan, &self->value, CEL_FOREVER) == 0) {
        self->turn++;
    }
}

static void
keep_receiving(void *arg)
{
    struct party *self = arg;
    int value;

    while (cel_chan_recv(self->chan, &value, CEL_FOREVER) == 0) {}
}

static int
starve(void *arg)
{
    cel_chan *chan = open_chan(sizeof(int), 1000);
    struct party party = {.chan = chan};

    (void)arg;
    cel_coro *sender = go(keep_sending, &party);
    cel_coro *receiver = go(keep_receiving, &party);
    /* Those two never have to wait, and yet others run. */
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(cel_yield(), 0);
    }
    cel_chan_shutdown(chan);
    join(sender);
    join(receiver);
    CHECK_LT(party.turn, 100000);
    cel_chan_close(chan);
    return 0;
}

TEST(who_never_has_to_wait_yields)
{
    run(starve);
}
