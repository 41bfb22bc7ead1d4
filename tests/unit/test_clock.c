/* SPDX-License-Identifier: MIT */
/* The clock, deadlines, and the counter's rate. */
#include "base/clock.h"

#include "tap.h"

TEST(the_clock_does_not_run_backwards)
{
    cel_time last = cel_now();

    CHECK_GT(last, 0);
    for (int i = 0; i < 1000; i++) {
        cel_time now = cel__clock_now();

        CHECK_GE(now, last);
        last = now;
    }
}

TEST(a_deadline_is_so_much_later_than_now)
{
    cel_time before = cel_now();
    cel_time deadline = cel_after(5 * CEL_SEC);
    cel_time after = cel_now();

    CHECK_GE(deadline, before + 5 * CEL_SEC);
    CHECK_LE(deadline, after + 5 * CEL_SEC);
    CHECK_LE(cel_after(-CEL_SEC), after);
}

TEST(a_deadline_beyond_all_time_is_for_ever)
{
    CHECK(cel_after(CEL_FOREVER) == CEL_FOREVER);
    CHECK(cel_after(CEL_FOREVER - 1) == CEL_FOREVER);
    CHECK(cel_after(INT64_MIN) < 0);
}

TEST(ticks_are_proportional_to_time)
{
    uint64_t second = cel__clock_ticks_in(CEL_SEC);
    uint64_t milli = cel__clock_ticks_in(CEL_MSEC);

    CHECK_GT(milli, 0);
    CHECK_GE(second, milli * 999);
    CHECK_LE(second, milli * 1001 + 1000);
    CHECK_EQ(cel__clock_ticks_in(0), 0);
    CHECK(cel__clock_ticks_in(CEL_FOREVER) > second);
}

TEST(the_counter_agrees_with_the_clock)
{
    uint64_t rate = cel__clock_ticks_in(CEL_MSEC);
    cel_time before = cel__clock_now();
    uint64_t first = cel__clock_ticks();
    cel_time start = cel__clock_now();

    while (cel__clock_now() - start < CEL_MSEC) {}
    uint64_t ticks = cel__clock_ticks() - first;
    cel_time ns = cel__clock_now() - before;
    /* At least a millisecond passed between the two counts, and no more than
       the clock says, give or take the error of the measured rate. */
    CHECK_GT(ticks, rate / 100 * 98);
    CHECK_LT(ticks, cel__clock_ticks_in(ns) / 98 * 100);
}
