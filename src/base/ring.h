/* SPDX-License-Identifier: MIT */
/*
 * A growable FIFO of pointers: the run queue.
 *
 * An array and not a list: with 50,000 ready coroutines in random order a
 * list through them costs 46-99 ns a step, this 23-29 ns (c-runtimes, 3).
 * Room is reserved when a thing that may be queued is made, so that queueing
 * it later, on a wake-up, cannot fail.
 *
 * Threads: the owner's only.
 */
#ifndef CEL_RING_H
#define CEL_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

/* Invariants: mask + 1 is a power of two; tail - head <= mask + 1. */
struct cel__ring {
    void **slots;
    uint32_t head;     /* counts what was taken */
    uint32_t tail;     /* counts what was put */
    uint32_t mask;     /* slots - 1 */
    uint32_t reserved; /* how many things may be queued at one time */
};

/* Returns 0 or -ENOMEM. */
int cel__ring_init(struct cel__ring *ring);
void cel__ring_fini(struct cel__ring *ring);

/* Twice as many slots.  Returns 0 or -ENOMEM. */
int cel__ring_grow(struct cel__ring *ring);

/*
 * Make room for one more thing, until cel__ring_release().
 * Returns 0 or -ENOMEM; on error the ring is as it was.
 */
static inline int
cel__ring_reserve(struct cel__ring *ring)
{
    if (cel__unlikely(ring->reserved > ring->mask)) {
        int err = cel__ring_grow(ring);
        if (err < 0) {
            return err;
        }
    }
    ring->reserved++;
    return 0;
}

static inline void
cel__ring_release(struct cel__ring *ring)
{
    cel__assert(ring->reserved > 0);
    ring->reserved--;
}

/*
 * Take `item` out wherever it stands; the others keep their order.
 * Returns whether it was there.  Linear: for rare events only.
 */
bool cel__ring_remove(struct cel__ring *ring, const void *item);

/* Shuffle what is queued (hard build). */
void cel__ring_shuffle(struct cel__ring *ring);

static inline uint32_t
cel__ring_count(const struct cel__ring *ring)
{
    return ring->tail - ring->head;
}

/* Room must have been reserved. */
static inline void
cel__ring_put(struct cel__ring *ring, void *item)
{
    ring->slots[ring->tail++ & ring->mask] = item;
}

/* Ahead of all others.  Room must have been reserved. */
static inline void
cel__ring_put_first(struct cel__ring *ring, void *item)
{
    ring->slots[--ring->head & ring->mask] = item;
}

/* The one that `ahead` others are before; there must be so many. */
static inline void *
cel__ring_peek(const struct cel__ring *ring, uint32_t ahead)
{
    return ring->slots[(ring->head + ahead) & ring->mask];
}

/* The ring must not be empty. */
static inline void *
cel__ring_take(struct cel__ring *ring)
{
    return ring->slots[ring->head++ & ring->mask];
}

#endif
