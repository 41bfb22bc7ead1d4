/* SPDX-License-Identifier: MIT */
/* The timer heap against the plainest model there is. */
#include "base/heap.h"

#include <errno.h>
#include <stdlib.h>

#include "tap.h"

struct timer {
    struct cel__heap_node node;
    cel_time key;
    int order; /* of insertion */
};

static uint32_t
next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* Whether the invariants of struct cel__heap hold. */
static bool
is_in_order(const struct cel__heap *heap)
{
    for (size_t i = 0; i < heap->count; i++) {
        const struct cel__heap_slot *slot = &heap->slots[i];
        const struct cel__heap_slot *parent = &heap->slots[(i - 1) / 4];
        if (slot->node->index != i || (i > 0 && (slot->key < parent->key ||
                                                 (slot->key == parent->key &&
                                                  slot->seq < parent->seq)))) {
            return false;
        }
    }
    return heap->count <= heap->room;
}

static struct timer *
pop(struct cel__heap *heap)
{
    struct cel__heap_node *node = cel__heap_first(heap);

    cel__heap_remove(heap, node);
    /* The node is the first member. */
    return (struct timer *)node;
}

TEST(an_empty_heap_is_due_never)
{
    struct cel__heap heap = {0};
    struct cel__heap_node node;

    cel__heap_node_init(&node);
    CHECK(cel__heap_least(&heap) == CEL_FOREVER);
    CHECK(!cel__heap_has(&node));
    cel__heap_remove(&heap, &node);
    CHECK(is_in_order(&heap));
    cel__heap_fini(&heap);
}

TEST(timers_leave_by_key_and_equal_ones_in_the_order_they_came)
{
    enum {
        N = 2000
    };
    static struct timer timers[N];
    struct cel__heap heap = {0};
    uint32_t seed = 1;

    for (int i = 0; i < N; i++) {
        timers[i].key = next_random(&seed) % 100;
        timers[i].order = i;
        cel__heap_node_init(&timers[i].node);
        CHECK_EQ(cel__heap_insert(&heap, &timers[i].node, timers[i].key), 0);
    }
    CHECK(is_in_order(&heap));
    const struct timer *before = pop(&heap);
    for (int i = 1; i < N; i++) {
        const struct timer *timer = pop(&heap);

        CHECK_LE(before->key, timer->key);
        if (before->key == timer->key) {
            CHECK_LT(before->order, timer->order);
        }
        before = timer;
    }
    CHECK_EQ(heap.count, 0);
    cel__heap_fini(&heap);
}

TEST(random_inserting_and_removing_keeps_the_invariants)
{
    enum {
        N = 300
    };
    static struct timer timers[N];
    struct cel__heap heap = {0};
    uint32_t seed = 7;
    size_t count = 0;

    for (int i = 0; i < N; i++) {
        cel__heap_node_init(&timers[i].node);
    }
    for (int step = 0; step < 20000; step++) {
        struct timer *timer = &timers[next_random(&seed) % N];

        if (cel__heap_has(&timer->node)) {
            cel__heap_remove(&heap, &timer->node);
            CHECK(!cel__heap_has(&timer->node));
            count--;
        }
        else {
            timer->key = next_random(&seed) % 1000;
            CHECK_EQ(cel__heap_insert(&heap, &timer->node, timer->key), 0);
            count++;
        }
        CHECK_EQ(heap.count, count);
        CHECK(is_in_order(&heap));
    }
    cel_time least = CEL_FOREVER;
    for (int i = 0; i < N; i++) {
        if (cel__heap_has(&timers[i].node) && timers[i].key < least) {
            least = timers[i].key;
        }
    }
    CHECK_EQ(cel__heap_least(&heap), least);
    cel__heap_fini(&heap);
    for (int i = 0; i < N; i++) {
        CHECK(!cel__heap_has(&timers[i].node));
    }
}

TEST(the_check_sees_a_broken_order)
{
    struct cel__heap heap = {0};
    struct cel__heap_node nodes[3];

    for (int i = 0; i < 3; i++) {
        cel__heap_node_init(&nodes[i]);
        CHECK_EQ(cel__heap_insert(&heap, &nodes[i], i), 0);
    }
    heap.slots[0].key = 10;
    CHECK(!is_in_order(&heap));
    heap.slots[0].key = 0;
    nodes[2].index = 1;
    CHECK(!is_in_order(&heap));
    nodes[2].index = 2;
    CHECK(is_in_order(&heap));
    cel__heap_fini(&heap);
}

TEST(where_memory_is_short_the_heap_is_as_it_was)
{
    struct cel__heap heap = {0};
    struct cel__heap_node nodes[3];

    if (!CEL__HARD) {
        SKIP("not a hard build");
    }
    CHECK_EQ(setenv("CELADON_FAULT", "malloc:2:ENOMEM", 1), 0);
    for (int i = 0; i < 3; i++) {
        cel__heap_node_init(&nodes[i]);
        CHECK_EQ(cel__heap_insert(&heap, &nodes[i], 9 - i),
                 i < 2 ? 0 : -ENOMEM);
    }
    CHECK(!cel__heap_has(&nodes[2]));
    CHECK_EQ(heap.count, 2);
    CHECK(is_in_order(&heap));
    CHECK_EQ(cel__heap_insert(&heap, &nodes[2], 1), 0);
    CHECK_EQ(cel__heap_least(&heap), 1);
    cel__heap_fini(&heap);
}
