/* SPDX-License-Identifier: MIT */
/* The counters: that each counts what it says. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "celadon.h"
#include "coros.h"
#include "tap.h"

static cel_stats
stats(void)
{
    cel_stats now = {.size = sizeof(now)};

    CHECK_EQ(cel_stats_get(&now), 0);
    return now;
}

static void
rest(void *arg)
{
    (void)arg;
    (void)cel_sleep(cel_after(1000 * CEL_SEC));
}

static void
read_on(void *arg)
{
    char byte;

    (void)!cel_read(*(int *)arg, &byte, 1, CEL_FOREVER);
}

/* Let the others run until `n` park. */
static void
until_parked(uint64_t n)
{
    while (stats().parks < n) {
        (void)cel_yield();
    }
}

static int
count(void *arg)
{
    int fds[2];

    (void)arg;
    CHECK_EQ(pipe(fds), 0);
    cel_stats first = stats();
    CHECK_EQ(first.alive, 1);
    CHECK_EQ(first.started, 1);
    cel_coro *one = go(rest, NULL);
    cel_coro *other = go(read_on, &fds[0]);
    cel_stats second = stats();
    CHECK_EQ(second.alive, 3);
    CHECK_EQ(second.started, 3);
    CHECK_EQ(second.ready, 2);
    until_parked(first.parks + 2);
    cel_stats third = stats();
    CHECK_GE(third.switches, first.switches + 2);
    CHECK_EQ(third.timers, first.timers + 1);
    CHECK_EQ(third.armed, first.armed + 1);
    CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    cel_stats fourth = stats();
    CHECK_GT(fourth.fired, third.fired);
    CHECK_GT(fourth.turns, third.turns);
    CHECK_GT(fourth.wakes, third.wakes);
    cel_cancel(one);
    cel_cancel(other);
    CHECK_EQ(cel_join(one, CEL_FOREVER), 0);
    CHECK_EQ(cel_join(other, CEL_FOREVER), 0);
    cel_stats last = stats();
    CHECK_EQ(last.alive, 1);
    CHECK_EQ(last.started, 3);
    CHECK_EQ(last.timers, first.timers);
    CHECK_EQ(last.armed, first.armed);
    (void)close(fds[0]);
    (void)close(fds[1]);
    return 0;
}

TEST(each_counter_counts_what_it_says)
{
    run(count);
}

static int
other_sizes(void *arg)
{
    struct {
        cel_stats stats;
        uint64_t later;
    } large;
    cel_stats small;

    (void)arg;
    memset(&small, 0xff, sizeof(small));
    small.size = offsetof(cel_stats, ready);
    CHECK_EQ(cel_stats_get(&small), 0);
    CHECK_EQ(small.alive, 1);
    CHECK_EQ(small.ready, UINT64_MAX);
    memset(&large, 0xff, sizeof(large));
    large.stats.size = sizeof(large);
    CHECK_EQ(cel_stats_get(&large.stats), 0);
    CHECK_EQ(large.stats.size, sizeof(large));
    CHECK_EQ(large.stats.alive, 1);
    CHECK_EQ(large.later, 0);
    small.size = 1;
    CHECK_EQ(cel_stats_get(&small), -EINVAL);
    return 0;
}

TEST(a_structure_of_another_header_is_filled_as_far_as_it_goes)
{
    cel_stats outside = {.size = sizeof(outside)};

    run(other_sizes);
    CHECK_EQ(cel_stats_get(&outside), -EPERM);
}
