/* SPDX-License-Identifier: MIT */
/*
 * Parking, waking and switching: the hot path of everything.
 *
 * A park costs: note the state, take the next entry of the run queue, switch.
 * No clock is read and no timer touched unless there is a deadline.
 *
 * Threads: see wait.h.
 *
 * Tests: unit/test_wait.c, bench/core.c
 */
#include "sched/wait.h"

#include <errno.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/probe.h"
#include "coro/switch.h"
#include "sched/spread.h"
#include "sched/worker.h"

/* The run queue holds callbacks too, told apart by this bit. */
#define CALLBACK_TAG ((uintptr_t)1)

const char cel__wait_by_hand[] = "whom it resumed";

static inline void
make_ready(struct cel__worker *worker, struct cel__coro *coro, int code)
{
    coro->state = CEL__READY;
    coro->code = code;
    worker->nwake++;
    CEL__PROBE2(wake, coro, code);
    cel__ring_put(&worker->ready, coro);
}

static void *begin(void *arg);

/* Give `coro`, which is new, what it needs to run; returns its stack's top. */
static inline char *
equip(struct cel__coro *coro)
{
    char *top = cel__stackpool_take(coro->pool, &coro->stack);

    coro->started = true;
    cel__sanitize_stack(&coro->sanitize, coro->stack.low, top);
    return top;
}

/* From here on `to` runs; what is left is the switch. */
CEL__UNCOUNTED static inline void
hand_over(struct cel__worker *worker, struct cel__coro *from,
          struct cel__coro *to)
{
    cel__assert(from != to && to->worker == worker);
    to->state = CEL__RUNNING;
    worker->current = to;
    worker->budget = CEL__BUDGET;
    cel__sys_add(&worker->nswitch, 1);
    CEL__PROBE2(switch, from, to);
    if (CEL__ASAN || CEL__TSAN) {
        worker->left = from;
        cel__sanitize_leave(&from->sanitize, &to->sanitize,
                            from->state == CEL__DEAD);
    }
}

/* The first thing after a switch, in `self`. */
static inline void
arrive(struct cel__worker *worker, struct cel__coro *self)
{
    if (CEL__ASAN) {
        cel__sanitize_enter(&self->sanitize, &worker->left->sanitize);
    }
    if (cel__unlikely(worker->dead != NULL)) {
        cel__coro_reap(worker);
    }
}

/*
 * Leave `from`, which is no longer RUNNING, for `to`; returns when somebody
 * switches back.
 */
static inline void
switch_to(struct cel__worker *worker, struct cel__coro *from,
          struct cel__coro *to)
{
    if (cel__unlikely(!to->started)) {
        char *top = equip(to);
        hand_over(worker, from, to);
        cel__switch_start(&from->sp, top, begin, to);
    }
    else {
        hand_over(worker, from, to);
        cel__switch(&from->sp, to->sp);
    }
    arrive(worker, from);
}

/* Whether ready coroutines have run long enough for a look at the backend. */
static inline bool
slice_is_over(struct cel__worker *worker)
{
    if (cel__likely(--worker->check > 0)) {
        return false;
    }
    worker->check = CEL__CHECK_EVERY;
    return cel__clock_ticks() - worker->polled > worker->slice;
}

/* Who runs next, where that is not plain: there may be callbacks to call, the
   backend to look at, or nobody ready.  Never returns NULL. */
__attribute__((noinline)) static struct cel__coro *
find_next(struct cel__worker *worker)
{
    for (;;) {
        if (cel__unlikely(cel__ring_count(&worker->ready) == 0) ||
            cel__unlikely(slice_is_over(worker))) {
            struct cel__coro *urgent = cel__worker_turn(worker);
            if (urgent != NULL) {
                return urgent;
            }
            continue;
        }
        void *item = cel__ring_take(&worker->ready);
        if (cel__likely(((uintptr_t)item & CALLBACK_TAG) == 0)) {
            return item;
        }
        struct cel__callback *callback =
            (struct cel__callback *)((uintptr_t)item - CALLBACK_TAG);
        callback->queued = false;
        struct cel__coro *urgent = callback->fn(callback);
        if (urgent != NULL) {
            return urgent;
        }
    }
}

