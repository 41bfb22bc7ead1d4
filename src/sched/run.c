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
#include "sched/join.h"
#include "sched/local.h"
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
    run->root.home = run;
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

/* Of the two who need a coroutine that has ended elsewhere, its home and its
   worker, one does no more; whether that is the last.  Acq_rel: that one sees
   what the other has done. */
static bool
is_through(struct cel_coro *coro)
{
    return atomic_exchange_explicit(&coro->halfway, true,
                                    memory_order_acq_rel);
}

/*
 * Whether `coro`, to which nobody at its home has a reference, is given back
 * by another: a question on its way, which takes a reference and lets go of
 * it; its worker, where that is elsewhere; or what cancelled it from another
 * thread at the last moment, when that arrives.
 */
__attribute__((noinline)) static bool
is_left_to_others(struct cel_coro *coro)
{
    /* Acquire: pairs with the release in join.c. */
    if (atomic_load_explicit(&coro->nasked, memory_order_acquire) != 0 ||
        (coro->away && !is_through(coro))) {
        return true;
    }
    coro->refs = 1;
    /* Acq_rel: pairs with the exchange in remote_wake_arrived(), which calls
       cel__run_release() if it comes later. */
    unsigned remote = atomic_fetch_or_explicit(
        &coro->coro.remote, CEL__REMOTE_LAST, memory_order_acq_rel);
    return (remote & CEL__REMOTE_SENT) != 0;
}

/* Give `coro`, to which nobody at its home has a reference, back to its
   slab. */
CEL__HOT void
give_back(struct cel_coro *coro)
{
    struct cel__run *run = coro->home;

    /* Acquire: pairs with the operation in cel__cancel(), and as above. */
    if (cel__unlikely(
            (atomic_load_explicit(&coro->coro.remote, memory_order_acquire) |
             atomic_load_explicit(&coro->nasked, memory_order_acquire) |
             coro->away) != 0) &&
        is_left_to_others(coro)) {
        return;
    }
    cel__slab_give(cel__unlikely(coro->is_gen) ? &run->gens : &run->coros,
                   coro);
}

void
cel__run_unref(struct cel_coro *coro)
{
    if (--coro->refs == 0) {
        give_back(coro);
    }
}

CEL__HOT void
wake_joiners(struct cel_coro *coro, struct cel__worker *home)
{
    /* Release: pairs with cel__run_ended(). */
    atomic_store_explicit(&coro->ended, true, memory_order_release);
    struct cel__link *link = coro->joiners.next;
    /* They do not look at the list any more, nor does anybody. */
    while (link != &coro->joiners) {
        struct cel__wait *wait = cel__container(link, struct cel__wait, link);
        link = link->next;
        if (cel__unlikely(wait->coro == NULL)) {
            cel__join_answer(wait);
        }
        else {
            wait->done = true;
            cel__wake_late(home, wait->coro);
        }
    }
}

/* At its home: a coroutine has ended elsewhere. */
static void
last_arrived(struct cel__message *message)
{
    struct cel_coro *coro = cel__container(message, struct cel_coro, last);

    coro->away = true;
    wake_joiners(coro, coro->home->worker);
    cel__run_unref(coro);
}

/* `coro`, the current one, ends, and its home is elsewhere.  Without a handle
   there is nobody to tell. */
__attribute__((noinline)) static void
tell_home(struct cel_coro *coro)
{
    if (coro->handle) {
        coro->told = true;
        coro->last.fn = last_arrived;
        cel__worker_post(coro->home->worker, &coro->last);
    }
}

void
cel__run_release_away(struct cel__coro *coro)
{
    struct cel_coro *self = (struct cel_coro *)coro;

    if (!self->unstacked) {
        self->unstacked = true;
        if (self->told && !is_through(self)) {
            return;
        }
    }
    /* Acquire: as in give_back(). */
    if (atomic_load_explicit(&coro->remote, memory_order_acquire) == 0) {
        cel__slab_return(&self->home->coros, self);
    }
    else {
        atomic_fetch_or_explicit(&coro->remote, CEL__REMOTE_LAST,
                                 memory_order_relaxed);
    }
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
    cel__coro_number(&coro->coro, run->worker);
    cel__list_init(&coro->joiners);
    coro->refs = 1;
    coro->end = end;
    coro->home = run;
}

