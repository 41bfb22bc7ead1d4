/* SPDX-License-Identifier: MIT */
/*
 * The C face of coroutines.
 *
 * A run is a worker plus the slab of its coroutines.  A coroutine with a
 * handle stays in the slab after its end until it is joined; one without is
 * given back by whoever runs next.
 *
 * Threads: see celadon/run.h.
 *
 * Tests: unit/test_run.c
 */
#include "sched/run.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "celadon/local.h"
#include "celadon/workers.h"
#include "sched/gen.h"
#include "sched/local.h"
#include "sched/options.h"
#include "sched/spread.h"
#include "sched/team.h"
#include "sched/wait.h"
#include "sched/worker.h"
#include "see/awaited.h"

struct cel__run *
cel__run_current(void)
{
    struct cel__worker *worker = cel__worker();

    return worker == NULL ? NULL : worker->run;
}

/* Cancel every coroutine but the root and wait until they have ended. */
static void
end_all(struct cel__run *run)
{
    struct cel__worker *worker = run->worker;

    run->ending = true;
    for (struct cel__link *link = worker->all.next; link != &worker->all;
         link = link->next) {
        struct cel__coro *coro = cel__container(link, struct cel__coro, all);
        if (coro != &worker->root) {
            (void)cel__cancel_here(coro);
        }
    }
    while (worker->nalive > 1 + run->nunstarted ||
           !cel__spread_is_empty(run) || !cel__team_is_over(run)) {
        cel__park_firmly(worker, "the end of all coroutines");
    }
    /* Generators that were opened and never asked. */
    while (worker->nalive > 1) {
        struct cel__link *link = worker->all.prev;
        cel__coro_discard(cel__container(link, struct cel__coro, all));
    }
}

int
cel__run_open(struct cel__run *run, const cel_options *given,
              const char *backend)
{
    struct cel__worker_options how = {0};
    struct cel__worker *worker;
    cel_options options;

    int err = cel__options_read(&options, given);
    if (err < 0) {
        return err;
    }
    how.stack_size = options.stack_size;
    how.backend = backend != NULL ? backend : options.backend;
    err = cel__worker_open(&worker, &how);
    if (err < 0) {
        return err;
    }
    worker->run = run;
    run->root.coro.worker = worker;
    run->root.is_root = true;
    cel__slab_init(&run->coros, sizeof(struct cel_coro));
    cel__slab_init(&run->gens, sizeof(struct cel_gen));
    run->worker = worker;
    return 0;
}

void
cel__run_fini(struct cel__run *run)
{
    cel__slab_fini(&run->gens);
    cel__slab_fini(&run->coros);
}

void
cel__run_close(struct cel__run *run)
{
    bool first = run->index == 0;

    cel__local_leave(&run->root);
    if (first) {
        cel__team_end(run->team);
    }
    end_all(run);
    cel__worker_close(run->worker);
    /* What is another worker's, worker 0 releases when all have ended. */
    if (first) {
        cel__team_close(run->team);
        cel__run_fini(run);
    }
}

int
cel_run(int (*fn)(void *arg), void *arg, const cel_options *given)
{
    struct cel__run run = {0};
    cel_options options;

    int err = cel__options_read(&options, given);
    if (err < 0) {
        return err;
    }
    err = cel__run_open(&run, &options, NULL);
    if (err < 0) {
        return err;
    }
    if (options.workers > 1) {
        err = cel__team_open(&run, &options);
    }
    int result = err < 0 ? err : fn(arg);
    cel__run_close(&run);
    return result;
}

/* Whether other workers than its own may ask something of `coro`. */
CEL__HOT bool
is_shared(const struct cel_coro *coro)
{
    return cel__unlikely(coro->coro.tag != 0);
}

/* What they may ask, if they may; `me` is the caller's worker. */
CEL__HOT void
lock(struct cel_coro *coro, struct cel__worker *me, bool shared)
{
    if (shared) {
        cel__latch_take(&coro->latch, me);
    }
}

CEL__HOT void
unlock(struct cel_coro *coro, struct cel__worker *me, bool shared)
{
    if (shared) {
        cel__latch_give(&coro->latch, me);
    }
}

/* Give `coro`, to which nobody has a reference, back to its slab. */
CEL__HOT void
give_back(struct cel_coro *coro, const struct cel__worker *me, bool shared)
{
    struct cel__worker *worker = coro->coro.worker;
    struct cel__run *run = worker->run;

    if (shared && worker != me) {
        coro->refs = 1;
        cel__wake_to_release(&coro->coro);
    }
    else if (cel__unlikely(atomic_load_explicit(&coro->coro.remote,
                                                memory_order_acquire) != 0)) {
        /* Cancelled from another thread at the last moment: the message comes
           yet, and then lets go in our stead.  Acquire: pairs with the
           operation in cel__cancel(). */
        coro->refs = 1;
        (void)atomic_fetch_or_explicit(&coro->coro.remote, CEL__REMOTE_LAST,
                                       memory_order_relaxed);
    }
    else if (coro->is_gen) {
        cel__slab_give(&run->gens, coro);
    }
    else if (shared && coro->coro.tag != run->tag) {
        cel__slab_return(&run->team->runs[coro->coro.tag - 1]->coros, coro);
    }
    else {
        cel__slab_give(&run->coros, coro);
    }
}

