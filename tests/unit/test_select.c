/* SPDX-License-Identifier: MIT */
/*
 * Waiting at several channels at once, in one worker.
 */
#include <errno.h>

#include "celadon/chan.h"
#include "coros.h"

enum {
    NCHANS = 4
};

static cel_chan *chans[NCHANS];

static void
open_all(size_t capacity)
{
    for (int i = 0; i < NCHANS; i++) {
        CHECK_EQ(cel_chan_open(&chans[i], sizeof(int), capacity), 0);
    }
}

static void
close_all(void)
{
    for (int i = 0; i < NCHANS; i++) {
        cel_chan_close(chans[i]);
    }
}

/* A select over all channels, and what came of it. */
struct party {
    cel_case cases[NCHANS];
    int values[NCHANS];
    cel_time deadline;
    int code;
};

static void
choose(struct party *self, int op)
{
    memset(self, 0, sizeof(*self));
    self->deadline = CEL_FOREVER;
    self->code = 1000;
    for (int i = 0; i < NCHANS; i++) {
        self->values[i] = 100 + i;
        self->cases[i] = (cel_case){.chan = chans[i],
                                    .value = &self->values[i],
                                    .op = op,
                                    .result = 1};
    }
}

static void
select_one(void *arg)
{
    struct party *self = arg;

    self->code = cel_select(self->cases, NCHANS, self->deadline);
}

static int
select_now(struct party *self)
{
    return cel_select(self->cases, NCHANS, CEL_AT_ONCE);
}

static int
send_now(cel_chan *chan, int value)
{
    return cel_chan_send(chan, &value, CEL_AT_ONCE);
}

static int
recv_now(cel_chan *chan, int *value)
{
    return cel_chan_recv(chan, value, CEL_AT_ONCE);
}

TEST(a_select_outside_of_a_coroutine_does_not_wait)
{
    struct party party;

    open_all(1);
    choose(&party, CEL_RECV);
    CHECK_EQ(cel_select(party.cases, NCHANS, CEL_FOREVER), -EPERM);
    CHECK_EQ(select_now(&party), -ETIMEDOUT);
    CHECK_EQ(send_now(chans[2], 5), 0);
    CHECK_EQ(select_now(&party), 2);
    CHECK_EQ(party.cases[2].result, 0);
    CHECK_EQ(party.values[2], 5);
    party.cases[1].op = 3;
    CHECK_EQ(select_now(&party), -EINVAL);
    CHECK_EQ(cel_select(party.cases, (size_t)INT32_MAX + 1, CEL_AT_ONCE),
             -EINVAL);
    CHECK_EQ(cel_select(NULL, 0, CEL_AT_ONCE), -ETIMEDOUT);
    close_all();
}

static void
send_each_in_turn(void *arg)
{
    (void)arg;
    for (int c = 0; c < NCHANS; c++) {
        CHECK_EQ(cel_chan_send(chans[c], &c, CEL_FOREVER), 0);
    }
}

static int
select_backwards(void *arg)
{
    struct party party;

    (void)arg;
    open_all(0);
    choose(&party, CEL_RECV);
    for (int c = 0; c < NCHANS / 2; c++) {
        cel_case one = party.cases[c];
        party.cases[c] = party.cases[NCHANS - 1 - c];
        party.cases[NCHANS - 1 - c] = one;
    }
    cel_coro *sender = go(send_each_in_turn, NULL);
    for (int c = 0; c < NCHANS; c++) {
        CHECK_EQ(cel_select(party.cases, NCHANS, CEL_FOREVER), NCHANS - 1 - c);
        CHECK_EQ(party.values[c], c);
    }
    join(sender);
    close_all();
    return 0;
}

TEST(cases_may_come_in_any_order)
{
    run(select_backwards);
}

static int
take_turns(void *arg)
{
    int times[NCHANS] = {0};
    struct party party;

    (void)arg;
    open_all(1);
    for (int i = 0; i < 4000; i++) {
        for (int c = 0; c < NCHANS; c++) {
            (void)send_now(chans[c], 1);
        }
        choose(&party, CEL_RECV);
        int index = select_now(&party);
        CHECK_GE(index, 0);
        times[index]++;
        if (i % 3 == 0) {
            (void)cel_yield();
        }
    }
    for (int c = 0; c < NCHANS; c++) {
        CHECK_GT(times[c], 600); /* of 1000 */
    }
    close_all();
    return 0;
}

TEST(of_several_that_can_be_each_has_its_turn)
{
    run(take_turns);
}

TEST(outside_of_a_coroutine_each_has_its_turn_too)
{
    struct party party;
    unsigned seen = 0;

    open_all(1);
    choose(&party, CEL_RECV);
    /* That one of four never comes has 1 chance in e^28,000. */
    for (int i = 0; seen != (1U << NCHANS) - 1; i++) {
        CHECK_LT(i, 100000);
        for (int c = 0; c < NCHANS; c++) {
            (void)send_now(chans[c], 1);
        }
        int index = select_now(&party);
        CHECK_GE(index, 0);
        seen |= 1U << index;
    }
    close_all();
}

