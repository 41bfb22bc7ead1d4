/* SPDX-License-Identifier: MIT */
/* The run queue's ring: order, growth at every offset, the rare operations. */
#include "base/ring.h"

#include <errno.h>
#include <stdlib.h>

#include "tap.h"

/* Numbers as pointers. */
static void *
item(uintptr_t n)
{
    return (void *)(n + 1); /* NOLINT(performance-no-int-to-ptr) */
}

static void
open_with(struct cel__ring *ring, uint32_t reserved)
{
    CHECK_EQ(cel__ring_init(ring), 0);
    for (uint32_t i = 0; i < reserved; i++) {
        CHECK_EQ(cel__ring_reserve(ring), 0);
    }
}

TEST(what_is_put_first_is_taken_first)
{
    struct cel__ring ring;

    open_with(&ring, 1000);
    CHECK_EQ(ring.reserved, 1000);
    for (uintptr_t i = 0; i < 1000; i++) {
        cel__ring_put(&ring, item(i));
    }
    CHECK_EQ(cel__ring_count(&ring), 1000);
    for (uintptr_t i = 0; i < 1000; i++) {
        CHECK_PTR(cel__ring_take(&ring), item(i));
    }
    CHECK_EQ(cel__ring_count(&ring), 0);
    cel__ring_fini(&ring);
}

TEST(who_goes_ahead_is_taken_before_all)
{
    struct cel__ring ring;

    open_with(&ring, 3);
    cel__ring_put(&ring, item(1));
    cel__ring_put_first(&ring, item(0)); /* below where counting began */
    cel__ring_put(&ring, item(2));
    for (uintptr_t i = 0; i < 3; i++) {
        CHECK_PTR(cel__ring_take(&ring), item(i));
    }
    cel__ring_fini(&ring);
}

TEST(growing_keeps_the_order_wherever_the_queue_stands)
{
    for (uintptr_t offset = 0; offset < 130; offset++) {
        struct cel__ring ring;

        open_with(&ring, 64);
        for (uintptr_t i = 0; i < offset; i++) {
            cel__ring_put(&ring, item(i));
            (void)cel__ring_take(&ring);
        }
        for (uintptr_t i = 0; i < 64; i++) {
            cel__ring_put(&ring, item(i));
        }
        CHECK_EQ(cel__ring_reserve(&ring), 0);
        cel__ring_put(&ring, item(64));
        for (uintptr_t i = 0; i < 65; i++) {
            CHECK_PTR(cel__ring_take(&ring), item(i));
        }
        cel__ring_fini(&ring);
    }
}

TEST(the_counters_may_wrap_around)
{
    struct cel__ring ring;

    open_with(&ring, 3);
    ring.head = UINT32_MAX - 1;
    ring.tail = UINT32_MAX - 1;
    for (uintptr_t i = 0; i < 3; i++) {
        cel__ring_put(&ring, item(i));
    }
    CHECK_EQ(cel__ring_count(&ring), 3);
    CHECK(cel__ring_remove(&ring, item(1)));
    CHECK_PTR(cel__ring_take(&ring), item(0));
    CHECK_PTR(cel__ring_take(&ring), item(2));
    cel__ring_fini(&ring);
}

TEST(a_place_released_is_reserved_again_without_growing)
{
    struct cel__ring ring;

    open_with(&ring, 64);
    uint32_t mask = ring.mask;
    for (int i = 0; i < 1000; i++) {
        cel__ring_release(&ring);
        CHECK_EQ(cel__ring_reserve(&ring), 0);
    }
    CHECK_EQ(ring.mask, mask);
    cel__ring_fini(&ring);
}

TEST(removing_keeps_the_order_of_the_others)
{
    for (uintptr_t gone = 0; gone < 5; gone++) {
        struct cel__ring ring;

        open_with(&ring, 5);
        for (uintptr_t i = 0; i < 5; i++) {
            cel__ring_put(&ring, item(i));
        }
        CHECK(cel__ring_remove(&ring, item(gone)));
        CHECK(!cel__ring_remove(&ring, item(gone)));
        CHECK_EQ(cel__ring_count(&ring), 4);
        for (uintptr_t i = 0; i < 5; i++) {
            if (i != gone) {
                CHECK_PTR(cel__ring_take(&ring), item(i));
            }
        }
        cel__ring_fini(&ring);
    }
}

TEST(shuffling_loses_nothing)
{
    struct cel__ring ring;
    bool seen[100] = {false};
    int moved = 0;

    open_with(&ring, 100);
    for (uintptr_t i = 0; i < 100; i++) {
        cel__ring_put(&ring, item(i));
    }
    cel__ring_shuffle(&ring);
    for (uintptr_t i = 0; i < 100; i++) {
        uintptr_t n = (uintptr_t)cel__ring_take(&ring) - 1;

        CHECK_LT(n, 100);
        CHECK(!seen[n]);
        seen[n] = true;
        moved += n != i;
    }
    CHECK_GT(moved, 50);
    cel__ring_fini(&ring);
}

TEST(where_memory_is_short_the_ring_is_as_it_was)
{
    struct cel__ring ring;
    uint32_t n = 0;

    if (!CEL__HARD) {
        SKIP("not a hard build");
    }
    CHECK_EQ(setenv("CELADON_FAULT", "malloc:3:ENOMEM", 1), 0);
    CHECK_EQ(cel__ring_init(&ring), 0);
    while (cel__ring_reserve(&ring) == 0) {
        cel__ring_put(&ring, item(n++));
    }
    CHECK_EQ(ring.reserved, n);
    CHECK_EQ(ring.mask + 1, n);
    for (uintptr_t i = 0; i < n; i++) {
        CHECK_PTR(cel__ring_take(&ring), item(i));
    }
    cel__ring_fini(&ring);
}

TEST(a_ring_has_an_end)
{
    struct cel__ring ring = {.mask = UINT32_MAX / 2};

    CHECK_EQ(cel__ring_grow(&ring), -ENOMEM);
    CHECK_EQ(ring.mask, UINT32_MAX / 2);
}

TEST(a_ring_may_fail_to_be_made)
{
    struct cel__ring ring;

    if (!CEL__HARD) {
        SKIP("not a hard build");
    }
    CHECK_EQ(setenv("CELADON_FAULT", "malloc:1:ENOMEM", 1), 0);
    CHECK_EQ(cel__ring_init(&ring), -ENOMEM);
}
