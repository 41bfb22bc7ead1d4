/* SPDX-License-Identifier: MIT */
/*
 * The C face of coroutines: starting, joining, cancelling, sleeping, ending.
 */
#include "celadon/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sanitize.h"
#include "coros.h"
#include "trace.h"

static void
go_alone(void (*fn)(void *arg), void *arg)
{
    CHECK_EQ(cel_go(NULL, fn, arg), 0);
}

/* Sleeps until it is cancelled, and leaves what the sleep came to. */
static void
sleep_on(void *arg)
{
    int *code = arg;
    int got = cel_sleep(CEL_FOREVER);

    if (code != NULL) {
        *code = got;
    }
}

/*
 * A run.
 */

static int
return_number(void *arg)
{
    return *(int *)arg;
}

TEST(a_run_returns_what_its_function_returned)
{
    int number = 42;

    CHECK_EQ(cel_run(return_number, &number, NULL), 42);
    number = -7;
    CHECK_EQ(cel_run(return_number, &number, NULL), -7);
}

static int
run_inside(void *arg)
{
    return cel_run(return_number, arg, NULL);
}

TEST(a_run_inside_a_run_is_refused)
{
    CHECK_EQ(cel_run(run_inside, NULL, NULL), -EALREADY);
}

TEST(options_that_are_not_known_are_refused)
{
    struct {
        cel_options options;
        char later[8];
    } given = {.later = {0}};
    int number = 5;

    cel_options_init(&given.options);
    CHECK_EQ(given.options.size, sizeof(cel_options));
    given.options.backend = "telepathy";
    CHECK_EQ(cel_run(return_number, &number, &given.options), -EINVAL);
    given.options.backend = NULL;
    given.options.stack_size = (size_t)64 * 1024;
    CHECK_EQ(cel_run(return_number, &number, &given.options), 5);
    given.options.size = sizeof(given);
    CHECK_EQ(cel_run(return_number, &number, &given.options), 5);
    given.later[3] = 1;
    CHECK_EQ(cel_run(return_number, &number, &given.options), -EINVAL);
    given.options.size = 1;
    CHECK_EQ(cel_run(return_number, &number, &given.options), -EINVAL);
}

TEST(outside_of_a_run_calls_say_so)
{
    cel_coro *coro;

    CHECK_EQ(cel_go(&coro, do_nothing, NULL), -EPERM);
    CHECK_EQ(cel_yield(), -EPERM);
    CHECK_EQ(cel_sleep(CEL_AT_ONCE), -EPERM);
    CHECK_EQ(cel_cancelled(), 0);
    CHECK_PTR(cel_self(), NULL);
    cel_set_name("nobody");
}

/* How far each coroutine came when the run ended. */
static int ended;

static void
clean_up_slowly(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ECANCELED);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(cel_yield(), -ECANCELED);
    }
    /* What is started now is cancelled from birth, else it would stay. */
    if (arg == NULL) {
        go_alone(clean_up_slowly, &ended);
    }
    ended++;
}

static int
leave_some(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        (void)go(clean_up_slowly, NULL);
        go_alone(clean_up_slowly, NULL);
    }
    (void)cel_yield();
    go_alone(clean_up_slowly, NULL); /* never ran when the run ends */
    return 0;
}

TEST(the_end_of_a_run_cancels_the_rest_and_waits_for_it)
{
    run(leave_some);
    CHECK_EQ(ended, 42);
}

/*
 * Order.
 */

static void
note_three_times(void *arg)
{
    for (int i = 0; i < 3; i++) {
        note(*(char *)arg);
        CHECK_EQ(cel_yield(), 0);
    }
}

static int
take_turns(void *arg)
{
    static char names[] = "abc";
    cel_coro *coros[3];

    (void)arg;
    for (int i = 0; i < 3; i++) {
        coros[i] = go(note_three_times, &names[i]);
    }
    note('r'); /* starting does not suspend */
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(cel_yield(), 0);
        note('r');
    }
    for (int i = 0; i < 3; i++) {
        join(coros[i]);
    }
    return 0;
}

TEST(coroutines_start_and_yield_in_the_order_they_came)
{
    needs_order();
    run(take_turns);
    CHECK_STR(trace, "rabcrabcrabcr");
}

