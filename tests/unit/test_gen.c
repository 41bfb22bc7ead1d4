/* SPDX-License-Identifier: MIT */
/*
 * Generators: values both ways, ends, closing in every state.
 */
#include "celadon/gen.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "celadon/scope.h"
#include "coros.h"

static cel_gen *
open_gen(void (*fn)(cel_gen *gen, void *arg), void *arg)
{
    cel_gen *gen;

    CHECK_EQ(cel_gen_open(&gen, fn, arg), 0);
    return gen;
}

static void *
number(intptr_t n)
{
    return (void *)n;
}

/* Send `in`, expect the value `n`. */
static void
ask(cel_gen *gen, void *in, intptr_t n)
{
    void *out = NULL;

    CHECK_EQ(cel_gen_send(gen, in, &out), 1);
    CHECK_EQ((intptr_t)out, n);
}

/* Yields its argument, then each number sent to it, plus one. */
static void
add_one(cel_gen *gen, void *arg)
{
    void *in;

    int code = cel_gen_yield(gen, arg, &in);
    while (code == 1) {
        code = cel_gen_yield(gen, number((intptr_t)in + 1), &in);
    }
    CHECK_EQ(code, -ECANCELED);
}

static int
exchange(void *arg)
{
    (void)arg;
    cel_gen *gen = open_gen(add_one, number(7));
    ask(gen, number(100), 7); /* the first one sent is lost */
    for (intptr_t i = 0; i < 1000; i++) {
        ask(gen, number(i), i + 1);
    }
    CHECK_EQ(cel_gen_send(gen, NULL, NULL), 1);
    cel_gen_close(gen);
    cel_gen_close(NULL);
    return 0;
}

TEST(values_go_both_ways)
{
    run(exchange);
}

/* The talk's: says hello to each name it is given, at most three. */
static void
hello(cel_gen *gen, void *arg)
{
    char text[32] = "who?";
    void *name;

    for (int i = 0; i < 4; i++) {
        if (cel_gen_yield(gen, text, &name) < 0) {
            return;
        }
        (void)snprintf(text, sizeof(text), "%s, %s", (char *)arg,
                       (char *)name);
    }
}

static int
greet(void *arg)
{
    static char salute[] = "hello";
    static char names[4][8] = {"Ada", "Bob", "Cem", "Dan"};
    void *text;

    (void)arg;
    cel_gen *gen = open_gen(hello, salute);
    CHECK_EQ(cel_gen_send(gen, NULL, &text), 1);
    CHECK_STR(text, "who?");
    CHECK_EQ(cel_gen_send(gen, names[0], &text), 1);
    CHECK_STR(text, "hello, Ada");
    CHECK_EQ(cel_gen_send(gen, names[1], &text), 1);
    CHECK_STR(text, "hello, Bob");
    CHECK_EQ(cel_gen_send(gen, names[2], &text), 1);
    text = NULL;
    CHECK_EQ(cel_gen_send(gen, names[3], &text), 0);
    CHECK_PTR(text, NULL);
    CHECK_EQ(cel_gen_send(gen, names[3], &text), 0);
    cel_gen_close(gen);
    return 0;
}

TEST(a_generator_that_has_ended_says_so)
{
    run(greet);
}

static void
note_end(cel_gen *gen, void *arg)
{
    void *in;

    CHECK_EQ(cel_gen_yield(gen, NULL, &in), 1);
    CHECK_EQ(cel_gen_yield(gen, NULL, &in), -ECANCELED);
    CHECK_EQ(cel_gen_yield(gen, NULL, &in), -ECANCELED);
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ECANCELED);
    (void)cel_yield(); /* cleaning up may suspend */
    *(int *)arg += 1;
}

static int
close_early(void *arg)
{
    int ended = 0;

    (void)arg;
    cel_gen_close(open_gen(note_end, &ended)); /* never asked: never ran */
    CHECK_EQ(ended, 0);
    cel_gen *gen = open_gen(note_end, &ended);
    CHECK_EQ(cel_gen_send(gen, NULL, NULL), 1);
    CHECK_EQ(cel_gen_send(gen, NULL, NULL), 1);
    CHECK_EQ(ended, 0);
    cel_gen_close(gen);
    CHECK_EQ(ended, 1);
    return 0;
}

static void
yield_twice(cel_gen *gen, void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        if (cel_gen_yield(gen, NULL, NULL) < 0) {
            return;
        }
    }
}

