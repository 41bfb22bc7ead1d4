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
#include <stddef.h>

struct cel__slab {
    size_t size;   /* bytes an object, a multiple of 64 (a cache line) */
    void *free;    /* first free object; its first word links on */
    void *blocks;  /* newest block; its first word links on */
    size_t nused;  /* objects given out */
    size_t nblock; /* objects a block */
    /* What other threads have given back, linked like `free`. */
    _Atomic(void *) returned;
};

void cel__slab_init(struct cel__slab *slab, size_t size);

/* Frees every block; no object may be used after. */
void cel__slab_fini(struct cel__slab *slab);

/* An object, zeroed, aligned to 64 bytes; NULL where memory is short. */
void *cel__slab_take(struct cel__slab *slab);
void cel__slab_give(struct cel__slab *slab, void *object);

/* As cel__slab_give(), from any thread. */
void cel__slab_return(struct cel__slab *slab, void *object);

#endif
