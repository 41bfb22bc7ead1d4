/* SPDX-License-Identifier: MIT */
/*
 * Messages from any thread to one: a lock-free stack, emptied whole.
 *
 * A sender pushes with one compare-and-swap; the receiver takes everything
 * with one exchange and turns it round, so messages of one sender arrive in
 * the order they were sent.  The memory of a message belongs to the sender
 * until it is pushed and to the receiver after.
 *
 * Threads: push from any; take by the owner.
 */
#ifndef CEL_INBOX_H
#define CEL_INBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct cel__message {
    struct cel__message *next;
    void (*fn)(struct cel__message *message); /* runs in the receiver */
};

/* Zeroed: an empty one. */
struct cel__inbox {
    _Atomic(struct cel__message *) top; /* the newest; NULL: empty */
};

/* Returns whether the inbox was empty: then the receiver may be asleep. */
static inline bool
cel__inbox_push(struct cel__inbox *inbox, struct cel__message *message)
{
    struct cel__message *top = atomic_load_explicit(&inbox->top,
                                                    memory_order_relaxed);

    do {
        message->next = top;
        /* Release: pairs with the acquire in cel__inbox_take().  The success
           order is seq_cst, for the push must also be ordered before the
           reading of the receiver's `asleep` flag (see sched/worker.c). */
    } while (!atomic_compare_exchange_weak_explicit(&inbox->top, &top, message,
                                                    memory_order_seq_cst,
                                                    memory_order_relaxed));
    return top == NULL;
}

static inline bool
cel__inbox_empty(struct cel__inbox *inbox)
{
    return atomic_load_explicit(&inbox->top, memory_order_seq_cst) == NULL;
}

/* All messages, the oldest first, linked by `next`; NULL where none. */
static inline struct cel__message *
cel__inbox_take(struct cel__inbox *inbox)
{
    /* Acquire: pairs with the release in cel__inbox_push(). */
    struct cel__message *top = atomic_exchange_explicit(&inbox->top, NULL,
                                                        memory_order_acquire);
    struct cel__message *oldest = NULL;

    while (top != NULL) {
        struct cel__message *next = top->next;

        top->next = oldest;
        oldest = top;
        top = next;
    }
    return oldest;
}

#endif
