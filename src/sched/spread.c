/* SPDX-License-Identifier: MIT */
/*
 * Coroutines that have not begun: putting down, beginning, stealing, waking.
 *
 * Threads: see spread.h.
 *
 * Tests: unit/test_spread.c, model/steal.pml
 */
#include "sched/spread.h"

#include "base/clock.h"
#include "base/sys_thread.h"
#include "sched/latch.h"
#include "sched/team.h"
#include "sched/wait.h"
#include "sched/worker.h"

/* How long what a worker takes at once may run: some 10 us, less than to wake
   another takes. */
#define QUICK(worker) ((worker)->slice / 8)

/* How long a worker looks on before it sleeps, where it may: 25 us, a while
   longer than whoever had work needs to begin the next piece of it. */
#define LOOK_ON(worker) ((worker)->slice / 4)

/* How long one that lies alone does before another takes it, some 2 us: who
   has put it down and joins it would be faster. */
#define ALONE(worker) ((worker)->slice / 50)

/* After how long, a millisecond, half of what lies at a busy worker begins. */
#define DUE(worker) ((worker)->slice * 10)

/* The most that a worker takes of its own at once. */
#define BATCH 32U

/* ---- waking */

/* The worker was woken to look; as nothing is ready there, it does. */
static void
hunt_arrived(struct cel__message *message)
{
    struct cel__hunt *hunt = cel__container(message, struct cel__hunt,
                                            message);

    cel__worker()->run->spread->lucky = true;
    /* Release: pairs with the exchange in send_one(). */
    atomic_store_explicit(&hunt->sent, false, memory_order_release);
}

/* Take back that `run` looks for work; whether it did. */
static bool
unwant(struct cel__run *run)
{
    bool wanted = atomic_load_explicit(&run->spread->wanting,
                                       memory_order_relaxed) &&
                  atomic_exchange_explicit(&run->spread->wanting, false,
                                           memory_order_relaxed);

    if (wanted) {
        atomic_fetch_sub_explicit(&run->team->hunt.nwanting, 1,
                                  memory_order_relaxed);
    }
    return wanted;
}

/* Wake one that looks for work, if none is on its way. */
static void
send_one(struct cel__run *run)
{
    struct cel__team *team = run->team;

    /* Acquire: the message is free again; pairs with hunt_arrived(). */
    if (atomic_load_explicit(&team->hunt.sent, memory_order_relaxed) ||
        atomic_exchange_explicit(&team->hunt.sent, true,
                                 memory_order_acquire)) {
        return;
    }
    for (size_t i = 1; i < team->n; i++) {
        struct cel__run *other = team->runs[(run->index + i) % team->n];
        /* Whoever is busy would let the message lie.  Relaxed: a hint. */
        if (atomic_load_explicit(&other->worker->asleep,
                                 memory_order_relaxed) &&
            unwant(other)) {
            team->hunt.message.fn = hunt_arrived;
            cel__worker_post(other->worker, &team->hunt.message);
            return;
        }
    }
    atomic_store_explicit(&team->hunt.sent, false, memory_order_release);
}

/* ---- putting down */

/* Whether the ring had room.  Acquire: whoever moved the head has read what
   was in the slots. */
static inline bool
put_in_ring(struct cel__spread *spread, struct cel_coro *coro)
{
    size_t tail = atomic_load_explicit(&spread->tail, memory_order_relaxed);

    if (tail - atomic_load_explicit(&spread->head, memory_order_acquire) >=
        CEL__SPREAD_SLOTS) {
        return false;
    }
    atomic_store_explicit(&spread->slots[tail % CEL__SPREAD_SLOTS], coro,
                          memory_order_relaxed);
    /* Release: pairs with the acquire in claim(). */
    atomic_store_explicit(&spread->tail, tail + 1, memory_order_release);
    return true;
}

static inline size_t
count_ring(const struct cel__spread *spread)
{
    size_t tail = atomic_load_explicit(&spread->tail, memory_order_relaxed);

    return tail - atomic_load_explicit(&spread->head, memory_order_relaxed);
}

