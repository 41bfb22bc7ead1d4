/* SPDX-License-Identifier: MIT */
/*
 * Latches: what is not two stores and a load.
 *
 * Threads: any.
 *
 * Tests: unit/test_latch.c, model/latch.pml, model/halt.pml
 */
#include "sched/latch.h"

#include <pthread.h>
#include <sched.h>

#include "base/fork.h"
#include "base/sanitize.h"
#include "base/sys_thread.h"
#include "sched/worker.h"

/* Looks at a latch before the processor is left to others: whoever holds one
   needs some tens of nanoseconds, unless it was preempted. */
#define SPINS 200

/* Looks after which a thread is starving, and for which the others then hold
   back: some 2 us. */
#define HUNGRY (8 * SPINS)
#define POLITE (SPINS / 2)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool may_bias; /* set under `once` */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* guards these: */
static struct cel__link open = {&open, &open}; /* workers, by latch_link */
static pthread_t forker; /* read only where cel__latch_halt is set */

atomic_bool cel__latch_halt;
static atomic_uint nforeign; /* latches threads without a worker are inside */
static _Thread_local unsigned nhere; /* of those, this thread */

/* ---- forks */

/* Nobody is inside when this returns, nor comes in. */
static void
before_fork(void)
{
    struct cel__worker *me = cel__worker();
    struct cel__worker *worker;

    (void)pthread_mutex_lock(&gate);
    forker = pthread_self();
    /* Seq_cst: pairs with note_inside(). */
    (void)atomic_exchange_explicit(&cel__latch_halt, true,
                                   memory_order_seq_cst);
    if (open.next != open.prev || (me == NULL && open.next != &open)) {
        cel__latch_barrier();
    }
    cel__list_foreach (worker, &open, latch_link) {
        /* Acquire: what was done inside; so below. */
        while (worker != me &&
               atomic_load_explicit(&worker->nlatched, memory_order_acquire) !=
                   0) {
            sched_yield();
        }
    }
    while (atomic_load_explicit(&nforeign, memory_order_seq_cst) != 0) {
        sched_yield();
    }
}

static void
after_fork(void)
{
    atomic_store_explicit(&cel__latch_halt, false, memory_order_release);
    (void)pthread_mutex_unlock(&gate);
}

/* The other workers are the parent's. */
static void
after_fork_in_child(void)
{
    struct cel__worker *me = cel__worker();

    cel__list_init(&open);
    if (me != NULL) {
        cel__list_append(&open, &me->latch_link);
    }
    after_fork();
}

/* Before others do: then those that lock what a thread has which waits for us
   come first. */
__attribute__((constructor)) static void
watch_forks(void)
{
    cel__fork_handle(before_fork, after_fork, after_fork_in_child);
}

void
cel__latch_opened(struct cel__worker *worker)
{
    (void)pthread_mutex_lock(&gate);
    cel__list_append(&open, &worker->latch_link);
    (void)pthread_mutex_unlock(&gate);
}

void
cel__latch_closing(struct cel__worker *worker)
{
    (void)pthread_mutex_lock(&gate);
    cel__list_remove(&worker->latch_link);
    (void)pthread_mutex_unlock(&gate);
}

static void
note_inside(struct cel__worker *me)
{
    if (me == NULL) {
        nhere++;
        atomic_fetch_add_explicit(&nforeign, 1, memory_order_seq_cst);
        return;
    }
    cel__latch_count(me, 1);
    if (may_bias) {
        atomic_signal_fence(memory_order_seq_cst);
    }
    else {
        /* There is no other's barrier.  Pairs with before_fork(). */
        (void)atomic_fetch_add_explicit(&me->nlatched, 0,
                                        memory_order_seq_cst);
    }
}

static void
note_outside(struct cel__worker *me)
{
    if (me == NULL) {
        nhere--;
        /* Release: pairs with before_fork(). */
        atomic_fetch_sub_explicit(&nforeign, 1, memory_order_release);
    }
    else {
        cel__latch_count(me, -1);
    }
}

/* Whether the caller, who has noted that he is inside, must not be: this is
   his first, and he is not the one who forks, whose own handlers may take
   some. */
static bool
is_halted(const struct cel__worker *me)
{
    return atomic_load_explicit(&cel__latch_halt, memory_order_seq_cst) &&
           (me == NULL ? nhere
                       : atomic_load_explicit(&me->nlatched,
                                              memory_order_relaxed)) == 1 &&
           !pthread_equal(forker, pthread_self());
}

