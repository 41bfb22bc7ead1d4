/* SPDX-License-Identifier: MIT */
/*
 * Blocks of objects and the list of free ones.
 *
 * An object given back keeps all but its first word until it is taken again:
 * whoever holds a stale pointer can still see that what it meant is dead.
 *
 * Threads: see slab.h.
 *
 * Tests: unit/test_slab.c
 */
#include "base/slab.h"

#include "base/alloc.h"
#include "base/check.h"

#define LINE 64

/* Bytes of a block, about: 16 KiB is four pages, and below the size at which
   the C library maps each block on its own. */
#define BLOCK ((size_t)16384)

/* What precedes the objects of a block. */
struct block {
    _Alignas(LINE) struct block *next;
};

void
cel__slab_init(struct cel__slab *slab, size_t size)
{
    slab->size = (size + LINE - 1) / LINE * LINE;
    slab->free = NULL;
    slab->blocks = NULL;
    atomic_init(&slab->returned, NULL);
    slab->nblock = (BLOCK - sizeof(struct block)) / slab->size;
    if (slab->nblock < 8) {
        slab->nblock = 8;
    }
    if (CEL__HARD) {
        slab->nblock = 2;
    }
}

void
cel__slab_fini(struct cel__slab *slab)
{
    struct block *block = slab->blocks;

    while (block != NULL) {
        struct block *next = block->next;

        free(block);
        block = next;
    }
}

static void
grow(struct cel__slab *slab)
{
    struct block *block = cel__alloc_aligned(
        LINE, sizeof(struct block) + slab->nblock * slab->size);

    if (block == NULL) {
        return;
    }
    block->next = slab->blocks;
    slab->blocks = block;
    /* Backwards, so that objects are taken in the order of their addresses. */
    char *objects = (char *)(block + 1);
    for (size_t i = slab->nblock; i > 0; i--) {
        cel__slab_give(slab, objects + (i - 1) * slab->size);
    }
}

CEL__COLD bool
cel__slab_refill(struct cel__slab *slab)
{
    /* What others have returned.  Acquire: pairs with the release in
       cel__slab_return().  All at once, so an object that is returned again
       meanwhile confuses nobody. */
    slab->free = atomic_exchange_explicit(&slab->returned, NULL,
                                          memory_order_acquire);
    if (slab->free == NULL) {
        grow(slab);
    }
    return slab->free != NULL;
}

void
cel__slab_return(struct cel__slab *slab, void *object)
{
    void *top = atomic_load_explicit(&slab->returned, memory_order_relaxed);

    do {
        *(void **)object = top;
        /* Release: pairs with the acquire in cel__slab_refill(). */
    } while (!atomic_compare_exchange_weak_explicit(
        &slab->returned, &top, object, memory_order_release,
        memory_order_relaxed));
}