struct nap {
    cel_time until;
    char name;
};

static void
take_nap(void *arg)
{
    struct nap *nap = arg;

    CHECK_EQ(cel_sleep(nap->until), 0);
    note(nap->name);
}

static int
sleep_in_order(void *arg)
{
    cel_time base = cel_after(2 * CEL_MSEC);
    struct nap naps[] = {{base + 5 * CEL_MSEC, 'd'},
                         {base + 2 * CEL_MSEC, 'b'},
                         {base + 9 * CEL_MSEC, 'e'},
                         {base, 'a'},
                         {base + 2 * CEL_MSEC, 'c'}};
    cel_coro *coros[5];

    (void)arg;
    for (int i = 0; i < 5; i++) {
        coros[i] = go(take_nap, &naps[i]);
    }
    for (int i = 0; i < 5; i++) {
        join(coros[i]);
        CHECK_GE(cel_now(), naps[i].until);
    }
    return 0;
}

TEST(sleepers_wake_in_the_order_of_their_deadlines)
{
    needs_order();
    run(sleep_in_order);
    CHECK_STR(trace, "abcde");
}

static volatile int flag;

static void
set_flag(void *arg)
{
    (void)arg;
    flag = 1;
}

static int
sleep_until_past(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_sleep(CEL_AT_ONCE), 0);
    go_alone(set_flag, NULL);
    while (!flag) {
        CHECK_EQ(cel_sleep(cel_now()), 0);
    }
    return 0;
}

TEST(who_sleeps_until_the_past_does_not_starve_others)
{
    run(sleep_until_past);
}

/*
 * Joining.
 */

static int
join_after_end(void *arg)
{
    (void)arg;
    cel_coro *coro = go(do_nothing, NULL);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(cel_yield(), 0);
    }
    CHECK_EQ(cel_join(coro, CEL_AT_ONCE), 0);
    return 0;
}

TEST(who_has_ended_is_joined_at_once)
{
    run(join_after_end);
}

static void
yield_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(cel_yield(), 0);
    }
    flag = 1;
}

static int
join_before_end(void *arg)
{
    (void)arg;
    cel_coro *coro = go(yield_often, NULL);
    CHECK_EQ(cel_join(coro, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_join(coro, cel_after(10 * CEL_SEC)), 0);
    CHECK_EQ(flag, 1);
    return 0;
}

TEST(a_join_waits_for_the_end)
{
    run(join_before_end);
}

static void
join_it(void *arg)
{
    join(arg);
    note('j');
}

static void
join_briefly(void *arg)
{
    CHECK_EQ(cel_join(arg, cel_after(CEL_MSEC)), -ETIMEDOUT);
    note('t');
}

static int
join_together(void *arg)
{
    int code = 0;
    cel_coro *joiners[5];

    (void)arg;
    cel_coro *coro = go(sleep_on, &code);
    for (int i = 0; i < 5; i++) {
        joiners[i] = go(i == 2 ? join_briefly : join_it, coro);
    }
    join(joiners[2]);
    cel_cancel(coro);
    join(coro);
    for (int i = 0; i < 5; i++) {
        if (i != 2) {
            join(joiners[i]);
        }
    }
    CHECK_EQ(code, -ECANCELED);
    return 0;
}

TEST(several_may_join_one_and_some_give_up)
{
    run(join_together);
    CHECK_STR(trace, "tjjjj");
}

static int
time_out(void *arg)
{
    (void)arg;
    cel_coro *coro = go(sleep_on, NULL);
    cel_time deadline = cel_after(3 * CEL_MSEC);
    CHECK_EQ(cel_join(coro, deadline), -ETIMEDOUT);
    CHECK_GE(cel_now(), deadline);
    CHECK_EQ(cel_join(coro, cel_after(CEL_MSEC)), -ETIMEDOUT);
    cel_cancel(coro);
    join(coro);
    return 0;
}

TEST(a_join_times_out_and_may_be_tried_again)
{
    run(time_out);
}

static void
join_the_root(void *arg)
{
    CHECK_EQ(cel_join(arg, CEL_FOREVER), -EDEADLK);
}

static int
join_hopelessly(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_join(cel_self(), CEL_FOREVER), -EDEADLK);
    join(go(join_the_root, cel_self()));
    /* Nobody is left who could wake either of the two. */
    cel_coro *coro = go(sleep_on, NULL);
    CHECK_EQ(cel_join(coro, CEL_FOREVER), -EDEADLK);
    CHECK_EQ(cel_sleep(CEL_FOREVER), -EDEADLK);
    cel_cancel(coro);
    join(coro);
    return 0;
}

