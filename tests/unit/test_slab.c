/* SPDX-License-Identifier: MIT */
/* Slabs: zeroed, aligned, last freed first used, stale but readable. */
#include "base/slab.h"

#include <stdlib.h>
#include <string.h>

#include "tap.h"

TEST(objects_are_zeroed_aligned_and_do_not_overlap)
{
    enum {
        N = 500,
        SIZE = 200
    };
    struct cel__slab slab;
    unsigned char *objects[N];

    cel__slab_init(&slab, SIZE);
    CHECK_EQ(slab.size, 256);
    for (int i = 0; i < N; i++) {
        objects[i] = cel__slab_take(&slab);
        CHECK(objects[i] != NULL);
        CHECK_EQ((uintptr_t)objects[i] % 64, 0);
        for (int k = 0; k < SIZE; k++) {
            CHECK_EQ(objects[i][k], 0);
        }
        memset(objects[i], i % 251 + 1, SIZE);
    }
    for (int i = 0; i < N; i++) {
        CHECK_EQ(objects[i][0], i % 251 + 1);
        CHECK_EQ(objects[i][SIZE - 1], i % 251 + 1);
    }
    cel__slab_fini(&slab);
}

TEST(what_was_given_back_last_is_taken_first_and_zeroed)
{
    struct cel__slab slab;

    cel__slab_init(&slab, 64);
    char *a = cel__slab_take(&slab);
    char *b = cel__slab_take(&slab);
    CHECK(a != NULL && b != NULL);
    memset(b, 1, 64);
    cel__slab_give(&slab, a);
    cel__slab_give(&slab, b);
    char *again = cel__slab_take(&slab);
    CHECK_PTR(again, b);
    for (int i = 0; i < 64; i++) {
        CHECK_EQ(again[i], 0);
    }
    CHECK_PTR(cel__slab_take(&slab), a);
    cel__slab_fini(&slab);
}

TEST(an_object_given_back_can_still_be_read)
{
    struct cel__slab slab;

    cel__slab_init(&slab, 64);
    char *object = cel__slab_take(&slab);
    CHECK(object != NULL);
    memset(object, 7, 64);
    cel__slab_give(&slab, object);
    for (size_t i = sizeof(void *); i < 64; i++) {
        CHECK_EQ(object[i], 7);
    }
    cel__slab_fini(&slab);
}

TEST(objects_larger_than_a_block_can_be_had)
{
    struct cel__slab slab;

    cel__slab_init(&slab, 100000);
    char *object = cel__slab_take(&slab);
    CHECK(object != NULL);
    memset(object, 1, 100000);
    CHECK(cel__slab_take(&slab) != NULL);
    cel__slab_fini(&slab);
}

TEST(where_memory_is_short_there_is_no_object)
{
    struct cel__slab slab;

    if (!CEL__HARD) {
        SKIP("not a hard build");
    }
    CHECK_EQ(setenv("CELADON_FAULT", "malloc:1:ENOMEM", 1), 0);
    cel__slab_init(&slab, 64);
    CHECK(cel__slab_take(&slab) == NULL);
    CHECK(cel__slab_take(&slab) != NULL);
    cel__slab_fini(&slab);
}