static void
await_fork(void)
{
    (void)pthread_mutex_lock(&gate);
    (void)pthread_mutex_unlock(&gate);
}

/* ---- taking and giving */

static void
probe(void)
{
    int commands = cel__sys_membarrier(CEL__MEMBARRIER_QUERY);

    may_bias = !CEL__TSAN && commands > 0 &&
               (commands & CEL__MEMBARRIER_PRIVATE) != 0 &&
               (commands & CEL__MEMBARRIER_REGISTER) != 0;
}

bool
cel__latch_may_bias(void)
{
    (void)pthread_once(&once, probe);
    return may_bias;
}

void
cel__latch_init(struct cel__latch *latch)
{
    latch->owner = cel__latch_may_bias() ? cel__worker() : NULL;
    atomic_init(&latch->inside, false);
    atomic_init(&latch->shared, latch->owner == NULL);
    atomic_init(&latch->word, false);
    atomic_init(&latch->nhungry, 0);
}

/* Whether a thread has looked long enough to let others run. */
static bool
is_weary(unsigned *spins)
{
    cel__sys_pause();
    return ++*spins % SPINS == 0;
}

void
cel__latch_barrier(void)
{
    if (!cel__latch_may_bias()) {
        return;
    }
    /* Registering costs nothing where it was done; it is not done when a
       worker opens, for it takes milliseconds where there are threads. */
    int err = cel__sys_membarrier(CEL__MEMBARRIER_REGISTER);
    if (err == 0) {
        err = cel__sys_membarrier(CEL__MEMBARRIER_PRIVATE);
    }
    if (err < 0) {
        cel__panic("membarrier() fails after all: error %d", -err);
    }
}

/* Take the owner's privilege away; the caller holds `word`. */
static void
share(struct cel__latch *latch)
{
    unsigned spins = 0;

    atomic_store_explicit(&latch->shared, true, memory_order_seq_cst);
    cel__latch_barrier();
    /* Acquire: what the owner did inside; pairs with its release. */
    while (atomic_load_explicit(&latch->inside, memory_order_acquire)) {
        if (is_weary(&spins)) {
            sched_yield();
        }
    }
}

/*
 * Whether to let those who are starving go first.  A thread that takes and
 * gives a latch over and over has it in its processor's cache, and would win
 * every race against one on another.  It holds back for some microseconds, not
 * longer: they may not be running.  Relaxed: only a hint.
 */
static bool
is_polite(struct cel__latch *latch, unsigned spins)
{
    return spins < POLITE &&
           atomic_load_explicit(&latch->nhungry, memory_order_relaxed) != 0;
}

/* Acquire: pairs with the release in cel__latch_give_shared(). */
static bool
try_word(struct cel__latch *latch)
{
    return !atomic_load_explicit(&latch->word, memory_order_relaxed) &&
           !atomic_exchange_explicit(&latch->word, true, memory_order_acquire);
}

__attribute__((noinline)) void
cel__latch_take_shared(struct cel__latch *latch, struct cel__worker *me)
{
    unsigned spins = 0;
    bool hungry = false;

    note_inside(me);
    while (cel__unlikely(is_halted(me))) {
        note_outside(me);
        await_fork();
        if (me != NULL && latch->owner == me &&
            cel__latch_try_biased(latch, me)) {
            return;
        }
        note_inside(me);
    }
    while ((!hungry && is_polite(latch, spins)) || !try_word(latch)) {
        if (!is_weary(&spins)) {
            continue;
        }
        if (!hungry && spins >= HUNGRY) {
            hungry = true;
            atomic_fetch_add_explicit(&latch->nhungry, 1,
                                      memory_order_relaxed);
        }
        sched_yield();
    }
    if (hungry) {
        atomic_fetch_sub_explicit(&latch->nhungry, 1, memory_order_relaxed);
    }
    /* Relaxed: `word` orders it. */
    if (cel__unlikely(
            latch->owner != NULL &&
            !atomic_load_explicit(&latch->shared, memory_order_relaxed))) {
        share(latch);
    }
}

void
cel__latch_give_shared(struct cel__latch *latch, struct cel__worker *me)
{
    /* Release: pairs with the exchange in cel__latch_take_shared(). */
    atomic_store_explicit(&latch->word, false, memory_order_release);
    if (me != NULL) {
        cel__worker_settle(me);
    }
    note_outside(me);
}
