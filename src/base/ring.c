/* SPDX-License-Identifier: MIT */
/*
 * The run queue's array: how it grows, and the rare operations on it.
 *
 * It grows when a place is reserved, never when something is put, and it does
 * not shrink: a process that once had a million coroutines may have them
 * again, and eight bytes each are little beside their stacks.
 *
 * Threads: the owner's only.
 *
 * Tests: unit/test_ring.c
 */
#include "base/ring.h"

#include <errno.h>

#include "base/alloc.h"

/* Slots of a new ring: a page and a half of small programs' coroutines; two
   in hard builds, so that growing is met at once. */
#define FIRST (CEL__HARD ? 2U : 64U)

/* The most slots: beyond this the 32-bit counters would be ambiguous. */
#define MOST (UINT32_C(1) << 31)

int
cel__ring_init(struct cel__ring *ring)
{
    ring->slots = cel__alloc(FIRST * sizeof(*ring->slots));
    if (ring->slots == NULL) {
        return -ENOMEM;
    }
    ring->head = 0;
    ring->tail = 0;
    ring->mask = FIRST - 1;
    ring->reserved = 0;
    return 0;
}

void
cel__ring_fini(struct cel__ring *ring)
{
    free(ring->slots);
    ring->slots = NULL;
}

CEL__COLD int
cel__ring_grow(struct cel__ring *ring)
{
    uint32_t room = ring->mask + 1;
    uint32_t count = cel__ring_count(ring);

    if (room >= MOST) {
        return -ENOMEM;
    }
    void **slots = cel__alloc((size_t)room * 2 * sizeof(*slots));
    if (slots == NULL) {
        return -ENOMEM;
    }
    /* What is queued goes to the beginning. */
    for (uint32_t i = 0; i < count; i++) {
        slots[i] = ring->slots[(ring->head + i) & ring->mask];
    }
    free(ring->slots);
    ring->slots = slots;
    ring->head = 0;
    ring->tail = count;
    ring->mask = room * 2 - 1;
    return 0;
}

bool
cel__ring_remove(struct cel__ring *ring, const void *item)
{
    uint32_t at = ring->head;

    while (at != ring->tail && ring->slots[at & ring->mask] != item) {
        at++;
    }
    if (at == ring->tail) {
        return false;
    }
    for (; at + 1 != ring->tail; at++) {
        ring->slots[at & ring->mask] = ring->slots[(at + 1) & ring->mask];
    }
    ring->tail--;
    return true;
}

void
cel__ring_shuffle(struct cel__ring *ring)
{
    /* Fisher and Yates. */
    for (uint32_t left = cel__ring_count(ring); left > 1; left--) {
        uint32_t pick = ring->head + cel__dice(left);
        void **a = &ring->slots[(ring->head + left - 1) & ring->mask];
        void **b = &ring->slots[pick & ring->mask];
        void *item = *a;

        *a = *b;
        *b = item;
    }
}
