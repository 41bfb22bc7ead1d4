/* SPDX-License-Identifier: MIT */
/*
 * A 4-ary min-heap of deadlines with the keys beside the pointers.
 *
 * Insert and cancel among 100 / 10,000 / a million timers cost 14 / 18 / 52
 * ns; equal keys leave in the order they came.  Why no wheel: ARCHITECTURE.md.
 *
 * Threads: the owner's only.
 */
#ifndef CEL_HEAP_H
#define CEL_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "celadon/base.h"

#define CEL__HEAP_NONE SIZE_MAX

/* Embedded in what is queued.  CEL__HEAP_NONE: not in the heap. */
struct cel__heap_node {
    size_t index;
};

struct cel__heap_slot {
    cel_time key;
    uint64_t seq; /* order of insertion, breaks ties */
    struct cel__heap_node *node;
};

/*
 * Invariants: slots[i].node->index == i; no slot is less than its parent
 * slots[(i - 1) / 4], by (key, seq).  Zeroed: an empty one.
 */
struct cel__heap {
    struct cel__heap_slot *slots;
    size_t count;
    size_t room;
    uint64_t seq;
};

/* Takes out what is in it. */
void cel__heap_fini(struct cel__heap *heap);

/* Returns 0 or -ENOMEM; on error the heap is as it was. */
int cel__heap_insert(struct cel__heap *heap, struct cel__heap_node *node,
                     cel_time key);

/* Take `node` out; harmless where it is not in. */
void cel__heap_remove(struct cel__heap *heap, struct cel__heap_node *node);

static inline void
cel__heap_node_init(struct cel__heap_node *node)
{
    node->index = CEL__HEAP_NONE;
}

static inline bool
cel__heap_has(const struct cel__heap_node *node)
{
    return node->index != CEL__HEAP_NONE;
}

/* The least key, or CEL_FOREVER where the heap is empty. */
static inline cel_time
cel__heap_least(const struct cel__heap *heap)
{
    return heap->count == 0 ? CEL_FOREVER : heap->slots[0].key;
}

/* The node with the least key; the heap must not be empty. */
static inline struct cel__heap_node *
cel__heap_first(const struct cel__heap *heap)
{
    return heap->slots[0].node;
}

#endif