CEL__HOT void
unref(struct cel_coro *coro, bool shared)
{
    struct cel__worker *me = coro->coro.worker;

    lock(coro, me, shared);
    bool last = --coro->refs == 0;
    unlock(coro, me, shared);
    if (last) {
        give_back(coro, me, shared);
    }
}

__attribute__((noinline)) static void
unref_shared(struct cel_coro *coro)
{
    unref(coro, true);
}

void
cel__run_unref(struct cel_coro *coro)
{
    if (is_shared(coro)) {
        unref_shared(coro);
        return;
    }
    unref(coro, false);
}

void
cel__run_release(struct cel__coro *coro)
{
    cel__run_unref((struct cel_coro *)coro);
}

/* What is set in every coroutine of `run`, wherever it is to begin. */
CEL__HOT void
fill(struct cel__run *run, struct cel_coro *coro,
     struct cel__coro *(*end)(struct cel_coro *))
{
    cel__list_init(&coro->joiners);
    coro->refs = 1;
    coro->end = end;
    coro->coro.tag = run->tag;
}

int
cel__run_make(struct cel__run *run, struct cel_coro *coro,
              struct cel__coro *(*entry)(struct cel__coro *),
              struct cel__coro *(*end)(struct cel_coro *))
{
    fill(run, coro, end);
    coro->latch.owner = run->bias;
    coro->coro.cancelled = run->ending;
    return cel__coro_init(&coro->coro, run->worker, entry, cel__run_release);
}

/* Zero `size` bytes of `coro` from `begin` on: so few that no call is made. */
#define CLEAN(coro, begin, size) memset((char *)(coro) + (begin), 0, size)

/* Zero what is read before it is set, and not all four cache lines, in a block
   that was another's. */
static inline void
clean(struct cel_coro *coro)
{
    CLEAN(coro, offsetof(struct cel__coro, state),
          offsetof(struct cel__coro, entry) -
              offsetof(struct cel__coro, state));
    CLEAN(coro, offsetof(struct cel__coro, id),
          sizeof(struct cel__coro) - offsetof(struct cel__coro, id));
    CLEAN(coro, offsetof(struct cel_coro, latch),
          offsetof(struct cel_coro, fn) - offsetof(struct cel_coro, latch));
}

__attribute__((flatten)) struct cel_coro *
cel__run_new(struct cel__run *run,
             struct cel__coro *(*entry)(struct cel__coro *),
             struct cel__coro *(*end)(struct cel_coro *))
{
    struct cel_coro *coro = cel__slab_take_used(&run->coros);

    if (coro == NULL) {
        return NULL;
    }
    clean(coro);
    if (cel__run_make(run, coro, entry, end) < 0) {
        cel__slab_give(&run->coros, coro);
        return NULL;
    }
    return coro;
}

__attribute__((flatten)) struct cel_coro *
cel__run_new_elsewhere(struct cel__run *run,
                       struct cel__coro *(*entry)(struct cel__coro *),
                       struct cel__coro *(*end)(struct cel_coro *))
{
    struct cel_coro *coro = cel__slab_take_used(&run->coros);

    if (coro == NULL) {
        return NULL;
    }
    clean(coro);
    fill(run, coro, end);
    coro->coro.id = cel__coro_next_id(run->worker);
    coro->coro.worker = NULL;
    coro->coro.entry = entry;
    return coro;
}

CEL__HOT void
wake_joiners(struct cel_coro *coro, struct cel__worker *worker, bool shared)
{
    lock(coro, worker, shared);
    coro->ended = true;
    while (!cel__list_empty(&coro->joiners)) {
        struct cel__wait *wait = cel__container(coro->joiners.next,
                                                struct cel__wait, link);
        cel__list_remove(&wait->link);
        wait->done = true;
        cel__wake_late(worker, wait->coro);
    }
    unlock(coro, worker, shared);
}

__attribute__((noinline)) static void
wake_joiners_of_shared(struct cel_coro *coro, struct cel__worker *worker)
{
    wake_joiners(coro, worker, true);
}

__attribute__((flatten)) void
cel__run_end(struct cel_coro *coro)
{
    struct cel__worker *worker = coro->coro.worker;
    struct cel__run *run = worker->run;

    if (is_shared(coro)) {
        wake_joiners_of_shared(coro, worker);
    }
    else {
        wake_joiners(coro, worker, false);
    }
    /* The last one: this coroutine still counts. */
    if (cel__unlikely(run->ending) && worker->nalive == 2 + run->nunstarted) {
        cel__wake(&worker->root);
    }
}

