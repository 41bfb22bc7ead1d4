/* SPDX-License-Identifier: MIT */
/*
 * The table of descriptors: what this loop knows of each.
 *
 * Two kinds.  An owned descriptor was opened or accepted by the engine, or
 * given to it: nobody closes it behind its back.  It is registered once a
 * direction, edge-triggered, when an operation first has to wait, and then the
 * `ready` bits are trusted: a short read clears one, so the next call parks
 * without a losing system call; an edge sets it again.  (Both directions at
 * once would wake the loop for nothing: a new socket is writable, and a unix
 * socket says so again whenever its peer reads.)  Any other descriptor may be
 * closed or reused at any time: its bits are not trusted and it is armed
 * one-shot per wait.
 *
 * A thread has its own loop and so its own table; two loops may watch one
 * descriptor.
 *
 * Threads: the loop's owner.
 */
#ifndef CEL_FD_H
#define CEL_FD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/list.h"
#include "io/backend.h"

/* Entries a chunk: 1024 make chunks of 64 KiB. */
#define CEL__FD_CHUNK 1024

/* Operations of one descriptor queue by direction; the waits for readiness
   (CEL__OP_POLL) apart, for they take nothing and all end at once. */
enum cel__fd_queue {
    CEL__FD_READ,
    CEL__FD_WRITE,
    CEL__FD_POLL
};

/* What it is, for with some a short read means that nothing is left. */
enum cel__fd_kind {
    CEL__FD_KIND_UNKNOWN, /* nobody asked the kernel yet */
    CEL__FD_KIND_OTHER,
    CEL__FD_KIND_TCP,
    CEL__FD_KIND_UNIX /* a stream */
};

/*
 * Invariants: `edge` != 0 => owned and known; a `ready` bit whose `edge` bit
 * is clear says nothing; the operations in waiters[] are ARMED; in READ and
 * WRITE only the first may have been tried.
 *
 * Which reads leave nothing behind: those of TCP and of unix streams.  A
 * datagram or a record leaves others, a terminal gives a line at a time.  A
 * unix stream stops where descriptors were passed, and tells recvmsg(2) so;
 * both stop at urgent data, which an event announces.
 */
struct cel__fd {
    struct cel__link waiters[3]; /* operations, first come first served */
    /* Counts the closes: events of an earlier descriptor of this number are
       dropped. */
    uint32_t generation;
    uint32_t slot; /* place in the poll backend's array; 0: none */
    uint8_t ready; /* CEL__READABLE, CEL__WRITABLE: a call may succeed */
    uint8_t edge;  /* the same bits: registered edge-triggered */
    uint8_t kind;  /* enum cel__fd_kind */
    bool owned;    /* see above */
    bool known;    /* the kernel was told of it, and may know it still */
    /* A read that got less than it asked for left nothing behind: of such a
       kind, and neither end, error nor urgent data was seen. */
    bool exact;
    uint8_t nposted; /* uring: requests so far, not counted beyond many */
    bool held;       /* uring: the ring has the file open too (uring_hold.c) */
};

CEL__STATIC_ASSERT(sizeof(struct cel__fd) == 64, "one cache line");

/* Zeroed: an empty one. */
struct cel__fd_table {
    struct cel__fd **chunks;
    uint32_t nchunks;
};

void cel__fd_table_fini(struct cel__fd_table *table);

/* Make the entry of `fd`.  Returns NULL where memory is short or fd < 0. */
struct cel__fd *cel__fd_make(struct cel__fd_table *table, int fd);

/* The entry of `fd`, or NULL where there is none yet. */
static inline struct cel__fd *
cel__fd_find(const struct cel__fd_table *table, int fd)
{
    uint32_t chunk = (uint32_t)fd / CEL__FD_CHUNK;

    if (cel__unlikely(chunk >= table->nchunks) ||
        cel__unlikely(table->chunks[chunk] == NULL)) {
        return NULL;
    }
    return &table->chunks[chunk][(uint32_t)fd % CEL__FD_CHUNK];
}

/*
 * The first entry whose number is not below `*fd`, which becomes its number;
 * NULL where there is none.  For walking over all:
 *
 *     for (int fd = 0; (entry = cel__fd_next(table, &fd)) != NULL; fd++)
 */
struct cel__fd *cel__fd_next(const struct cel__fd_table *table, int *fd);

/*
 * Forget what is known of the descriptor; events that still come for it are
 * dropped.  Its operations stay.
 */
void cel__fd_reset(struct cel__fd *entry);

/* Whether no operation waits. */
static inline bool
cel__fd_idle(const struct cel__fd *entry)
{
    return cel__list_empty(&entry->waiters[CEL__FD_READ]) &&
           cel__list_empty(&entry->waiters[CEL__FD_WRITE]) &&
           cel__list_empty(&entry->waiters[CEL__FD_POLL]);
}

/* The queue of `bit`'s direction. */
static inline int
cel__fd_queue_of(uint8_t bit)
{
    return bit == CEL__READABLE ? CEL__FD_READ : CEL__FD_WRITE;
}

/*
 * Whether a system call in `bit`'s direction (CEL__READABLE, CEL__WRITABLE)
 * is worth trying: unless an edge-triggered registration has told otherwise,
 * or others came first.
 */
static inline bool
cel__fd_worth_trying(const struct cel__fd *entry, uint8_t bit)
{
    if (entry == NULL) {
        return true;
    }
    return ((entry->edge & ~entry->ready) & bit) == 0 &&
           cel__list_empty(&entry->waiters[cel__fd_queue_of(bit)]);
}

/*
 * A call in `bit`'s direction moved less than it was asked to, or would have
 * blocked (`blocked`): nothing more is to be had before the next edge.
 */
static inline void
cel__fd_drained(struct cel__fd *entry, uint8_t bit, bool blocked)
{
    if (entry != NULL && (blocked || bit == CEL__WRITABLE || entry->exact)) {
        entry->ready &= (uint8_t)~bit;
    }
}

#endif
