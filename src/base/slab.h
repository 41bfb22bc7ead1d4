/* SPDX-License-Identifier: MIT */
/*
 * Fixed-size objects from large blocks, last freed first used.
 *
 * Blocks stay until the slab dies, so that a stale pointer to an object
 * reads an object, dead or alive, never unmapped memory.
 *
 * Threads: the owner's only, save cel__slab_return().
 */
#ifndef CEL_SLAB_H
#define CEL_SLAB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/check.h"

struct cel__slab {
    size_t size;   /* bytes an object, a multiple of 64 (a cache line) */
    void *free;    /* first free object; its first word links on */
    void *blocks;  /* newest block; its first word links on */
    size_t nblock; /* objects a block */
    /* What other threads have given back, linked like `free`. */
    _Atomic(void *) returned;
};

void cel__slab_init(struct cel__slab *slab, size_t size);

/* Frees every block; no object may be used after. */
void cel__slab_fini(struct cel__slab *slab);

/* Look for free ones, where there are none; returns whether there are. */
bool cel__slab_refill(struct cel__slab *slab);

/* An object, aligned to 64 bytes, with whatever is left in it; NULL where
   memory is short. */
static inline void *
cel__slab_take_used(struct cel__slab *slab)
{
    if (cel__unlikely(slab->free == NULL) && !cel__slab_refill(slab)) {
        return NULL;
    }
    void *object = slab->free;
    slab->free = *(void **)object;
    return object;
}

/* The same, zeroed. */
static inline void *
cel__slab_take(struct cel__slab *slab)
{
    void *object = cel__slab_take_used(slab);

    return object == NULL ? NULL : memset(object, 0, slab->size);
}

static inline void
cel__slab_give(struct cel__slab *slab, void *object)
{
    *(void **)object = slab->free;
    slab->free = object;
}

/* As cel__slab_give(), from any thread. */
void cel__slab_return(struct cel__slab *slab, void *object);

#endif
