/* SPDX-License-Identifier: MIT */
/* The context switch: registers, floating point, both beginnings. */
#include "coro/switch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

enum {
    SIZE = 65536
};

/* Two contexts: the test's own, and one on a stack of its own. */
struct pair {
    void *(*entry)(void *);
    void *test;  /* stack pointers while suspended */
    void *other; /* NULL: it is new, and nothing was prepared */
    int count;
    uintptr_t frame;
    char *stack;
};

static void
leave(struct pair *pair)
{
    cel__switch(&pair->other, pair->test);
}

static void
enter(struct pair *pair)
{
    if (pair->other == NULL) {
        cel__switch_start(&pair->test, pair->stack + SIZE, pair->entry, pair);
        return;
    }
    cel__switch(&pair->test, pair->other);
}

static void
make(struct pair *pair, bool prepared, void *(*entry)(void *))
{
    memset(pair, 0, sizeof(*pair));
    pair->entry = entry;
    pair->stack = aligned_alloc(16, SIZE);
    CHECK(pair->stack != NULL);
    if (prepared) {
        pair->other = cel__switch_prepare(pair->stack + SIZE, entry, pair);
    }
}

static void *
count_for_ever(void *arg)
{
    struct pair *pair = arg;

    while (pair->stack != NULL) { /* always */
        pair->count++;
        leave(pair);
    }
    return NULL;
}

TEST(a_context_goes_on_where_it_was_left)
{
    for (int i = 0; i < 2; i++) {
        struct pair pair;

        make(&pair, i == 1, count_for_ever);
        for (int k = 1; k <= 1000; k++) {
            enter(&pair);
            CHECK_EQ(pair.count, k);
        }
        free(pair.stack);
    }
}

static void *
note_frame(void *arg)
{
    struct pair *pair = arg;

    pair->frame = (uintptr_t)__builtin_frame_address(0);
    return pair->test;
}

TEST(the_entry_sees_an_aligned_stack)
{
    for (int i = 0; i < 2; i++) {
        struct pair pair;

        make(&pair, i == 1, note_frame);
        enter(&pair);
        CHECK_EQ(pair.frame % 16, 0);
        CHECK_GT(pair.frame, (uintptr_t)pair.stack);
        CHECK_LT(pair.frame, (uintptr_t)pair.stack + SIZE);
        free(pair.stack);
    }
}

/* Two contexts: the first ends and names the second, new or already run. */
struct chain {
    struct pair first;
    struct pair second;
};

static void *
count_once(void *arg)
{
    struct pair *pair = arg;

    pair->count++;
    return pair->test;
}

static void *
end_for_the_second(void *arg)
{
    struct chain *chain = arg;

    chain->first.count++;
    return chain->second.other;
}

TEST(a_context_that_ends_lets_the_one_it_names_go_on)
{
    for (int ran = 0; ran < 2; ran++) {
        struct chain chain;

        make(&chain.first, true, count_once);
        make(&chain.second, true, ran ? count_for_ever : count_once);
        if (ran) {
            enter(&chain.second);
        }
        chain.first.other = cel__switch_prepare(chain.first.stack + SIZE,
                                                end_for_the_second, &chain);
        cel__switch(&chain.second.test, chain.first.other);
        CHECK_EQ(chain.first.count, 1);
        CHECK_EQ(chain.second.count, 1 + ran);
        free(chain.first.stack);
        free(chain.second.stack);
    }
}

/* Keeps so many values alive over the switch that all callee-saved registers
   are in use, and spoils them for the other side.  Returns a sum of them that
   is another one when two are swapped. */
__attribute__((noinline)) static double
/* NOLINTNEXTLINE(readability-function-size) */
mix(struct pair *pair, void (*go)(struct pair *pair), long seed)
{
    volatile long whole = seed;
    volatile double real = (double)seed;
    long a = whole * 1;
    long b = whole * 3;
    long c = whole * 5;
    long d = whole * 7;
    long e = whole * 9;
    long f = whole * 11;
    long g = whole * 13;
    long h = whole * 15;
    double p = real / 1;
    double q = real / 2;
    double r = real / 3;
    double s = real / 4;
    double t = real / 5;
    double u = real / 6;
    double v = real / 7;
    double w = real / 8;

    pair->count++;
    go(pair);
    long sum = a + b * 3 + c * 9 + d * 27 + e * 81 + f * 243 + g * 729 +
               h * 2187;
    return (double)sum + p + q * 3 + r * 9 + s * 27 + t * 81 + u * 243 +
           v * 729 + w * 2187;
}

/* What mix() should return. */
static double
mixed(long seed)
{
    double sum = 0;
    double factor = 1;

    for (int i = 0; i < 8; i++) {
        sum += factor * (double)(seed * (2 * i + 1));
        sum += factor * (double)seed / (i + 1);
        factor *= 3;
    }
    return sum;
}

static void *
mix_for_ever(void *arg)
{
    struct pair *pair = arg;

    for (long seed = 1;; seed++) {
        double got = mix(pair, leave, -seed);
        CHECK(fabs(got - mixed(-seed)) < 0.001);
    }
}

TEST(registers_survive_a_switch)
{
    for (int i = 0; i < 2; i++) {
        struct pair pair;

        make(&pair, i == 1, mix_for_ever);
        for (long seed = 1; seed < 1000; seed++) {
            double got = mix(&pair, enter, seed);
            CHECK(fabs(got - mixed(seed)) < 0.001);
        }
        CHECK_EQ(pair.count, 999 * 2);
        free(pair.stack);
    }
}

TEST(many_contexts_can_be_resumed_in_any_order)
{
    enum {
        N = 50
    };
    struct pair pairs[N];
    unsigned state = 1;
    int total = 0;

    for (int i = 0; i < N; i++) {
        make(&pairs[i], i % 2 == 1, count_for_ever);
    }
    for (int i = 0; i < 10000; i++) {
        state = state * 1103515245 + 12345;
        struct pair *pair = &pairs[(state >> 16) % N];
        int before = pair->count;

        enter(pair);
        CHECK_EQ(pair->count, before + 1);
    }
    for (int i = 0; i < N; i++) {
        total += pairs[i].count;
        free(pairs[i].stack);
    }
    CHECK_EQ(total, 10000);
}