TEST(closing_ends_a_generator_and_waits_for_it)
{
    CHECK_EQ(cel_run(close_early, NULL, NULL), 0);
}

/* Sleeps before each value. */
static void
count_slowly(cel_gen *gen, void *arg)
{
    for (intptr_t i = 0;; i++) {
        if (cel_sleep(cel_after(*(cel_time *)arg)) < 0 ||
            cel_gen_yield(gen, number(i), NULL) < 0) {
            return;
        }
    }
}

struct asker {
    cel_gen *gen;
    bool began;
    int code;
    void *value;
};

static void
ask_once(void *arg)
{
    struct asker *asker = arg;

    asker->began = true;
    asker->code = cel_gen_send(asker->gen, NULL, &asker->value);
}

static int
suspend_inside(void *arg)
{
    cel_time nap = 2 * CEL_MSEC;
    cel_coro *coro;

    (void)arg;
    cel_gen *gen = open_gen(count_slowly, &nap);
    struct asker asker = {.gen = gen};
    ask(gen, NULL, 0);
    CHECK_EQ(cel_go(&coro, ask_once, &asker), 0);
    while (!asker.began) {
        CHECK_EQ(cel_yield(), 0);
    }
    /* Somebody is asking it already, and it sleeps. */
    CHECK_EQ(cel_gen_send(gen, NULL, NULL), -EBUSY);
    CHECK_EQ(cel_join(coro, CEL_FOREVER), 0);
    CHECK_EQ(asker.code, 1);
    CHECK_EQ((intptr_t)asker.value, 1);
    ask(gen, NULL, 2);
    cel_gen_close(gen);
    return 0;
}

TEST(a_generator_may_suspend_for_other_reasons)
{
    run(suspend_inside);
}

static int
cancel_asker(void *arg)
{
    cel_time nap = 10 * CEL_MSEC;
    cel_coro *coro;

    (void)arg;
    cel_gen *gen = open_gen(count_slowly, &nap);
    struct asker asker = {.gen = gen};
    CHECK_EQ(cel_go(&coro, ask_once, &asker), 0);
    while (!asker.began) {
        CHECK_EQ(cel_yield(), 0);
    }
    CHECK_EQ(cel_gen_send(gen, NULL, NULL), -EBUSY);
    cel_cancel(coro);
    CHECK_EQ(cel_join(coro, CEL_FOREVER), 0);
    CHECK_EQ(asker.code, -ECANCELED);
    /* It goes on to its next yield, whose value nobody gets. */
    int code;
    while ((code = cel_gen_send(gen, NULL, &asker.value)) == -EBUSY) {
        CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    }
    CHECK_EQ(code, 1);
    CHECK_GE((intptr_t)asker.value, 1);
    cel_gen_close(gen);
    return 0;
}

TEST(a_cancelled_asker_leaves_and_the_value_is_dropped)
{
    run(cancel_asker);
}

static int
ask_cancelled(void *arg)
{
    (void)arg;
    cel_gen *gen = open_gen(add_one, number(1));
    cel_cancel(cel_self());
    CHECK_EQ(cel_gen_send(gen, NULL, NULL), -ECANCELED);
    cel_gen_close(gen);
    return 0;
}

TEST(a_cancelled_coroutine_does_not_ask)
{
    run(ask_cancelled);
}

static void
sleep_on(cel_gen *gen, void *arg)
{
    (void)gen;
    *(int *)arg = cel_sleep(CEL_FOREVER);
    (void)cel_yield();
}

static int
close_while_asked(void *arg)
{
    int code = 0;
    cel_coro *coro;

    (void)arg;
    cel_gen *gen = open_gen(sleep_on, &code);
    struct asker asker = {.gen = gen};
    CHECK_EQ(cel_go(&coro, ask_once, &asker), 0);
    CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    cel_gen_close(gen);
    CHECK_EQ(code, -ECANCELED);
    CHECK_EQ(cel_join(coro, CEL_FOREVER), 0);
    CHECK_EQ(asker.code, 0);
    return 0;
}

TEST(closing_while_somebody_asks_ends_both)
{
    run(close_while_asked);
}

static void
cancel_oneself(cel_gen *gen, void *arg)
{
    *(cel_coro **)arg = cel_self();
    CHECK_EQ(cel_gen_yield(gen, NULL, NULL), -ECANCELED);
}

static int
cancel_idle(void *arg)
{
    cel_coro *self;

    (void)arg;
    cel_gen *gen = open_gen(cancel_oneself, &self);
    CHECK_EQ(cel_gen_send(gen, NULL, NULL), 1);
    cel_cancel(self);
    CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    CHECK_EQ(cel_gen_send(gen, NULL, NULL), 0);
    cel_gen_close(gen);
    return 0;
}

