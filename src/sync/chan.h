/* SPDX-License-Identifier: MIT */
/*
 * What a channel is inside; the rest is celadon/chan.h.
 *
 * Threads: any; all of a channel is guarded by its latch.
 */
#ifndef CEL_CHAN_H
#define CEL_CHAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "celadon/chan.h"
#include "sync/queue.h"

/* No case has happened yet; the select has given up. */
#define CEL__SELECT_OPEN (-1)
#define CEL__SELECT_LEFT (-2)

/* A coroutine in cel_select(); on its stack. */
struct cel__select {
    /* Which case happened, or one of the above.  Whoever changes it from
       OPEN, with the latch of the case's channel held, has the select. */
    atomic_int winner;
};

/* One who waits at a channel.  Guarded by the channel's latch. */
struct cel__chan_wait {
    struct cel__wait wait;      /* first; in senders or receivers */
    void *value;                /* to read from or to write to */
    struct cel__select *select; /* NULL: it waits for nothing else */
    int index;                  /* which case of the select it is */
};

/*
 * Invariants: receivers wait => count == 0 and, but for selects that have
 * happened, no sender waits; senders wait => count == capacity; shut => nobody
 * waits; count <= capacity; head < capacity where there is any.
 */
struct cel_chan {
    struct cel__latch latch;
    struct cel__link senders;   /* struct cel__chan_wait, the oldest first */
    struct cel__link receivers; /* the same */
    size_t size;                /* bytes of a value */
    size_t capacity;            /* values that `buffer` has room for */
    size_t count;               /* values in it */
    size_t head;                /* where the oldest lies */
    bool shut;                  /* no more values will be sent */
    _Alignas(max_align_t) char buffer[];
};

/* Copy a value of `size` bytes.  Those of a word, pointers and numbers, are
   nearly all there are, and a call of memcpy() is 3 ns. */
static inline void
cel__chan_copy(void *to, const void *from, size_t size)
{
    if (cel__likely(size == sizeof(uint64_t))) {
        memcpy(to, from, sizeof(uint64_t));
    }
    else if (size != 0) {
        memcpy(to, from, size);
    }
}

/*
 * Send, or receive, if it can be done without waiting.  The latch is held;
 * `me` is the calling thread's worker or NULL.  Returns 0, -EPIPE, or -EAGAIN:
 * it can't be.
 */
int cel__chan_try_send(struct cel_chan *chan, const void *value,
                       struct cel__worker *me);
int cel__chan_try_recv(struct cel_chan *chan, void *value,
                       struct cel__worker *me);

#endif
