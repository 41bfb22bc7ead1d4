/* SPDX-License-Identifier: MIT */
/* The context switch: registers, floating point, both endings, backtraces. */
#include "coro/switch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

enum {
    SIZE = 65536
};

typedef void swap(void **from, void *to);

/* Two contexts: the test's own, and one on a stack of its own. */
struct pair {
    swap *there;
    swap *back;
    void *test; /* stack pointers while suspended */
    void *other;
    int count;
    uintptr_t frame;
    char *stack;
};

static void
leave(struct pair *pair)
{
    pair->back(&pair->other, pair->test);
}

static void
enter(struct pair *pair)
{
    pair->there(&pair->test, pair->other);
}

static void
prepare(struct pair *pair, swap *there, swap *back, void (*entry)(void *))
{
    memset(pair, 0, sizeof(*pair));
    pair->there = there;
    pair->back = back;
    pair->stack = aligned_alloc(16, SIZE);
    CHECK(pair->stack != NULL);
    pair->other = cel__switch_prepare(pair->stack + SIZE, entry, pair);
}

static void
count_for_ever(void *arg)
{
    struct pair *pair = arg;

    for (;;) {
        pair->count++;
        leave(pair);
    }
}

static swap *const swaps[2] = {cel__switch, cel__switch_ret};

TEST(a_context_goes_on_where_it_was_left_by_either_switch)
{
    for (int i = 0; i < 4; i++) {
        struct pair pair;

        prepare(&pair, swaps[i & 1], swaps[i >> 1], count_for_ever);
        for (int k = 1; k <= 1000; k++) {
            enter(&pair);
            CHECK_EQ(pair.count, k);
        }
        free(pair.stack);
    }
}

static void
note_frame(void *arg)
{
    struct pair *pair = arg;

    pair->frame = (uintptr_t)__builtin_frame_address(0);
    leave(pair);
}

TEST(the_entry_sees_an_aligned_stack)
{
    struct pair pair;

    prepare(&pair, cel__switch, cel__switch, note_frame);
    enter(&pair);
    CHECK_EQ(pair.frame % 16, 0);
    CHECK_GT(pair.frame, (uintptr_t)pair.stack);
    CHECK_LT(pair.frame, (uintptr_t)pair.stack + SIZE);
    free(pair.stack);
}

/* Keeps so many values alive over the switch that all callee-saved registers
   are in use, and spoils them for the other side. */
__attribute__((noinline)) static double
mix(struct pair *pair, swap *go, void **from, void *const *to, long seed)
{
    volatile long source = seed;
    long a = source, b = source * 2, c = source * 3, d = source * 5;
    long e = source * 7, f = source * 11, g = source * 13, h = source * 17;
    volatile double fsource = (double)seed;
    double p = fsource, q = fsource / 2, r = fsource / 3, s = fsource / 4;
    double t = fsource / 5, u = fsource / 6, v = fsource / 7, w = fsource / 8;

    pair->count++;
    go(from, *to);
    long whole = a + b * 10 + c * 100 + d * 1000 + e * 10000 + f * 100000 +
                 g * 1000000 + h * 10000000;
    double real = p + q * 2 + r * 3 + s * 4 + t * 5 + u * 6 + v * 7 + w * 8;
    return (double)whole + real;
}

static double
mixed(long seed)
{
    return (double)(seed * (1 + 20 + 300 + 5000 + 70000 + 1100000 + 13000000 +
                            170000000)) +
           8 * (double)seed;
}

static void
mix_for_ever(void *arg)
{
    struct pair *pair = arg;

    for (long seed = 1;; seed++) {
        double got = mix(pair, pair->back, &pair->other, &pair->test, -seed);
        CHECK(fabs(got - mixed(-seed)) < 0.5);
    }
}

TEST(registers_survive_a_switch)
{
    for (int i = 0; i < 2; i++) {
        struct pair pair;

        prepare(&pair, swaps[i], swaps[i], mix_for_ever);
        for (long seed = 1; seed < 1000; seed++) {
            double got = mix(&pair, pair.there, &pair.test, &pair.other, seed);
            CHECK(fabs(got - mixed(seed)) < 0.5);
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
        prepare(&pairs[i], cel__switch, cel__switch, count_for_ever);
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
