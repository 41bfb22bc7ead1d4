/* SPDX-License-Identifier: MIT */
/*
 * Stacks for coroutines: mapped in slabs of 64, guarded, pooled, coloured.
 *
 * A stack is one piece of a slab:
 *
 *     low                                    top         end
 *      | guard | C stack, grows down ........ X | tail ... |
 *
 * `tail` bytes above the top belong to the embedder (a Python greenlet keeps
 * its interpreter's data stack there, growing up from the very page in which
 * the C stack begins, so that a parked greenlet touches one page).
 *
 * Guards: see guard.c.  Where none can be made, whether its pages were touched
 * is seen when the stack comes back, and one line in the log says so.
 *
 * Pool: last in, first out, for a stack just left is in the caches.  Where the
 * pool grows samples are taken: one used deeply gives its lower pages back
 * (MADV_DONTNEED costs 1.5 us and the page fault after it as much again).
 *
 * Colour: the tops of neighbouring stacks differ by multiples of 64 bytes
 * within their page, else all tops fall in the same 1/64 of the L1 sets (a
 * switch among 1000: 34 ns aligned, 5 ns coloured; c-runtimes, 4).
 *
 * Threads: the owner's only.
 */
#ifndef CEL_STACK_H
#define CEL_STACK_H

#include <stdbool.h>
#include <stddef.h>

struct cel__stack {
    char *low; /* lowest usable byte, the guard lies below; NULL: none */
    char *top; /* where the C stack begins; 16-aligned */
    char *end; /* end of the tail, or of the page where there is no tail */
};

struct cel__stackslab;

/*
 * Invariants: nspare == nfree + nfresh - those promised; a stack given back
 * lies in `free` with the struct link that continues the list just below its
 * top.
 */
struct cel__stackpool {
    size_t size;   /* bytes of C stack, guard included */
    size_t tail;   /* bytes above it */
    size_t page;   /* bytes of a page of memory */
    size_t guard;  /* bytes of a guard */
    char *free;    /* top of the stack given back last; NULL: none */
    size_t nfree;  /* length of `free` */
    size_t nfresh; /* stacks mapped and never used */
    size_t nspare; /* stacks that are not promised */
    size_t nmade;  /* stacks mapped in all */
    struct cel__stackslab *slabs; /* all mappings, the newest first */
    struct cel__stackslab *fresh; /* those with never used stacks */
    size_t look_at; /* length of `free` at which one is looked at again */
    unsigned looks; /* how many more are looked at in any case */
    bool unguarded; /* a stack without a guard was made, and logged */
};

/*
 * `size` and `tail` are rounded up to whole pages; `size` is at least 16 KiB.
 * Cannot fail: nothing is mapped yet.
 */
void cel__stackpool_init(struct cel__stackpool *pool, size_t size,
                         size_t tail);

/* Unmaps every stack; none may be in use. */
void cel__stackpool_fini(struct cel__stackpool *pool);

/*
 * Promise one stack to a coroutine that has not started: the take that
 * follows cannot fail.  Returns 0, or -ENOMEM with nothing changed.
 */
int cel__stackpool_reserve(struct cel__stackpool *pool);

/* Take the promise back unused. */
void cel__stackpool_release(struct cel__stackpool *pool);

/* Fill `stack` with a reserved one.  In place: a structure that is returned
   is copied in larger pieces than it was written in, which the processor does
   slowly (6 ns of the 45 that starting and joining cost).  Returns its top. */
char *cel__stackpool_take(struct cel__stackpool *pool,
                          struct cel__stack *stack);

/* Give `stack` back; it may be the one we stand on no more. */
void cel__stackpool_give(struct cel__stackpool *pool,
                         const struct cel__stack *stack);

/* Whether `address` lies in the guard of `stack` (or just below it). */
bool cel__stack_overflowed(const struct cel__stack *stack,
                           const void *address);

#endif
