/* SPDX-License-Identifier: MIT */
/*
 * Workers: opening and closing, the turn of the loop, messages.
 *
 * Sleeping and messages: the owner sets `asleep`, then looks at the inbox,
 * then sleeps; a sender pushes, then looks at `asleep`.  Both pairs are
 * sequentially consistent, so at least one of the two sees the other, and no
 * message waits for an event of another kind.  A sender wakes the owner only
 * if it finds `asleep` set and clears it, so a burst costs one wake-up.  Where
 * nothing but messages can come, `asleep` is a futex: a sender that clears it
 * before the owner is in the kernel keeps it from sleeping.  What is stored
 * before such a look is stored by an exchange: that costs no more, and qemu
 * playing ARM lets a load pass a store that is sequentially consistent, too.
 *
 * Threads: see worker.h.
 *
 * Tests: unit/test_worker.c, model/wake.pml
 */
#include "sched/worker.h"

#include <errno.h>
#include <sched.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/fork.h"
#include "base/probe.h"
#include "base/sys_thread.h"
#include "sched/latch.h"
#include "see/deadlock.h"
#include "see/overflow.h"

/* How long a worker that expects nothing sleeps before it asks the embedder
   again: whom it counts on (another thread) may go without a word. */
#define ASK_AGAIN (100 * CEL_MSEC)

/* Bytes of a coroutine's stack: address space, memory as it is touched. */
#define STACK_SIZE ((size_t)256 * 1024)

/*
 * The calling thread's worker.  Compilers keep the address of a thread-local
 * variable across calls, and so across switches; today no started coroutine
 * changes its thread, but where thread-local storage belongs to the coroutine
 * (celadon run) the address changes with it.  Hence one accessor, not inlined
 * and with an asm that hides its result's origin, and no other access: gcc
 * proves a plain noinline accessor const and calls it once, clang replaces the
 * call by the address (STYLE, E1b; unit/test_worker.c counts the calls).
 */
static _Thread_local struct cel__worker *this_worker
    __attribute__((tls_model("initial-exec")));

__attribute__((noinline)) struct cel__worker *
cel__worker(void)
{
    struct cel__worker *worker = this_worker;

    __asm__ volatile("" : "+r"(worker));
    return worker;
}

/* Numbers of coroutines are dealt to workers in blocks: the locked addition
   would be 7 ns of the 40 that starting and joining cost. */
#define ID_BLOCK UINT64_C(1024)
static atomic_uint_fast64_t next_id_block;

uint64_t
cel__worker_next_id(struct cel__worker *worker)
{
    if (cel__unlikely(worker->last_id % ID_BLOCK == 0)) {
        worker->last_id = ID_BLOCK *
                          atomic_fetch_add_explicit(&next_id_block, 1,
                                                    memory_order_relaxed);
    }
    return ++worker->last_id;
}

/* `coro`, which is numbered, is of `worker` from now on. */
CEL__HOT void
enlist(struct cel__worker *worker, struct cel__coro *coro,
       struct cel__stackpool *pool)
{
    coro->pool = pool;
    /* Where it was made elsewhere or spread others may look at this by now.
       Relaxed: see begin() in spread.c. */
    __atomic_store_n(&coro->worker, worker, __ATOMIC_RELAXED);
    cel__list_append(&worker->all, &coro->all);
    cel__sys_add(&worker->nalive, 1);
    worker->nstarted++;
}

int
cel__worker_open(struct cel__worker **out,
                 const struct cel__worker_options *options)
{
    if (this_worker != NULL) {
        return -EALREADY;
    }
    struct cel__worker *worker = cel__alloc_zeroed(1, sizeof(*worker));
    if (worker == NULL) {
        return -ENOMEM;
    }
    int err = cel__ring_init(&worker->ready);
    if (err < 0) {
        goto free_worker;
    }
    err = cel__ring_reserve(&worker->ready); /* for the root */
    if (err < 0) {
        goto free_ring;
    }
    err = cel__loop_open(&worker->loop, options->backend);
    if (err < 0) {
        goto free_ring;
    }
    err = cel__overflow_thread();
    if (err < 0) {
        goto close_loop;
    }
    worker->hooks = options->hooks;
    worker->embedder = options->embedder;
    worker->loop.before_sleep = options->hooks.before_sleep;
    worker->loop.after_sleep = options->hooks.after_sleep;
    worker->budget = CEL__BUDGET;
    worker->check = CEL__CHECK_EVERY;
    worker->slice = CEL__HARD ? 0 : cel__clock_ticks_in(CEL__SLICE);
    worker->polled = cel__clock_ticks();
    worker->now = cel__clock_now();
    worker->forks = cel__fork_count();
    cel__list_init(&worker->all);
    cel__list_init(&worker->annexes);
    cel__stackpool_init(&worker->stacks,
                        options->stack_size == 0 ? STACK_SIZE
                                                 : options->stack_size,
                        options->stack_tail);
    worker->root.state = CEL__RUNNING;
    worker->root.started = true;
    worker->root.name = "root";
    cel__sanitize_root(&worker->root.sanitize);
    cel__coro_number(&worker->root, worker);
    enlist(worker, &worker->root, &worker->stacks);
    worker->current = &worker->root;
    this_worker = worker;
    cel__latch_opened(worker);
    cel__see_opened(worker);
    *out = worker;
    return 0;

close_loop:
    cel__loop_close(&worker->loop);
free_ring:
    cel__ring_fini(&worker->ready);
free_worker:
    free(worker);
    return err;
}