static void
put_in_list(struct cel__spread *spread, struct cel_coro *coro)
{
    cel__list_append(&spread->list, &coro->coro.all);
    spread->nlist++;
}

static struct cel_coro *
take_from_list(struct cel__spread *spread, struct cel__link *link)
{
    cel__list_remove(link);
    spread->nlist--;
    return cel__container(link, struct cel_coro, coro.all);
}

/* Others have taken from the ring: the oldest of the list go there. */
static void
refill(struct cel__spread *spread)
{
    while (spread->nlist != 0 && count_ring(spread) < CEL__SPREAD_SLOTS) {
        (void)put_in_ring(spread, take_from_list(spread, spread->list.next));
    }
}

/* Whether to wake a worker for what lies there.  That costs more than most
   coroutines do, so for one alone seldom, and ever more so in vain. */
static bool
is_worth_a_call(struct cel__run *run)
{
    struct cel__spread *spread = run->spread;
    size_t n = count_ring(spread);

    if (n != 1) {
        return n != 0;
    }
    unsigned nvain = atomic_load_explicit(&spread->nvain,
                                          memory_order_relaxed);
    uint64_t now = cel__clock_ticks();
    if (now - spread->called < LOOK_ON(run->worker) << nvain) {
        return false;
    }
    spread->called = now;
    atomic_store_explicit(&spread->nvain, nvain < 6 ? nvain + 1 : 6,
                          memory_order_relaxed);
    return true;
}

/* Relaxed: one that goes to sleep at this very moment may be missed; it is
   called again. */
static inline void
call_help(struct cel__run *run)
{
    if (cel__unlikely(atomic_load_explicit(&run->team->hunt.nwanting,
                                           memory_order_relaxed) != 0) &&
        is_worth_a_call(run)) {
        send_one(run);
    }
}

void
cel__spread_put(struct cel__run *run, struct cel_coro *coro)
{
    struct cel__spread *spread = run->spread;

    refill(spread);
    if (!put_in_ring(spread, coro)) {
        put_in_list(spread, coro);
    }
    cel__callback_queue(run->worker, &spread->turn);
    call_help(run);
}

/* ---- taking */

/* Take at most `max` of those in the ring of `from`, or of half of them. */
static size_t
claim(struct cel__spread *from, size_t max, bool half, struct cel_coro **got)
{
    /* Acquire: the slots, and what they point to; pairs with the release in
       put_in_ring().  The head first: it is never beyond the tail. */
    size_t head = atomic_load_explicit(&from->head, memory_order_acquire);
    size_t n;

    do {
        n = atomic_load_explicit(&from->tail, memory_order_acquire) - head;
        n = half ? n - n / 2 : n;
        n = n < max ? n : max;
        if (n == 0) {
            return 0;
        }
        for (size_t i = 0; i < n; i++) {
            got[i] = atomic_load_explicit(
                &from->slots[(head + i) % CEL__SPREAD_SLOTS],
                memory_order_relaxed);
        }
        /* Release: the slots were read; pairs with put_in_ring(). */
    } while (!atomic_compare_exchange_weak_explicit(
        &from->head, &head, head + n, memory_order_acq_rel,
        memory_order_acquire));
    return n;
}

/* Let `self` begin here.  Returns 0 or -ENOMEM: then it has not. */
static int
begin(struct cel__run *run, struct cel_coro *self)
{
    struct cel__coro *coro = &self->coro;
    struct cel__worker *worker = run->worker;
    bool home = self->home == run;

    int err = cel__coro_init(coro, worker, &worker->stacks, coro->entry,
                             home ? cel__run_release : cel__run_release_away);
    if (err < 0) {
        return err;
    }
    if (home && run->barriers) {
        atomic_signal_fence(memory_order_seq_cst);
    }
    else {
        /* What is not made here, or where there is no other's barrier; pairs
           with cel__cancel_late(). */
        (void)__atomic_exchange_n(&coro->worker, worker, __ATOMIC_SEQ_CST);
    }
    coro->cancelled = run->ending || atomic_load_explicit(
                                         &coro->cancel, memory_order_seq_cst);
    if (!home) {
        cel__sys_add(&worker->business.narrived, 1);
    }
    return 0;
}

