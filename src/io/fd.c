/* SPDX-License-Identifier: MIT */
/*
 * The table of descriptors: chunks of entries, made when first needed.
 *
 * An entry never moves and lives as long as its table, so that an operation's
 * done() may close the very descriptor that is being served.
 *
 * Threads: the loop's owner.
 *
 * Tests: unit/test_fd.c
 */
#include "io/fd.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void
cel__fd_table_fini(struct cel__fd_table *table)
{
    for (uint32_t i = 0; i < table->nchunks; i++) {
        free(table->chunks[i]);
    }
    free(table->chunks);
}

/* Make room for the pointers of `count` chunks; false: memory is short. */
static bool
grow(struct cel__fd_table *table, uint32_t count)
{
    struct cel__fd **chunks = cel__alloc_resize(table->chunks,
                                                count * sizeof(void *));

    if (chunks == NULL) {
        return false;
    }
    for (uint32_t i = table->nchunks; i < count; i++) {
        chunks[i] = NULL;
    }
    table->chunks = chunks;
    table->nchunks = count;
    return true;
}

static struct cel__fd *
make_chunk(void)
{
    struct cel__fd *chunk = cel__alloc_aligned(64,
                                               CEL__FD_CHUNK * sizeof(*chunk));

    if (chunk == NULL) {
        return NULL;
    }
    memset(chunk, 0, CEL__FD_CHUNK * sizeof(*chunk));
    for (int i = 0; i < CEL__FD_CHUNK; i++) {
        for (int queue = CEL__FD_READ; queue <= CEL__FD_POLL; queue++) {
            cel__list_init(&chunk[i].waiters[queue]);
        }
    }
    return chunk;
}

struct cel__fd *
cel__fd_make(struct cel__fd_table *table, int fd)
{
    struct cel__fd *entry = cel__fd_find(table, fd);
    uint32_t number = (uint32_t)fd / CEL__FD_CHUNK;

    if (entry != NULL || fd < 0) {
        return entry;
    }
    if (number >= table->nchunks && !grow(table, number + 1)) {
        return NULL;
    }
    table->chunks[number] = make_chunk();
    return cel__fd_find(table, fd);
}

struct cel__fd *
cel__fd_next(const struct cel__fd_table *table, int *fd)
{
    uint32_t chunk = (uint32_t)*fd / CEL__FD_CHUNK;

    if (chunk < table->nchunks && table->chunks[chunk] != NULL) {
        return cel__fd_find(table, *fd);
    }
    while (++chunk < table->nchunks) {
        if (table->chunks[chunk] != NULL) {
            *fd = (int)(chunk * CEL__FD_CHUNK);
            return table->chunks[chunk];
        }
    }
    return NULL;
}

void
cel__fd_reset(struct cel__fd *entry)
{
    entry->generation++;
    entry->ready = 0;
    entry->edge = 0;
    entry->kind = CEL__FD_KIND_UNKNOWN;
    entry->owned = false;
    entry->known = false;
    entry->exact = false;
    entry->nposted = 0;
    entry->held = false;
}