/* Take what other threads sent. */
static void
read_inbox(struct cel__worker *worker)
{
    struct cel__message *message = cel__inbox_take(&worker->inbox);

    while (message != NULL) {
        struct cel__message *next = message->next;
        message->fn(message);
        message = next;
    }
}

static void
after_fork(struct cel__worker *worker)
{
    struct cel__coro *coro;
    struct cel__annex *annex;

    worker->forks = cel__fork_count();
    atomic_store_explicit(&worker->asleep, CEL__AWAKE, memory_order_relaxed);
    /* Threads that were about to send something exist no more. */
    atomic_store_explicit(&worker->senders, 0, memory_order_relaxed);
    read_inbox(worker);
    cel__list_foreach (coro, &worker->all, all) {
        atomic_store_explicit(&coro->remote, 0, memory_order_relaxed);
    }
    cel__list_foreach (annex, &worker->annexes, link) {
        annex->forked(annex);
    }
    cel__see_forked(worker);
    int err = cel__loop_after_fork(&worker->loop);
    if (err < 0) {
        cel__panic("the loop can't be opened again after fork: error %d",
                   -err);
    }
}

/* The last messages before the loop is closed. */
static void
hear_senders_out(struct cel__worker *worker)
{
    if (worker->forks != cel__fork_count()) {
        after_fork(worker);
    }
    cel__see_closing(worker);
    /* A sender whose message was read already may still be about to wake the
       loop.  Acquire: pairs with the release at the end of
       cel__worker_post(). */
    while (atomic_load_explicit(&worker->senders, memory_order_acquire) != 0) {
        sched_yield();
    }
    read_inbox(worker);
}

void
cel__worker_close(struct cel__worker *worker)
{
    struct cel__link *link;

    cel__assert(worker->current == &worker->root && worker->nalive == 1);
    hear_senders_out(worker);
    while ((link = cel__list_first(&worker->annexes)) != NULL) {
        struct cel__annex *annex = cel__container(link, struct cel__annex,
                                                  link);
        cel__list_remove(link);
        annex->close(annex);
    }
    cel__loop_close(&worker->loop);
    cel__stackpool_fini(&worker->stacks);
    cel__heap_fini(&worker->timers);
    cel__ring_fini(&worker->ready);
    cel__latch_closing(worker);
    this_worker = NULL;
    free(worker);
}

void
cel__worker_abandon(struct cel__worker *worker)
{
    cel__assert(worker->current == &worker->root);
    hear_senders_out(worker);
    cel__loop_close(&worker->loop);
    cel__latch_closing(worker);
    this_worker = NULL;
}

void
cel__worker_annex(struct cel__worker *worker, struct cel__annex *annex)
{
    cel__list_append(&worker->annexes, &annex->link);
}

struct cel__annex *
cel__worker_find_annex(const struct cel__worker *worker,
                       void (*close)(struct cel__annex *))
{
    struct cel__annex *annex;

    cel__list_foreach (annex, &worker->annexes, link) {
        if (annex->close == close) {
            return annex;
        }
    }
    return NULL;
}

int
cel__coro_init(struct cel__coro *coro, struct cel__worker *worker,
               struct cel__stackpool *pool,
               struct cel__coro *(*entry)(struct cel__coro *),
               void (*release)(struct cel__coro *))
{
    int err = cel__ring_reserve(&worker->ready);
    if (err < 0) {
        return err;
    }
    err = cel__stackpool_reserve(pool);
    if (err < 0) {
        cel__ring_release(&worker->ready);
        return err;
    }
    coro->state = CEL__NEW;
    coro->entry = entry;
    coro->release = release;
    /* Not before: one that was spread may yet begin at another worker. */
    enlist(worker, coro, pool);
    return 0;
}

