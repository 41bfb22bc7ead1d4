/* SPDX-License-Identifier: MIT */
/*
 * A pair of rings shared with the kernel: requests go in by one, completions
 * come out by the other, and one system call serves both.
 *
 * Threads: the one that opened it.
 */
#ifndef CEL_URING_RING_H
#define CEL_URING_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "celadon/base.h"
#include "io/uring_abi.h"

/* The user_data of requests whose completion tells nobody anything. */
#define CEL__URING_NOBODY 0

/* Of the files that a ring holds. */
enum cel__uring_table {
    CEL__URING_TABLE_NONE, /* not asked for yet */
    CEL__URING_TABLE_MADE,
    CEL__URING_TABLE_REFUSED
};

/*
 * Invariants: tail - *sq_head <= nsqes; requests from *sq_head to tail are
 * not submitted yet; the kernel reads and writes the rings within
 * cel__uring_ring_enter() only (DEFER_TASKRUN).
 */
struct cel__uring_ring {
    int fd;               /* -1: none */
    uint32_t enter_flags; /* of every enter() */
    bool listed;          /* it may hold files; a child has closed it by now */
    uint8_t table;        /* enum cel__uring_table */
    uint32_t nsqes;
    uint32_t sq_mask;
    uint32_t cq_mask;
    uint32_t tail; /* where the next request goes; the kernel is told later */
    uint32_t head; /* the next completion; likewise */
    atomic_uint *sq_head; /* the kernel's */
    atomic_uint *sq_tail;
    atomic_uint *cq_head;
    atomic_uint *cq_tail; /* the kernel's */
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
    void *rings; /* the mapping with both */
    size_t rings_len;
    size_t sqes_len;
};

/*
 * Make one with room for `nsqes` requests and eight times as many
 * completions; its memory is not inherited by children.
 *
 * Returns 0, -EMFILE, -ENFILE, or -ENOSYS where this system, its kernel or
 * its rules, will not have it: `*reason` says why.  On error nothing is held.
 */
int cel__uring_ring_open(struct cel__uring_ring *ring, uint32_t nsqes,
                         const char **reason);

/* Give it back.  Requests that are under way are cancelled, some time. */
void cel__uring_ring_close(struct cel__uring_ring *ring);

/* Give back its memory alone, where the descriptor is somebody else's by
   now. */
void cel__uring_ring_unmap(struct cel__uring_ring *ring);

/* In a child, which has the descriptor but not the memory. */
void cel__uring_ring_drop(struct cel__uring_ring *ring);

/*
 * The place of the next request, to be written whole; those before it are
 * submitted where the ring is full.  Returns NULL where the kernel will not
 * take those.
 */
struct io_uring_sqe *cel__uring_ring_push(struct cel__uring_ring *ring);

/*
 * Submit what was pushed, and wait until there are `nwait` completions, for
 * `timeout` nanoseconds (CEL_FOREVER: no limit) at most.
 * Returns the number submitted, if any; else 0, -ETIME, -EINTR, -EBADF.
 */
int cel__uring_ring_enter(struct cel__uring_ring *ring, uint32_t nwait,
                          cel_time timeout);

/* Write to `eventfd` whenever there are completions, or could be after an
   enter().  Returns 0 or as io_uring_register(2). */
int cel__uring_ring_tell(struct cel__uring_ring *ring, int eventfd);

/* In the list of rings that may hold files (uring_hold.c), by descriptor + 1
   (0: none), put `after` where `before` stands.  Returns whether it did. */
bool cel__uring_list_replace(int before, int after);

/* Hold the file of `fd`, so that requests may name it by that number as its
   place.  Returns whether it is held. */
bool cel__uring_hold(struct cel__uring_ring *ring, int fd);

/* Put the file of descriptor `file` in that place; -1: let go of what is held
   there.  Returns false in another thread. */
bool cel__uring_place(const struct cel__uring_ring *ring, int place,
                      int32_t file);

/* Let go of all, at once. */
void cel__uring_let_go_of_all(struct cel__uring_ring *ring);

/* Take the next completion out.  Returns false where there is none. */
bool cel__uring_ring_take(struct cel__uring_ring *ring,
                          struct io_uring_cqe *out);

/* Take back the request of `user_data`, if it is not submitted yet.  Returns
   whether it was found. */
bool cel__uring_ring_unpush(struct cel__uring_ring *ring, uint64_t user_data);

/*
 * Look for the last completion of `user_data` among those that were not taken
 * yet, and make it nobody's.  Returns whether it was found; then its result is
 * in `*res`.
 */
bool cel__uring_ring_find(struct cel__uring_ring *ring, uint64_t user_data,
                          int32_t *res);

/* Requests that are not submitted yet. */
static inline uint32_t
cel__uring_ring_npushed(const struct cel__uring_ring *ring)
{
    /* Relaxed: this thread's own enter() moved it. */
    return ring->tail -
           atomic_load_explicit(ring->sq_head, memory_order_relaxed);
}

/* Whether there is a completion to take. */
static inline bool
cel__uring_ring_has_some(const struct cel__uring_ring *ring)
{
    /* Acquire: pairs with the kernel's release after it wrote them. */
    return ring->head !=
           atomic_load_explicit(ring->cq_tail, memory_order_acquire);
}

/* The user_data of the completion that `n` others are before, or nobody's. */
static inline uint64_t
cel__uring_ring_peek(const struct cel__uring_ring *ring, uint32_t n)
{
    /* Acquire: as above. */
    uint32_t tail = atomic_load_explicit(ring->cq_tail, memory_order_acquire);

    return tail - ring->head > n
               ? ring->cqes[(ring->head + n) & ring->cq_mask].user_data
               : CEL__URING_NOBODY;
}

#endif
