/* SPDX-License-Identifier: MIT */
/*
 * The C library's allocator, with a fault point.
 *
 * Out of memory is an error to the caller, never an abort, so each allocation
 * of the engine comes through here, where a torture run can make it fail
 * (CELADON_FAULT=malloc:N:ENOMEM).  Memory is freed with free().
 *
 * Threads: any.
 */
#ifndef CEL_ALLOC_H
#define CEL_ALLOC_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

/* Each returns NULL where memory is short. */

static inline void *
cel__alloc(size_t size)
{
    return cel__fault("malloc") != 0 ? NULL : malloc(size);
}

static inline void *
cel__alloc_zeroed(size_t count, size_t size)
{
    return cel__fault("malloc") != 0 ? NULL : calloc(count, size);
}

/* The first `len` bytes of a text, and a zero byte. */
static inline char *
cel__alloc_text(const char *text, size_t len)
{
    char *copy = cel__alloc(len + 1);

    if (copy != NULL) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

/* On failure the old block is as it was. */
static inline void *
cel__alloc_resize(void *old, size_t size)
{
    return cel__fault("malloc") != 0 ? NULL : realloc(old, size);
}

/* `alignment` is a power of two, `size` a multiple of it. */
static inline void *
cel__alloc_aligned(size_t alignment, size_t size)
{
    return cel__fault("malloc") != 0 ? NULL : aligned_alloc(alignment, size);
}

#endif