void
cel__coro_discard(struct cel__coro *coro)
{
    struct cel__worker *worker = coro->worker;

    cel__assert(coro->state == CEL__NEW && !coro->started);
    cel__stackpool_release(coro->pool);
    cel__ring_release(&worker->ready);
    cel__list_remove(&coro->all);
    cel__sys_add(&worker->nalive, -1);
    coro->state = CEL__DEAD;
}

void
cel__coro_reap(struct cel__worker *worker)
{
    struct cel__coro *coro = worker->dead;

    worker->dead = NULL;
    cel__stackpool_give(coro->pool, &coro->stack);
    coro->stack.low = NULL;
    cel__sanitize_fini(&coro->sanitize);
    /* Acquire: pairs with the acq_rel operation in message_for().  Nobody but
       this thread clears it. */
    if (cel__unlikely(
            atomic_load_explicit(&coro->remote, memory_order_acquire) != 0)) {
        (void)atomic_fetch_or_explicit(&coro->remote, CEL__REMOTE_LAST,
                                       memory_order_relaxed);
        return;
    }
    coro->release(coro);
}

int
cel__callback_init(struct cel__worker *worker, struct cel__callback *callback,
                   struct cel__coro *(*fn)(struct cel__callback *))
{
    callback->fn = fn;
    callback->queued = false;
    return cel__ring_reserve(&worker->ready);
}

int
cel__timer_start(struct cel__worker *worker, struct cel__timer *timer,
                 cel_time when)
{
    /* Not before now: else who starts one over and over is always first. */
    return cel__heap_insert(&worker->timers, &timer->node,
                            when < worker->now ? worker->now : when);
}

void
cel__timer_stop(struct cel__worker *worker, struct cel__timer *timer)
{
    cel__heap_remove(&worker->timers, &timer->node);
}

static void
fire_timers(struct cel__worker *worker)
{
    /* Those started meanwhile wait for the next poll. */
    uint64_t end = worker->timers.seq;

    while (cel__heap_least(&worker->timers) <= worker->now &&
           worker->timers.slots[0].seq < end) {
        struct cel__heap_node *node = cel__heap_first(&worker->timers);
        struct cel__timer *timer = cel__container(node, struct cel__timer,
                                                  node);

        cel__heap_remove(&worker->timers, node);
        worker->nfired++;
        CEL__PROBE1(timer, timer);
        timer->fire(timer);
    }
}

/*
 * Whether nothing is known that could make a coroutine ready again.  Channels
 * and locks are anybody's: where somebody waits at one, only a process of one
 * thread is sure that nobody will come.
 */
static bool
expects_nothing(const struct cel__worker *worker)
{
    int64_t armed = (int64_t)worker->loop.narmed +
                    (int64_t)worker->timers.count;

    return armed + worker->nexpected <= 0 &&
           (worker->nshared == 0 || cel__sys_single_threaded());
}

/* See the hook. */
static inline bool
lull(struct cel__worker *worker, bool over)
{
    return cel__unlikely(worker->hooks.lull != NULL) &&
           worker->hooks.lull(worker, over);
}

/* How long the poll may sleep. */
static cel_time
patience(struct cel__worker *worker)
{
    cel_time left = CEL_FOREVER;

    if (cel__ring_count(&worker->ready) != 0) {
        return 0;
    }
    cel_time due = cel__heap_least(&worker->timers);
    if (due != CEL_FOREVER) {
        cel_time now = cel__clock_now();
        left = due <= now ? 0 : due - now;
    }
    return left == 0 || lull(worker, false) ? 0 : left;
}

/* The run queue is empty and will stay so: whom to tell. */
static struct cel__coro *
break_deadlock(struct cel__worker *worker)
{
    if (worker->hooks.stuck != NULL) {
        return worker->hooks.stuck(worker);
    }
    cel__deadlock_report(worker);
    if (worker->root.state == CEL__PARKED && !worker->root.firm) {
        worker->root.code = -EDEADLK;
        return &worker->root;
    }
    return NULL;
}

/* What has come beside what the poll, which said `err`, has ended. */
static void
take_in(struct cel__worker *worker, int err)
{
    if (err == -EINTR && worker->hooks.signalled != NULL) {
        worker->hooks.signalled(worker);
    }
    if (!cel__inbox_empty(&worker->inbox)) {
        read_inbox(worker);
    }
    fire_timers(worker);
    if (CEL__HARD) {
        cel__ring_shuffle(&worker->ready);
    }
}

/* Look at I/O, sleeping for at most `timeout` as `sleep` says.  Returns as
   cel__loop_poll(). */