TEST(a_wait_that_can_never_end_is_a_deadlock)
{
    run(join_hopelessly);
}

static void
join_until_cancelled(void *arg)
{
    CHECK_EQ(cel_join(arg, CEL_FOREVER), -ECANCELED);
    note('c');
}

static int
cancel_joiner(void *arg)
{
    (void)arg;
    cel_coro *coro = go(sleep_on, NULL);
    cel_coro *joiner = go(join_until_cancelled, coro);
    CHECK_EQ(cel_join(joiner, cel_after(CEL_MSEC)), -ETIMEDOUT);
    cel_cancel(joiner);
    join(joiner);
    cel_cancel(coro);
    join(coro);
    return 0;
}

TEST(a_cancelled_joiner_leaves_what_it_joined)
{
    run(cancel_joiner);
    CHECK_STR(trace, "c");
}

/* Of one without a handle only cel_self() tells. */
static cel_coro *alone;

static void
tell_self(void *arg)
{
    alone = cel_self();
    sleep_on(arg);
}

static int
join_detached(void *arg)
{
    int code = 0;

    (void)arg;
    go_alone(tell_self, &code);
    CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    cel_coro *joiner = go(join_it, alone);
    CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    cel_cancel(alone);
    join(joiner);
    CHECK_EQ(code, -ECANCELED);
    return 0;
}

TEST(one_without_a_handle_can_be_joined_while_it_runs)
{
    run(join_detached);
}

/*
 * Cancelling.
 */

static void
expect_cancelled(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_cancelled(), 1);
    CHECK_EQ(cel_sleep(cel_after(CEL_SEC)), -ECANCELED);
    CHECK_EQ(cel_yield(), -ECANCELED);
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ECANCELED);
    flag = 1;
}

static int
cancel_unstarted(void *arg)
{
    (void)arg;
    cel_coro *coro = go(expect_cancelled, NULL);
    cel_cancel(coro);
    cel_cancel(coro);
    CHECK_EQ(flag, 0);
    join(coro);
    CHECK_EQ(flag, 1);
    return 0;
}

TEST(one_cancelled_before_it_ran_runs_and_knows)
{
    run(cancel_unstarted);
}

static void
yield_until_cancelled(void *arg)
{
    (void)arg;
    int code;
    while ((code = cel_yield()) == 0) {}
    CHECK_EQ(code, -ECANCELED);
    flag = 1;
}

static int
cancel_ready(void *arg)
{
    (void)arg;
    cel_coro *coro = go(yield_until_cancelled, NULL);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(cel_yield(), 0);
    }
    cel_cancel(coro);
    join(coro);
    CHECK_EQ(flag, 1);
    return 0;
}

TEST(one_cancelled_in_the_run_queue_knows_at_its_turn)
{
    run(cancel_ready);
}

static int
cancel_ended(void *arg)
{
    (void)arg;
    cel_coro *coro = go(do_nothing, NULL);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(cel_yield(), 0);
    }
    cel_cancel(coro);
    join(coro);
    return 0;
}

TEST(cancelling_one_that_has_ended_changes_nothing)
{
    run(cancel_ended);
}

static void
cancel_it(void *arg)
{
    cel_cancel(arg);
}

static int
cancel_root(void *arg)
{
    (void)arg;
    go_alone(cancel_it, cel_self());
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ECANCELED);
    CHECK_EQ(cel_cancelled(), 1);
    return 0;
}

TEST(the_first_coroutine_can_be_cancelled_too)
{
    run(cancel_root);
}

static int
cancel_self(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_cancelled(), 0);
    cel_cancel(cel_self());
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ECANCELED);
    return 0;
}

TEST(one_that_cancels_itself_goes_on_to_its_next_wait)
{
    run(cancel_self);
}