int
cel__run_make(struct cel__run *run, struct cel_coro *coro,
              struct cel__stackpool *pool,
              struct cel__coro *(*entry)(struct cel__coro *),
              struct cel__coro *(*end)(struct cel_coro *))
{
    fill(run, coro, end);
    coro->coro.cancelled = run->ending;
    return cel__coro_init(&coro->coro, run->worker, pool, entry,
                          cel__run_release);
}

/* Zero `size` bytes of `coro` from `begin` on: so few that no call is made. */
#define CLEAN(coro, begin, size) memset((char *)(coro) + (begin), 0, size)

/* Zero what is read before it is set, and not all four cache lines, in a block
   that was another's. */
static inline void
clean(struct cel_coro *coro)
{
    CLEAN(coro, offsetof(struct cel__coro, state),
          offsetof(struct cel__coro, bound) -
              offsetof(struct cel__coro, state));
    CLEAN(coro, offsetof(struct cel__coro, name),
          sizeof(struct cel__coro) - offsetof(struct cel__coro, name));
    CLEAN(coro, offsetof(struct cel_coro, nasked),
          offsetof(struct cel_coro, fn) - offsetof(struct cel_coro, nasked));
}

/* One of the slab of `run`, clean; NULL where memory is short. */
CEL__HOT struct cel_coro *
take(struct cel__run *run)
{
    struct cel_coro *coro = cel__slab_take_used(&run->coros);

    if (coro != NULL) {
        clean(coro);
    }
    return coro;
}

__attribute__((flatten)) struct cel_coro *
cel__run_new(struct cel__run *run,
             struct cel__coro *(*entry)(struct cel__coro *),
             struct cel__coro *(*end)(struct cel_coro *))
{
    struct cel_coro *coro = take(run);

    if (coro != NULL &&
        cel__run_make(run, coro, &run->worker->stacks, entry, end) < 0) {
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
    struct cel_coro *coro = take(run);

    if (coro != NULL) {
        fill(run, coro, end);
        coro->coro.worker = NULL;
        coro->coro.entry = entry;
    }
    return coro;
}

__attribute__((flatten)) void
cel__run_end(struct cel_coro *coro)
{
    struct cel__worker *worker = coro->coro.worker;
    struct cel__run *run = worker->run;

    if (cel__likely(coro->home == run)) {
        wake_joiners(coro, worker);
    }
    else {
        tell_home(coro);
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
        self->refs = 2;
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

/* Wait until `coro`, which the caller has a reference to, has ended. */
CEL__HOT int
await_end(struct cel_coro *coro, struct cel__worker *me, cel_time deadline)
{
    struct cel__awaiting note = {&cel__awaited_end, &coro->coro};
    struct cel__wait wait;

    struct cel__coro *self = me->current;
    cel__wait_init(&wait, self);
    cel__list_append(&coro->joiners, &wait.link);
    self->awaiting = &note;
    int code;
    do {
        code = cel__park(me, deadline, cel__awaited_end.what);
    } while (!wait.done && code >= 0);
    self->awaiting = NULL;
    if (cel__likely(wait.done)) {
        return 0;
    }
    cel__list_remove(&wait.link);
    return code;
}

__attribute__((flatten)) int
cel_join(cel_coro *coro, cel_time deadline)
{
    struct cel__run *home = coro->home;
    struct cel__worker *me = home->worker;
    int err = 0;

    if (cel__unlikely(home->team != NULL) && cel__worker() != me) {
        return cel__join_away(coro, deadline);
    }
    /* The root's end is everybody's, so nobody lives to see it. */
    if (coro->is_root || &coro->coro == me->current) {
        return -EDEADLK;
    }
    if (!cel__run_ended(coro)) {
        coro->refs++;
        err = await_end(coro, me, deadline);
        coro->refs--;
    }
    /* Of several joiners the first lets go of the handle. */
    if (err == 0 && coro->handle) {
        coro->handle = false;
        coro->refs--;
    }
    if (coro->refs == 0) {
        give_back(coro);
    }
    return err;
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