/*
 * Whether to let some begin.  While others are ready they are left to whom has
 * none; of what has lain there for long half begins in one turn.
 */
static bool
is_due(struct cel__spread *spread, const struct cel__worker *worker,
       uint64_t now)
{
    if (spread->due == 0 && spread->since == 0) {
        spread->since = now;
    }
    if (spread->due == 0 && now - spread->since >= DUE(worker)) {
        spread->since = now;
        spread->due = (count_ring(spread) + spread->nlist + 1) / 2;
    }
    return spread->due != 0 || cel__ring_count(&worker->ready) == 0;
}

/* How many to take: twice as many as the last time, where they were quick and
   others were, and else one. */
static size_t
next_batch(struct cel__spread *spread, const struct cel__worker *worker,
           uint64_t now)
{
    bool quick = now - spread->taken < QUICK(worker);

    spread->taken = now;
    spread->batch = !quick                      ? 1
                    : spread->batch < BATCH / 2 ? 2 * spread->batch
                                                : BATCH;
    return spread->batch;
}

/* Take `max` at most: the newest, what it works on being in the cache; those
   that are due, the oldest. */
static size_t
take(struct cel__spread *spread, size_t max, struct cel_coro **got)
{
    struct cel__link *list = &spread->list;
    size_t n = 0;

    if (spread->due != 0) {
        max = max < spread->due ? max : spread->due;
        n = claim(spread, max, false, got);
        while (n < max && spread->nlist != 0) {
            got[n++] = take_from_list(spread, list->next);
        }
        spread->due -= n;
        return n;
    }
    while (n < max && spread->nlist != 0) {
        got[n++] = take_from_list(spread, list->prev);
    }
    return n != 0 ? n : claim(spread, max, false, got);
}

/* Call `turn` again while something lies there. */
static void
queue_again(struct cel__run *run)
{
    struct cel__spread *spread = run->spread;

    if (count_ring(spread) + spread->nlist == 0) {
        spread->since = 0;
        spread->due = 0;
        if (cel__unlikely(run->ending)) {
            cel__wake(&run->worker->root);
        }
        return;
    }
    call_help(run);
    if (spread->due != 0) {
        cel__callback_queue_first(run->worker, &spread->turn);
    }
    else {
        cel__callback_queue(run->worker, &spread->turn);
    }
}

/* The turn of those that lie there. */
static struct cel__coro *
take_turn(struct cel__callback *callback)
{
    struct cel__spread *spread = cel__container(callback, struct cel__spread,
                                                turn);
    struct cel__worker *worker = cel__worker();
    struct cel__run *run = worker->run;
    struct cel_coro *got[BATCH];
    uint64_t now = cel__clock_ticks();
    size_t n = 0;

    if (is_due(spread, worker, now)) {
        n = take(spread, next_batch(spread, worker, now), got);
    }
    refill(spread);
    queue_again(run);
    while (n > 0) {
        struct cel_coro *coro = got[--n];
        if (begin(run, coro) == 0) {
            cel__coro_start_as(&coro->coro, true);
        }
        else {
            /* Memory is short: once more, after all others. */
            put_in_list(spread, coro);
            cel__callback_queue(worker, callback);
        }
    }
    return NULL;
}

/* ---- stealing */

/* Whether the one that lies alone at `from` has done so for a while: since
   some worker first saw that.  Relaxed: a matter of time only. */