/*
 * Have the blocks and the stacks of who runs soon fetched: among a thousand
 * connections, whose business in the kernel fills the caches, a switch waits
 * for memory otherwise (150 ns).  A block is fetched before it is asked where
 * its stack is; a callback, of which that is asked too, is no matter.
 */
CEL__HOT void
fetch_ahead(const struct cel__ring *ready)
{
    if (cel__ring_count(ready) > 4) {
        cel__fetch(cel__ring_peek(ready, 4));
        uintptr_t soon = (uintptr_t)cel__ring_peek(ready, 2);
        cel__fetch_four(*(void **)(soon & ~CALLBACK_TAG));
    }
}

/* Who runs next.  Sleeps where nobody is ready; never returns NULL. */
static inline struct cel__coro *
next_coro(struct cel__worker *worker)
{
    struct cel__ring *ready = &worker->ready;

    if (cel__likely(cel__ring_count(ready) != 0) &&
        cel__likely(worker->check > 1)) {
        void *item = ready->slots[ready->head & ready->mask];
        if (cel__likely(((uintptr_t)item & CALLBACK_TAG) == 0)) {
            worker->check--;
            fetch_ahead(ready);
            ready->head++;
            return item;
        }
    }
    return find_next(worker);
}

/* Run others until the current coroutine, not RUNNING any more, is next. */
static inline void
run_others(struct cel__worker *worker, struct cel__coro *self)
{
    struct cel__coro *next = next_coro(worker);

    if (next == self) {
        self->state = CEL__RUNNING;
        worker->budget = CEL__BUDGET;
        return;
    }
    switch_to(worker, self, next);
}

static void
deadline_passed(struct cel__timer *timer)
{
    struct cel__park *park = cel__container(timer, struct cel__park, timer);

    if (park->coro->state == CEL__PARKED) {
        make_ready(park->coro->worker, park->coro, -ETIMEDOUT);
    }
}

/* The middle of each park: others run until somebody makes `self` ready. */
CEL__HOT void
suspend(struct cel__worker *worker, struct cel__coro *self, const char *what,
        cel_time deadline)
{
    self->state = CEL__PARKED;
    self->code = 0;
    self->waits_for = what;
    worker->npark++;
    CEL__PROBE3(park, self, what, deadline);
    (void)deadline;
    run_others(worker, self);
    self->waits_for = NULL;
}

/* As cel__park(), with a deadline, maybe only its scope's. */
__attribute__((noinline)) static int
park_until(struct cel__worker *worker, cel_time deadline, const char *what)
{
    struct cel__coro *self = worker->current;
    struct cel__park park;
    bool bounded = self->bound < deadline;

    if (bounded) {
        deadline = self->bound;
    }
    if (deadline <= worker->now) {
        self->bounded |= bounded;
        return -ETIMEDOUT;
    }
    park.coro = self;
    park.timer.fire = deadline_passed;
    cel__heap_node_init(&park.timer.node);
    int err = cel__timer_start(worker, &park.timer, deadline);
    if (err < 0) {
        return err;
    }
    park.since = worker->now;
    park.until = deadline;
    self->timed = true;
    self->park = &park;
    suspend(worker, self, what, deadline);
    self->timed = false;
    cel__timer_stop(worker, &park.timer);
    self->bounded |= bounded && self->code == -ETIMEDOUT;
    return self->code;
}

int
cel__park(struct cel__worker *worker, cel_time deadline, const char *what)
{
    struct cel__coro *self = worker->current;

    if (cel__unlikely(self->cancelled)) {
        return -ECANCELED;
    }
    if (deadline != CEL_FOREVER || cel__unlikely(self->bound != CEL_FOREVER)) {
        return park_until(worker, deadline, what);
    }
    self->since = worker->now;
    suspend(worker, self, what, CEL_FOREVER);
    return self->code;
}

