/* SPDX-License-Identifier: MIT */
/*
 * The timer heap: sifting.
 *
 * Both directions move a hole and write the slot once at its end, so a slot
 * costs one copy a level instead of three.  The order is by (key, seq), and
 * seq is unique, so no two slots are ever equal.
 *
 * Threads: the owner's only.
 *
 * Tests: unit/test_heap.c
 */
#include "base/heap.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/check.h"

/* Slots of the first allocation; two in hard builds, to meet growing. */
#define FIRST (CEL__HARD ? (size_t)2 : (size_t)64)

/* Children of a node: four keys of 24 bytes lie in two cache lines. */
#define ARITY 4

void
cel__heap_fini(struct cel__heap *heap)
{
    for (size_t i = 0; i < heap->count; i++) {
        heap->slots[i].node->index = CEL__HEAP_NONE;
    }
    free(heap->slots);
}

static inline bool
less(const struct cel__heap_slot *a, const struct cel__heap_slot *b)
{
    return a->key != b->key ? a->key < b->key : a->seq < b->seq;
}

static inline void
place(struct cel__heap *heap, size_t at, struct cel__heap_slot slot)
{
    heap->slots[at] = slot;
    slot.node->index = at;
}

/* Put `slot` into the hole at `at` or above it. */
static void
sift_up(struct cel__heap *heap, size_t at, struct cel__heap_slot slot)
{
    while (at > 0) {
        size_t parent = (at - 1) / ARITY;

        if (!less(&slot, &heap->slots[parent])) {
            break;
        }
        place(heap, at, heap->slots[parent]);
        at = parent;
    }
    place(heap, at, slot);
}

/* Put `slot` into the hole at `at` or below it. */
static void
sift_down(struct cel__heap *heap, size_t at, struct cel__heap_slot slot)
{
    for (;;) {
        size_t child = at * ARITY + 1;
        size_t end = child + ARITY;

        if (child >= heap->count) {
            break;
        }
        if (end > heap->count) {
            end = heap->count;
        }
        size_t least = child;
        for (child++; child < end; child++) {
            if (less(&heap->slots[child], &heap->slots[least])) {
                least = child;
            }
        }
        if (!less(&heap->slots[least], &slot)) {
            break;
        }
        place(heap, at, heap->slots[least]);
        at = least;
    }
    place(heap, at, slot);
}

static int
grow(struct cel__heap *heap)
{
    size_t room = heap->room == 0 ? FIRST : heap->room * 2;
    struct cel__heap_slot *slots = cel__alloc_resize(heap->slots,
                                                     room * sizeof(*slots));

    if (slots == NULL) {
        return -ENOMEM;
    }
    heap->slots = slots;
    heap->room = room;
    return 0;
}

int
cel__heap_insert(struct cel__heap *heap, struct cel__heap_node *node,
                 cel_time key)
{
    cel__assert(!cel__heap_has(node));
    if (heap->count == heap->room) {
        int err = grow(heap);
        if (err < 0) {
            return err;
        }
    }
    struct cel__heap_slot slot = {key, heap->seq++, node};
    sift_up(heap, heap->count++, slot);
    return 0;
}

void
cel__heap_remove(struct cel__heap *heap, struct cel__heap_node *node)
{
    size_t at = node->index;

    if (at == CEL__HEAP_NONE) {
        return;
    }
    cel__assert(at < heap->count && heap->slots[at].node == node);
    node->index = CEL__HEAP_NONE;
    struct cel__heap_slot last = heap->slots[--heap->count];
    if (last.node == node) {
        return;
    }
    if (at > 0 && less(&last, &heap->slots[(at - 1) / ARITY])) {
        sift_up(heap, at, last);
    }
    else {
        sift_down(heap, at, last);
    }
}