TEST(a_generator_can_be_cancelled_as_a_coroutine)
{
    run(cancel_idle);
}

static int
ask_in_vain(void *arg)
{
    int code = 0;

    (void)arg;
    cel_gen *gen = open_gen(sleep_on, &code);
    CHECK_EQ(cel_gen_send(gen, NULL, NULL), -EDEADLK);
    cel_gen_close(gen);
    CHECK_EQ(code, -ECANCELED);
    return 0;
}

TEST(asking_one_that_waits_for_nothing_is_a_deadlock)
{
    run(ask_in_vain);
}

static void
leave_open(void *arg)
{
    cel_gen *gen = open_gen(add_one, number(1));

    (void)cel_sleep(CEL_FOREVER);
    CHECK_EQ(cel_gen_send(gen, NULL, NULL), -ECANCELED);
    gen = open_gen(add_one, number(1));
    CHECK_LE(cel_gen_send(arg, NULL, NULL), 0);
    (void)gen;
}

static int
leave_all_open(void *arg)
{
    (void)arg;
    (void)open_gen(add_one, number(1));
    cel_gen *gen = open_gen(add_one, number(1));
    ask(gen, NULL, 1);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(cel_go(NULL, leave_open, gen), 0);
    }
    CHECK_EQ(cel_yield(), 0);
    return 0;
}

TEST(the_end_of_a_run_ends_generators_left_open)
{
    run(leave_all_open);
}

/* The generator of generators: each stage asks the one behind it. */
static void
double_it(cel_gen *gen, void *arg)
{
    void *value;

    while (cel_gen_send(arg, NULL, &value) == 1 &&
           cel_gen_yield(gen, number(2 * (intptr_t)value), NULL) == 1) {}
}

static void
count_up(cel_gen *gen, void *arg)
{
    for (intptr_t i = 1; i <= (intptr_t)arg; i++) {
        if (cel_gen_yield(gen, number(i), NULL) < 0) {
            return;
        }
    }
}

static int
chain(void *arg)
{
    (void)arg;
    cel_gen *first = open_gen(count_up, number(100));
    cel_gen *second = open_gen(double_it, first);
    cel_gen *third = open_gen(double_it, second);
    for (intptr_t i = 1; i <= 100; i++) {
        ask(third, NULL, 4 * i);
    }
    CHECK_EQ(cel_gen_send(third, NULL, NULL), 0);
    cel_gen_close(third);
    cel_gen_close(second);
    cel_gen_close(first);
    return 0;
}

TEST(generators_may_ask_generators)
{
    run(chain);
}

static volatile int flag;

static void
set_flag(void *arg)
{
    (void)arg;
    flag = 1;
}

static int
ask_for_ever(void *arg)
{
    (void)arg;
    cel_gen *gen = open_gen(add_one, number(0));
    CHECK_EQ(cel_go(NULL, set_flag, NULL), 0);
    while (!flag) {
        CHECK_EQ(cel_gen_send(gen, NULL, NULL), 1);
    }
    cel_gen_close(gen);
    return 0;
}

TEST(two_that_exchange_values_do_not_starve_others)
{
    run(ask_for_ever);
}

static int
open_and_close(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20000; i++) {
        cel_gen *gen = open_gen(yield_twice, NULL);
        CHECK_EQ(cel_gen_send(gen, NULL, NULL), 1);
        if (i % 2 == 0) {
            CHECK_EQ(cel_gen_send(gen, NULL, NULL), 1);
            CHECK_EQ(cel_gen_send(gen, NULL, NULL), 0);
        }
        cel_gen_close(gen);
    }
    return 0;
}

TEST(storms_of_generators_pass)
{
    run(open_and_close);
}

TEST(outside_of_a_run_no_generator_is_made)
{
    cel_gen *gen;

    CHECK_EQ(cel_gen_open(&gen, add_one, NULL), -EPERM);
}

/* What `fn`, in a run of its own, has left in its int, 1 before. */
static int
code_of(int (*fn)(void *arg))
{
    int code = 1;

    CHECK_EQ(cel_run(fn, &code, NULL), 0);
    return code;
}

/* Yields once within a shield, and is not asked again. */
static void
yield_shielded(cel_gen *gen, void *arg)
{
    cel_scope scope;

    CHECK_EQ(cel_scope_shield(&scope, cel_after(CEL_SEC / 50)), 0);
    *(int *)arg = cel_gen_yield(gen, NULL, NULL);
    (void)cel_scope_leave(&scope);
}