void
cel__park_firmly(struct cel__worker *worker, const char *what)
{
    struct cel__coro *self = worker->current;

    self->firm = true;
    self->since = worker->now;
    suspend(worker, self, what, CEL_FOREVER);
    self->firm = false;
}

int
cel__yield(struct cel__worker *worker)
{
    struct cel__coro *self = worker->current;

    self->state = CEL__READY;
    self->code = 0;
    cel__ring_put(&worker->ready, self);
    run_others(worker, self);
    return self->code;
}

int
cel__resume(struct cel__worker *worker, struct cel__coro *target)
{
    struct cel__coro *self = worker->current;

    if (target->state == CEL__READY) {
        cel__ring_remove(&worker->ready, target);
    }
    target->code = CEL__RESUMED;
    self->state = CEL__PARKED;
    self->code = 0;
    self->waits_for = cel__wait_by_hand;
    self->since = worker->now;
    switch_to(worker, self, target);
    self->waits_for = NULL;
    return self->code;
}

/* The last C code on a stack: who goes on. */
CEL__HOT struct cel__coro *
end(struct cel__worker *worker, struct cel__coro *self, struct cel__coro *heir)
{
    self->state = CEL__DEAD;
    CEL__PROBE1(end, self);
    cel__list_remove(&self->all);
    cel__sys_add(&worker->nalive, -1);
    cel__ring_release(&worker->ready);
    if (heir == NULL) {
        heir = next_coro(worker);
    }
    else {
        if (heir->state == CEL__READY) {
            (void)cel__ring_remove(&worker->ready, heir);
        }
        heir->code = CEL__RESUMED;
    }
    worker->dead = self;
    if (!heir->started) {
        heir->sp = cel__switch_prepare(equip(heir), begin, heir);
    }
    return heir;
}

/* What runs on a new stack, from its first call to its last. */
CEL__UNCOUNTED static void *
begin(void *arg)
{
    struct cel__coro *self = arg;
    struct cel__worker *worker = self->worker;

    arrive(worker, self);
    struct cel__coro *heir = end(worker, self, self->entry(self));
    hand_over(worker, self, heir);
    return heir->sp;
}

CEL__UNCOUNTED _Noreturn void
cel__exit(struct cel__worker *worker, struct cel__coro *heir)
{
    struct cel__coro *self = worker->current;

    heir = end(worker, self, heir);
    hand_over(worker, self, heir);
    cel__switch(&self->sp, heir->sp);
    cel__panic("a coroutine that has ended runs");
}

bool
cel__interrupt(struct cel__coro *coro, int code)
{
    if (coro->state != CEL__PARKED || coro->firm) {
        return false;
    }
    make_ready(coro->worker, coro, code);
    return true;
}

bool
cel__cancel_here(struct cel__coro *coro)
{
    if (coro->shield != 0) {
        coro->shield |= CEL__SHIELD_HIT;
        return false;
    }
    coro->cancelled = true;
    return cel__interrupt(coro, -ECANCELED);
}

/* In the coroutine's worker: the wake-up that another thread sent. */
static void
remote_wake_arrived(struct cel__message *message)
{
    struct cel__coro *coro = cel__container(message, struct cel__coro, wake);
    /* Then it may be gone once that is known to have arrived. */
    bool dead = coro->state == CEL__DEAD;

    /* From here on cel__wake() sends the message again.  An exchange, not a
       store: whoever still found `remote` set relies on this wake-up, so the
       coroutine must see all that was done before.  Pairs with the acq_rel
       operation in message_for(). */
    unsigned remote = atomic_exchange_explicit(&coro->remote, 0,
                                               memory_order_acq_rel);
    if ((remote & CEL__REMOTE_LAST) != 0) {
        coro->release(coro);
        return;
    }
    if (dead) {
        return;
    }
    /* Relaxed: the exchange above orders it. */
    if (atomic_load_explicit(&coro->cancel, memory_order_relaxed) &&
        cel__cancel_here(coro)) {
        return;
    }
    if (coro->state == CEL__PARKED) {
        make_ready(coro->worker, coro, 0);
    }
}

