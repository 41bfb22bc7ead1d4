/* SPDX-License-Identifier: MIT */
/*
 * The lock inside every channel, mutex and group of src/sync.
 *
 * It is held for some instructions and never across a suspension.  Most
 * objects live and die within one worker, where a lock is not needed but for
 * the chance that another thread comes; two atomic exchanges a call would be
 * a third of what a channel costs.  So a latch is biased: its owner, the
 * worker that made it, takes it by two plain stores and a load.
 *
 *     owner:   inside = 1;  [compiler barrier]  shared?  no: it is held
 *     other:   shared = 1;  [membarrier]        inside?  wait until it is 0
 *
 * membarrier(2) makes every thread of the process pass a full barrier, so
 * either the other sees `inside` or the owner sees `shared`.  The first
 * thread that is not the owner pays for it, once; from then on the latch is
 * an ordinary spin lock for everybody.  Where the kernel has no membarrier,
 * and under the thread sanitizer, which knows nothing of it, a latch is
 * shared from the beginning.
 *
 * A latch of zeroes is valid, and shared.
 *
 * fork() waits until nobody is inside any: a child has one thread, and what
 * another had taken would stay taken.  So whoever goes in notes that (a worker
 * in itself), and then looks whether a fork is under way, as it looks at
 * `shared`: the same barrier serves.  Who is inside one may take others.
 *
 * Threads: any.
 *
 * Tests: unit/test_latch.c, model/latch.pml, model/halt.pml
 */
#ifndef CEL_LATCH_H
#define CEL_LATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"
#include "sched/worker.h"

/* Invariant: inside => the owner holds it, and nobody holds `word` or who
   holds it waits for the owner to leave. */
struct cel__latch {
    const struct cel__worker *owner; /* NULL: nobody; never changes */
    atomic_bool inside;              /* written by the owner's thread alone */
    atomic_bool shared;              /* `word` is the lock, for ever */
    atomic_bool word;
    atomic_uint nhungry; /* who have waited long, and go first */
};

/* A fork is under way: nobody goes in.  For latch.c and what is inline. */
extern atomic_bool cel__latch_halt;

/* `worker` is open, or about to close: forks wait for its thread, or no
   longer. */
void cel__latch_opened(struct cel__worker *worker);
void cel__latch_closing(struct cel__worker *worker);

/* Biased towards the calling thread's worker, if it has one. */
void cel__latch_init(struct cel__latch *latch);

/* The rest of take and give, for whoever can't have it for nothing. */
void cel__latch_take_shared(struct cel__latch *latch, struct cel__worker *me);
void cel__latch_give_shared(struct cel__latch *latch, struct cel__worker *me);

/*
 * Whether the threads of workers need no barriers of their own, because
 * others have cel__latch_barrier() make all of them pass one.  Else that does
 * nothing, and whoever counts on it orders his loads and stores himself.
 */
bool cel__latch_may_bias(void);
void cel__latch_barrier(void);

/* `me` is inside one more, or less.  Release: pairs with who forks. */
static inline void
cel__latch_count(struct cel__worker *me, int change)
{
    unsigned n = atomic_load_explicit(&me->nlatched, memory_order_relaxed);

    atomic_store_explicit(&me->nlatched, n + (unsigned)change,
                          memory_order_release);
}

/* Whether `me`, who owns it, has got it for nothing. */
static inline bool
cel__latch_try_biased(struct cel__latch *latch, struct cel__worker *me)
{
    cel__latch_count(me, 1);
    atomic_store_explicit(&latch->inside, true, memory_order_relaxed);
    /* The processor may still exchange these and the loads; membarrier() has
       it pass a barrier somewhere, and that is enough. */
    atomic_signal_fence(memory_order_seq_cst);
    if (cel__likely(((unsigned)atomic_load_explicit(&latch->shared,
                                                    memory_order_relaxed) |
                     (unsigned)atomic_load_explicit(
                         &cel__latch_halt, memory_order_relaxed)) == 0)) {
        atomic_signal_fence(memory_order_seq_cst);
        return true;
    }
    atomic_store_explicit(&latch->inside, false, memory_order_release);
    cel__latch_count(me, -1);
    return false;
}

/* `me` is the calling thread's worker, NULL where it has none. */
static inline void
cel__latch_take(struct cel__latch *latch, struct cel__worker *me)
{
    if (cel__unlikely(latch->owner != me || me == NULL) ||
        cel__unlikely(!cel__latch_try_biased(latch, me))) {
        cel__latch_take_shared(latch, me);
    }
}

/* `me` as above; it holds the latch.  Those whom it has woken under it, of
   other workers, learn of it now at the latest. */
static inline void
cel__latch_give(struct cel__latch *latch, struct cel__worker *me)
{
    if (cel__likely(latch->owner == me && me != NULL) &&
        cel__likely(
            atomic_load_explicit(&latch->inside, memory_order_relaxed))) {
        /* Release: pairs with the acquire of who shares it, or forks. */
        atomic_store_explicit(&latch->inside, false, memory_order_release);
        cel__latch_count(me, -1);
        return;
    }
    cel__latch_give_shared(latch, me);
}

#endif