static int
leave_shielded(void *arg)
{
    cel_gen *gen = open_gen(yield_shielded, arg);

    CHECK_EQ(cel_gen_send(gen, NULL, NULL), 1);
    return 0;
}

static int
close_shielded(void *arg)
{
    cel_gen *gen = open_gen(yield_shielded, arg);

    CHECK_EQ(cel_gen_send(gen, NULL, NULL), 1);
    cel_gen_close(gen);
    return 0;
}

TEST(one_that_yields_within_a_shield_can_be_closed_and_ends_with_the_run)
{
    CHECK_EQ(code_of(close_shielded), -ECANCELED);
    CHECK_EQ(code_of(leave_shielded), -ETIMEDOUT);
}

/* Suspends within a shield, is closed meanwhile, and yields behind it. */
static void
wait_shielded(cel_gen *gen, void *arg)
{
    cel_scope scope;

    CHECK_EQ(cel_scope_shield(&scope, cel_after(CEL_SEC * 60)), 0);
    CHECK_EQ(cel_sleep(cel_after(CEL_SEC / 50)), 0);
    CHECK_EQ(cel_scope_leave(&scope), 0);
    *(int *)arg = cel_gen_yield(gen, NULL, NULL);
}

static void
ask_till_its_end(void *gen)
{
    CHECK_EQ(cel_gen_send(gen, NULL, NULL), 0);
}

static int
close_while_shielded(void *arg)
{
    cel_gen *gen = open_gen(wait_shielded, arg);
    cel_coro *asker = go(ask_till_its_end, gen);

    settle();
    cel_gen_close(gen);
    join(asker);
    return 0;
}

TEST(closing_one_that_is_shielded_counts_behind_the_shield)
{
    CHECK_EQ(code_of(close_while_shielded), -ECANCELED);
}

/* The asker has gone when it yields, so it waits with its scope's deadline. */
static void
yield_too_late(cel_gen *gen, void *arg)
{
    cel_scope scope;

    CHECK_EQ(cel_scope_enter(&scope, cel_after(CEL_SEC / 50)), 0);
    (void)cel_yield();
    *(int *)arg = cel_gen_yield(gen, NULL, NULL);
    CHECK_EQ(cel_scope_leave(&scope), -ETIMEDOUT);
}

static void
ask_and_wait(void *gen)
{
    (void)!cel_gen_send(gen, NULL, NULL);
}

static int
yield_to_nobody(void *arg)
{
    cel_gen *gen = open_gen(yield_too_late, arg);

    cel_coro *asker = go(ask_and_wait, gen);

    (void)cel_yield();
    cel_cancel(asker);
    join(asker);
    while (*(int *)arg == 1) {
        CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    }
    CHECK_EQ(cel_gen_send(gen, NULL, NULL), 0);
    cel_gen_close(gen);
    return 0;
}

TEST(a_scope_bounds_the_wait_for_being_asked)
{
    CHECK_EQ(code_of(yield_to_nobody), -ETIMEDOUT);
}

/* Waits itself until it is closed. */
static void
yield_never(cel_gen *gen, void *arg)
{
    (void)gen;
    *(int *)arg = cel_sleep(CEL_FOREVER);
}

static int
ask_within_scope(void *arg)
{
    cel_gen *gen = open_gen(yield_never, arg);
    cel_scope scope;

    CHECK_EQ(cel_scope_enter(&scope, cel_after(CEL_SEC / 50)), 0);
    CHECK_EQ(cel_gen_send(gen, NULL, NULL), -ETIMEDOUT);
    CHECK_EQ(cel_gen_send(gen, NULL, NULL), -EBUSY);
    CHECK_EQ(cel_scope_leave(&scope), -ETIMEDOUT);
    CHECK_EQ(*(int *)arg, 1);
    cel_gen_close(gen);
    return 0;
}

static int
exchange_within_scope(void *arg)
{
    cel_scope scope;

    CHECK_EQ(cel_scope_enter(&scope, cel_after(CEL_SEC * 60)), 0);
    CHECK_EQ(exchange(arg), 0);
    CHECK_EQ(cel_scope_leave(&scope), 0);
    return 0;
}

TEST(a_scope_bounds_asking)
{
    CHECK_EQ(code_of(ask_within_scope), -ECANCELED);
    run(exchange_within_scope);
}