static int
rest(struct cel__worker *worker, enum cel__sleep sleep, cel_time timeout)
{
    if (timeout == 0) {
        return cel__loop_poll(&worker->loop, 0);
    }
    worker->slept = cel__clock_ticks(); /* when it began */
    if (sleep != CEL__WAITING) {
        return cel__loop_poll(&worker->loop, timeout);
    }
    return cel__sys_futex_wait(&worker->asleep, CEL__WAITING,
                               timeout == CEL_FOREVER ? -1 : timeout);
}

struct cel__coro *
cel__worker_turn(struct cel__worker *worker)
{
    enum cel__sleep sleep = CEL__POLLING;

    if (cel__unlikely(worker->forks != cel__fork_count())) {
        after_fork(worker);
    }
    cel__sys_add(&worker->nturn, 1);
    atomic_store_explicit(&worker->business.nready,
                          cel__ring_count(&worker->ready),
                          memory_order_relaxed);
    if (worker->hooks.idle != NULL && cel__ring_count(&worker->ready) == 0) {
        worker->hooks.idle(worker);
    }
    cel_time timeout = patience(worker);
    if (timeout != 0) {
        if (cel__loop_is_idle(&worker->loop)) {
            sleep = CEL__WAITING;
        }
        /* See the file comment for the order of these two. */
        (void)atomic_exchange_explicit(&worker->asleep, sleep,
                                       memory_order_seq_cst);
        if (!cel__inbox_empty(&worker->inbox)) {
            timeout = 0;
        }
        else if (cel__unlikely(expects_nothing(worker))) {
            struct cel__coro *heir = break_deadlock(worker);
            if (heir != NULL || cel__ring_count(&worker->ready) != 0) {
                atomic_store_explicit(&worker->asleep, CEL__AWAKE,
                                      memory_order_relaxed);
                return heir;
            }
            if (!worker->hooks.patient && timeout > ASK_AGAIN) {
                timeout = ASK_AGAIN;
            }
        }
    }
    int err = rest(worker, sleep, timeout);
    /* Relaxed: a sender that still sees it set only wakes once too often. */
    atomic_store_explicit(&worker->asleep, CEL__AWAKE, memory_order_relaxed);
    worker->polled = cel__clock_ticks();
    if (worker->timers.count != 0 || timeout != 0) {
        worker->now = cel__clock_now();
    }
    if (timeout != 0) {
        worker->slept = worker->polled - worker->slept;
        (void)lull(worker, true);
    }
    take_in(worker, err);
    return NULL;
}

/* Begin to send; returns how the owner sleeps, if it is to be woken. */
static unsigned
deliver(struct cel__worker *worker, struct cel__message *message)
{
    /* Relaxed: the push below orders it before the message. */
    atomic_fetch_add_explicit(&worker->senders, 1, memory_order_relaxed);
    cel__inbox_push(&worker->inbox, message);
    unsigned sleep = atomic_load_explicit(&worker->asleep,
                                          memory_order_seq_cst);
    return sleep == CEL__AWAKE
               ? CEL__AWAKE
               : atomic_exchange_explicit(&worker->asleep, CEL__AWAKE,
                                          memory_order_seq_cst);
}

/* The end of sending to a worker that slept as `sleep` says. */
static void
delivered(struct cel__worker *worker, unsigned sleep)
{
    if (sleep == CEL__WAITING) {
        cel__sys_futex_wake(&worker->asleep);
    }
    else if (sleep == CEL__POLLING) {
        cel__loop_wake(&worker->loop);
    }
    /* Release: the last access, see cel__worker_close(). */
    atomic_fetch_sub_explicit(&worker->senders, 1, memory_order_release);
}

void
cel__worker_post(struct cel__worker *worker, struct cel__message *message)
{
    delivered(worker, deliver(worker, message));
}

void
cel__worker_post_quietly(struct cel__worker *worker,
                         struct cel__message *message)
{
    /* As deliver(). */
    atomic_fetch_add_explicit(&worker->senders, 1, memory_order_relaxed);
    cel__inbox_push(&worker->inbox, message);
    delivered(worker, CEL__AWAKE);
}

void
cel__worker_post_late(struct cel__worker *me, struct cel__worker *worker,
                      struct cel__message *message)
{
    unsigned sleep = deliver(worker, message);

    if (sleep != CEL__AWAKE) {
        cel__worker_settle(me);
        me->owed = worker;
        me->owed_sleep = sleep;
    }
    else {
        delivered(worker, CEL__AWAKE);
    }
}

void
cel__worker_settle(struct cel__worker *me)
{
    struct cel__worker *worker = me->owed;

    if (worker != NULL) {
        me->owed = NULL;
        delivered(worker, me->owed_sleep);
    }
}