static int
receive_each(void *arg)
{
    struct party party;
    int value;

    (void)arg;
    open_all(0);
    for (int c = 0; c < NCHANS; c++) {
        choose(&party, CEL_RECV);
        cel_coro *coro = go(select_one, &party);
        settle();
        CHECK_EQ(party.code, 1000);
        CHECK_EQ(send_now(chans[c], 50 + c), 0);
        /* It is gone from the others, whether it has run or not. */
        for (int other = 0; other < NCHANS; other++) {
            CHECK_EQ(send_now(chans[other], 1), -ETIMEDOUT);
        }
        join(coro);
        CHECK_EQ(party.code, c);
        CHECK_EQ(party.cases[c].result, 0);
        CHECK_EQ(party.values[c], 50 + c);
        CHECK_EQ(party.values[(c + 1) % NCHANS], 100 + (c + 1) % NCHANS);

        choose(&party, CEL_SEND);
        coro = go(select_one, &party);
        settle();
        CHECK_EQ(recv_now(chans[c], &value), 0);
        CHECK_EQ(value, 100 + c);
        for (int other = 0; other < NCHANS; other++) {
            CHECK_EQ(recv_now(chans[other], &value), -ETIMEDOUT);
        }
        join(coro);
        CHECK_EQ(party.code, c);
    }
    close_all();
    return 0;
}

TEST(a_select_takes_part_in_one_exchange_and_no_other)
{
    run(receive_each);
}

static int
select_each_other(void *arg)
{
    struct party sender;
    struct party receiver;

    (void)arg;
    open_all(0);
    for (int i = 0; i < 100; i++) {
        choose(&sender, CEL_SEND);
        choose(&receiver, CEL_RECV);
        cel_coro *one = go(select_one, i % 2 == 0 ? &sender : &receiver);
        cel_coro *two = go(select_one, i % 2 == 0 ? &receiver : &sender);
        join(one);
        join(two);
        CHECK_GE(sender.code, 0);
        CHECK_EQ(sender.code, receiver.code);
        CHECK_EQ(receiver.values[sender.code], 100 + sender.code);
    }
    close_all();
    return 0;
}

TEST(two_selects_meet)
{
    run(select_each_other);
}

static int
do_both(void *arg)
{
    struct party one;
    struct party two;

    (void)arg;
    open_all(0);
    /* Both would send and receive at the same channels: not to themselves. */
    choose(&one, CEL_SEND);
    choose(&two, CEL_RECV);
    for (int i = 0; i < NCHANS; i++) {
        one.cases[i].op = i % 2 == 0 ? CEL_SEND : CEL_RECV;
        two.cases[i].op = i % 2 == 0 ? CEL_SEND : CEL_RECV;
        one.cases[i].chan = chans[i / 2];
        two.cases[i].chan = chans[i / 2];
    }
    CHECK_EQ(select_now(&one), -ETIMEDOUT);
    cel_coro *coro = go(select_one, &one);
    settle();
    CHECK_EQ(one.code, 1000);
    int index = cel_select(two.cases, NCHANS, CEL_FOREVER);
    join(coro);
    CHECK_GE(index, 0);
    CHECK_EQ(one.code / 2, index / 2);
    CHECK_NE(one.code, index);
    close_all();
    return 0;
}

TEST(a_channel_may_stand_in_several_cases)
{
    run(do_both);
}

static int
give_up(void *arg)
{
    struct party party;
    int value;

    (void)arg;
    open_all(0);
    choose(&party, CEL_RECV);
    party.cases[1].chan = NULL;
    party.deadline = cel_after(CEL_MSEC);
    join(go(select_one, &party));
    CHECK_EQ(party.code, -ETIMEDOUT);
    choose(&party, CEL_SEND);
    cel_coro *coro = go(select_one, &party);
    settle();
    cel_cancel(coro);
    join(coro);
    CHECK_EQ(party.code, -ECANCELED);
    for (int c = 0; c < NCHANS; c++) {
        CHECK_EQ(recv_now(chans[c], &value), -ETIMEDOUT);
        CHECK_EQ(send_now(chans[c], 1), -ETIMEDOUT);
        CHECK_EQ(party.cases[c].result, 1);
    }
    close_all();
    return 0;
}

TEST(a_select_that_gives_up_leaves_nothing_behind)
{
    run(give_up);
}

static int
race(void *arg)
{
    struct party party;

    (void)arg;
    open_all(0);
    for (int before = 0; before < 2; before++) {
        choose(&party, CEL_RECV);
        cel_coro *coro = go(select_one, &party);
        settle();
        if (before) {
            cel_cancel(coro);
        }
        CHECK_EQ(send_now(chans[3], 77), 0);
        cel_cancel(coro);
        join(coro);
        CHECK_EQ(party.code, 3);
        CHECK_EQ(party.values[3], 77);
    }
    close_all();
    return 0;
}

TEST(a_select_with_a_value_is_not_cancelled)
{
    run(race);
}

static int
shut_down(void *arg)
{
    struct party party;

    (void)arg;
    open_all(0);
    choose(&party, CEL_RECV);
    cel_coro *coro = go(select_one, &party);
    settle();
    cel_chan_shutdown(chans[1]);
    join(coro);
    CHECK_EQ(party.code, 1);
    CHECK_EQ(party.cases[1].result, -EPIPE);
    CHECK_EQ(party.values[1], 101);
    choose(&party, CEL_SEND);
    CHECK_EQ(select_now(&party), 1);
    CHECK_EQ(party.cases[1].result, -EPIPE);
    close_all();
    return 0;
}

TEST(a_select_sees_a_shutdown)
{
    run(shut_down);
}

static int
only_nulls(void *arg)
{
    struct party party;

    (void)arg;
    choose(&party, CEL_RECV);
    for (int c = 0; c < NCHANS; c++) {
        party.cases[c].chan = NULL;
    }
    CHECK_EQ(cel_select(party.cases, NCHANS, cel_after(CEL_MSEC)), -ETIMEDOUT);
    return cel_select(NULL, 0, CEL_FOREVER);
}

TEST(a_select_of_nothing_never_happens)
{
    if (CEL__TSAN || tap_valgrind()) {
        SKIP("the tool has threads of its own");
    }
    CHECK_EQ(cel_run(only_nulls, NULL, NULL), -EDEADLK);
}