static void
sleep_and_be_cancelled(void *arg)
{
    CHECK_EQ(cel_sleep(*(cel_time *)arg), 0);
    CHECK_EQ(cel_cancelled(), 1);
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ECANCELED);
}

static int
cancel_woken(void *arg)
{
    cel_time deadline = cel_after(2 * CEL_MSEC);
    cel_time later = deadline + 1;

    /* Both deadlines pass before the loop looks: when the root runs, whose
       was the first, the other is in the run queue. */
    (void)arg;
    cel_coro *coro = go(sleep_and_be_cancelled, &later);
    CHECK_EQ(cel_yield(), 0);
    CHECK_EQ(cel_sleep(deadline), 0);
    CHECK_GE(cel_now(), later);
    cel_cancel(coro);
    join(coro);
    return 0;
}

TEST(cancelling_one_that_was_woken_takes_nothing_back)
{
    needs_order();
    run(cancel_woken);
}

/*
 * Names and numbers.
 */

static void
introduce_oneself(void *arg)
{
    cel_coro **self = arg;

    *self = cel_self();
    CHECK_STR(cel_name(cel_self()), NULL);
    cel_set_name("the new one");
    sleep_on(NULL);
}

static int
names(void *arg)
{
    cel_coro *self = NULL;

    (void)arg;
    CHECK_STR(cel_name(cel_self()), "root");
    cel_set_name("first");
    CHECK_STR(cel_name(cel_self()), "first");
    cel_coro *coro = go(introduce_oneself, &self);
    cel_coro *next = go(do_nothing, NULL);
    CHECK_GT(cel_id(coro), cel_id(cel_self()));
    CHECK_GT(cel_id(next), cel_id(coro));
    CHECK_EQ(cel_join(coro, cel_after(CEL_MSEC)), -ETIMEDOUT);
    CHECK_PTR(self, coro);
    CHECK_STR(cel_name(coro), "the new one");
    CHECK_STR(cel_name(cel_self()), "first");
    cel_cancel(coro);
    join(coro);
    join(next);
    return 0;
}

TEST(coroutines_have_names_and_numbers)
{
    run(names);
    run(names);
}

/*
 * Many.
 */

static void
note_frame(void *arg)
{
    *(void **)arg = __builtin_frame_address(0);
}

static int
reuse(void *arg)
{
    void *first;
    void *second;

    (void)arg;
    join(go(note_frame, &first));
    for (int i = 0; i < 100; i++) {
        join(go(note_frame, &second));
        CHECK_PTR(first, second);
    }
    return 0;
}

TEST(the_stack_of_one_that_ended_is_the_next_ones)
{
    run(reuse);
}

enum {
    PARKED = CEL__ASAN || CEL__TSAN || CEL__HARD ? 5000 : 100000
};

static int
park_many(void *arg)
{
    static cel_coro *coros[PARKED];
    static int codes[PARKED];

    (void)arg;
    for (int i = 0; i < PARKED; i++) {
        coros[i] = go(sleep_on, &codes[i]);
    }
    CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    for (int i = 0; i < PARKED; i++) {
        cel_cancel(coros[i]);
    }
    for (int i = 0; i < PARKED; i++) {
        join(coros[i]);
        CHECK_EQ(codes[i], -ECANCELED);
    }
    return 0;
}

TEST(a_hundred_thousand_wait_and_are_woken)
{
    run(park_many);
}

static int nran;

static void
count_and_yield(void *arg)
{
    nran++;
    if (arg != NULL) {
        (void)cel_yield();
    }
}

enum {
    STORM = CEL__ASAN || CEL__TSAN || CEL__HARD ? 20 : 100
};

static int
spawn_storm(void *arg)
{
    static cel_coro *coros[1000];

    (void)arg;
    for (int round = 0; round < STORM; round++) {
        for (int i = 0; i < 1000; i++) {
            go_alone(count_and_yield, i % 3 == 0 ? coros : NULL);
            coros[i] = go(count_and_yield, i % 2 == 0 ? coros : NULL);
        }
        for (int i = 0; i < 1000; i++) {
            join(coros[999 - i]);
        }
    }
    return 0;
}

TEST(storms_of_short_coroutines_pass)
{
    run(spawn_storm);
    CHECK_EQ(nran, STORM * 2000);
}