struct cel__coro *
cel__run_leave(struct cel_coro *coro)
{
    if (cel__unlikely(coro->locals != NULL)) {
        cel__local_leave(coro);
    }
    if (coro->end != NULL) {
        return coro->end(coro);
    }
    cel__run_end(coro);
    return NULL;
}

static struct cel__coro *
entry(struct cel__coro *coro)
{
    struct cel_coro *self = (struct cel_coro *)coro;

    self->fn(self->arg);
    return cel__run_leave(self);
}

/* As cel_go(), at worker `index` of `run`. */
static int
go_at(struct cel__run *run, unsigned index, cel_coro **out,
      void (*fn)(void *arg), void *arg)
{
    struct cel_coro *self;

    int err = cel__team_new(run, index, &self, entry, NULL);
    if (err < 0) {
        return err;
    }
    self->fn = fn;
    self->arg = arg;
    if (out != NULL) {
        self->handle = true;
        self->refs++;
        *out = self;
    }
    cel__team_start(run, self);
    return 0;
}

int
cel_go_on(cel_coro **out, int worker, void (*fn)(void *arg), void *arg)
{
    struct cel__run *run = cel__run_current();

    if (run == NULL) {
        return -EPERM;
    }
    if (worker < 0 || worker >= cel_workers()) {
        return -EINVAL;
    }
    return go_at(run, (unsigned)worker, out, fn, arg);
}

int
cel_go_spread(cel_coro **out, void (*fn)(void *arg), void *arg)
{
    struct cel__run *run = cel__run_current();

    if (run == NULL) {
        return -EPERM;
    }
    return go_at(run, cel__team_anywhere(run), out, fn, arg);
}

__attribute__((flatten)) int
cel_go(cel_coro **out, void (*fn)(void *arg), void *arg)
{
    struct cel__run *run = cel__run_current();

    if (run == NULL) {
        return -EPERM;
    }
    struct cel_coro *self = cel__run_new(run, entry, NULL);
    if (self == NULL) {
        return -ENOMEM;
    }
    self->fn = fn;
    self->arg = arg;
    cel__coro_start(&self->coro);
    if (out != NULL) {
        self->handle = true;
        self->refs++;
        *out = self;
    }
    return 0;
}

/* The control block behind a handle. */
static struct cel__coro *
block_of(const cel_coro *coro)
{
    return coro->is_root ? &coro->coro.worker->root
                         : (struct cel__coro *)(uintptr_t)&coro->coro;
}

/* Wait until `coro`, which the caller has a reference to, has ended.  It is
   locked, before and after. */
CEL__HOT int
await_end(struct cel_coro *coro, struct cel__worker *me, bool shared,
          cel_time deadline)
{
    struct cel__awaiting note = {&cel__awaited_end, &coro->coro};
    struct cel__wait wait;

    struct cel__coro *self = me->current;
    cel__wait_init(&wait, self);
    cel__list_append(&coro->joiners, &wait.link);
    self->awaiting = &note;
    int code;
    do {
        unlock(coro, me, shared);
        code = cel__park(me, deadline, cel__awaited_end.what);
        lock(coro, me, shared);
    } while (!wait.done && code >= 0);
    self->awaiting = NULL;
    if (cel__likely(wait.done)) {
        return 0;
    }
    cel__list_remove(&wait.link);
    return code;
}

/* As cel_join(), by `me`. */
CEL__HOT int
join(struct cel_coro *coro, struct cel__worker *me, bool shared,
     cel_time deadline)
{
    /* The root's end is everybody's, so nobody lives to see it. */
    if (coro->is_root || &coro->coro == me->current) {
        return -EDEADLK;
    }
    int err = 0;
    lock(coro, me, shared);
    if (!coro->ended) {
        coro->refs++;
        err = await_end(coro, me, shared, deadline);
        coro->refs--;
    }
    /* Of several joiners the first lets go of the handle. */
    if (err == 0 && coro->handle) {
        coro->handle = false;
        coro->refs--;
    }
    bool last = coro->refs == 0;
    unlock(coro, me, shared);
    if (last) {
        give_back(coro, me, shared);
    }
    return err;
}

__attribute__((noinline)) static int
join_shared(struct cel_coro *coro, cel_time deadline)
{
    struct cel__worker *me = cel__worker();

    return me == NULL ? -EPERM : join(coro, me, true, deadline);
}

__attribute__((flatten)) int
cel_join(cel_coro *coro, cel_time deadline)
{
    return is_shared(coro) ? join_shared(coro, deadline)
                           : join(coro, coro->coro.worker, false, deadline);
}

void
cel_cancel(cel_coro *coro)
{
    cel__cancel(block_of(coro));
}

const char *
cel_name(const cel_coro *coro)
{
    return block_of(coro)->name;
}

uint64_t
cel_id(const cel_coro *coro)
{
    return block_of(coro)->id;
}