/* The message that `coro` is to be sent, of another worker; NULL where it is
   on its way. */
static struct cel__message *
message_for(struct cel__coro *coro)
{
    /* Acq_rel: whoever finds it not sent owns the message; pairs with the
       exchange in remote_wake_arrived(). */
    unsigned remote = atomic_fetch_or_explicit(&coro->remote, CEL__REMOTE_SENT,
                                               memory_order_acq_rel);
    if ((remote & CEL__REMOTE_SENT) != 0) {
        return NULL;
    }
    coro->wake.fn = remote_wake_arrived;
    return &coro->wake;
}

/* `me` is the calling thread's, or NULL; its worker is not `coro`'s. */
__attribute__((noinline)) static void
wake_late(struct cel__worker *me, struct cel__coro *coro)
{
    struct cel__message *message = message_for(coro);

    if (message == NULL) {
        return;
    }
    if (me == NULL) {
        cel__worker_post(cel__coro_worker(coro), message);
    }
    else {
        cel__worker_post_late(me, cel__coro_worker(coro), message);
    }
}

void
cel__wake_late(struct cel__worker *me, struct cel__coro *coro)
{
    if (cel__unlikely(coro->worker != me)) {
        wake_late(me, coro);
    }
    else if (coro->state == CEL__PARKED) {
        make_ready(me, coro, 0);
    }
}

void
cel__wake(struct cel__coro *coro)
{
    struct cel__worker *worker = coro->worker;

    if (cel__unlikely(worker != cel__worker())) {
        wake_late(NULL, coro);
    }
    else if (coro->state == CEL__PARKED) {
        make_ready(worker, coro, 0);
    }
}

void
cel__cancel_late(struct cel__worker *me, struct cel__coro *coro)
{
    struct cel__worker *worker = cel__coro_worker(coro);

    if (worker != NULL && worker == me) {
        (void)cel__cancel_here(coro);
        return;
    }
    /* Seq_cst: for cel__spread_holds(); else the exchange of `remote` orders
       it. */
    (void)atomic_exchange_explicit(&coro->cancel, true, memory_order_seq_cst);
    if (worker != NULL || !cel__spread_holds(me, coro)) {
        wake_late(me, coro);
    }
}

void
cel__cancel(struct cel__coro *coro)
{
    struct cel__worker *me = cel__worker();

    cel__cancel_late(me, coro);
    if (me != NULL) {
        cel__worker_settle(me);
    }
}

void
cel__wake_first(struct cel__coro *coro)
{
    if (coro->state == CEL__PARKED) {
        coro->state = CEL__READY;
        coro->code = 0;
        coro->worker->nwake++;
        CEL__PROBE2(wake, coro, 0);
        cel__ring_put_first(&coro->worker->ready, coro);
    }
}

/* `callback` as an entry of the run queue. */
static void *
tagged(struct cel__callback *callback)
{
    return (void *)((uintptr_t)callback + CALLBACK_TAG);
}

void
cel__callback_queue(struct cel__worker *worker, struct cel__callback *callback)
{
    if (!callback->queued) {
        callback->queued = true;
        cel__ring_put(&worker->ready, tagged(callback));
    }
}

void
cel__callback_queue_first(struct cel__worker *worker,
                          struct cel__callback *callback)
{
    cel__assert(!callback->queued);
    callback->queued = true;
    cel__ring_put_first(&worker->ready, tagged(callback));
}

void
cel__callback_fini(struct cel__worker *worker, struct cel__callback *callback)
{
    if (callback->queued) {
        callback->queued = false;
        cel__ring_remove(&worker->ready, tagged(callback));
    }
    cel__ring_release(&worker->ready);
}