static bool
has_lain(struct cel__spread *from, const struct cel__worker *me)
{
    size_t head = atomic_load_explicit(&from->head, memory_order_relaxed);
    uint64_t now = cel__clock_ticks();

    if (atomic_load_explicit(&from->seen, memory_order_relaxed) == head) {
        return now - atomic_load_explicit(&from->seen_at,
                                          memory_order_relaxed) >=
               ALONE(me);
    }
    atomic_store_explicit(&from->seen_at, now, memory_order_relaxed);
    atomic_store_explicit(&from->seen, head, memory_order_relaxed);
    return false;
}

/* Take half of what lies at another, if anything does; one that lies alone
   `at_once`, or when it has done so for a while. */
static bool
steal(struct cel__run *run, bool at_once)
{
    struct cel__team *team = run->team;
    struct cel__spread *spread = run->spread;
    struct cel__spread *from = NULL;
    size_t n = 0;

    for (size_t i = 1; i < team->n && n == 0; i++) {
        from = team->runs[(run->index + i) % team->n]->spread;
        if (at_once || count_ring(from) != 1 || has_lain(from, run->worker)) {
            n = claim(from, CEL__SPREAD_SLOTS, true, spread->loot);
        }
    }
    if (n == 0) {
        return false;
    }
    atomic_store_explicit(&from->nvain, 0, memory_order_relaxed);
    for (size_t i = 0; i < n; i++) {
        cel__sys_add(&run->worker->business.nstolen, 1);
        cel__spread_put(run, spread->loot[i]);
    }
    return true;
}

/* Look about for a while; whether anything has come. */
static bool
look_on(struct cel__run *run)
{
    uint64_t began = cel__clock_ticks();

    while (cel__clock_ticks() - began < LOOK_ON(run->worker)) {
        if (!cel__inbox_empty(&run->worker->inbox) || steal(run, false)) {
            return true;
        }
        for (int i = 0; i < 16; i++) {
            cel__sys_pause();
        }
    }
    return false;
}

/* Whether to look on: that was of use the last time, or a message, for which
   alone it slept, came as soon. */
static bool
is_worth_while(const struct cel__run *run)
{
    const struct cel__worker *worker = run->worker;

    return run->spread->lucky || (worker->slept < LOOK_ON(worker) &&
                                  cel__loop_is_idle(&worker->loop));
}

/* Nothing is ready at a worker: it looks whether another has too much. */
static void
idle(struct cel__worker *worker)
{
    struct cel__run *run = worker->run;
    struct cel__spread *spread = run->spread;
    struct cel__team *team = run->team;

    /* Where the run ends, each does what it has; and without a token others
       may think that it is over. */
    if (run->ending || !run->token || !cel__team_is_whole(team)) {
        return;
    }
    bool found = steal(run, false) || (is_worth_while(run) && look_on(run));
    if (!found &&
        !atomic_load_explicit(&spread->wanting, memory_order_relaxed)) {
        atomic_store_explicit(&spread->wanting, true, memory_order_relaxed);
        atomic_fetch_add_explicit(&team->hunt.nwanting, 1,
                                  memory_order_seq_cst);
        found = steal(run, true);
    }
    if (found) {
        (void)unwant(run);
    }
    /* Events would wait for who looks for messages. */
    spread->lucky = found && (cel__inbox_empty(&worker->inbox) ||
                              cel__loop_is_idle(&worker->loop));
}

int
cel__spread_open(struct cel__run *run)
{
    struct cel__spread *spread = run->spread;

    int err = cel__callback_init(run->worker, &spread->turn, take_turn);
    if (err < 0) {
        return err;
    }
    cel__list_init(&spread->list);
    spread->batch = 1;
    run->worker->hooks.idle = idle;
    return 0;
}

bool
cel__spread_is_empty(const struct cel__run *run)
{
    return run->spread == NULL || !run->spread->turn.queued;
}

bool
cel__spread_holds(const struct cel__worker *me, const struct cel__coro *coro)
{
    const struct cel_coro *self = (const struct cel_coro *)coro;

    if (me == NULL || self->home != me->run) {
        cel__latch_barrier();
    }
    return __atomic_load_n(&coro->worker, __ATOMIC_SEQ_CST) == NULL;
}
