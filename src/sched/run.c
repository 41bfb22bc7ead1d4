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

#include "base/check.h"
#include "celadon/local.h"
#include "celadon/workers.h"
#include "sched/gen.h"
#include "sched/local.h"
#include "sched/options.h"
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
            coro->cancelled = true;
            (void)cel__interrupt(coro, -ECANCELED);
        }
    }
    while (worker->nalive > 1 + run->nunstarted || !cel__team_is_over(run)) {
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

/* What all workers may ask of a coroutine; `me` is the caller's worker. */
static inline void
lock(struct cel_coro *coro, const struct cel__worker *me)
{
    if (coro->coro.tag != 0) {
        cel__latch_take(&coro->latch, me);
    }
}

static inline void
unlock(struct cel_coro *coro, struct cel__worker *me)
{
    if (coro->coro.tag != 0) {
        cel__latch_give(&coro->latch, me);
    }
}

/* Give `coro`, to which nobody has a reference, back to its slab. */
static void
give_back(struct cel_coro *coro, const struct cel__worker *me)
{
    struct cel__worker *worker = coro->coro.worker;
    struct cel__run *run = worker->run;
    unsigned tag = coro->coro.tag;

    if (cel__unlikely(worker != me)) {
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
    else if (cel__unlikely(tag != 0 && tag != run->index + 1)) {
        cel__slab_return(&run->team->runs[tag - 1]->coros, coro);
    }
    else {
        cel__slab_give(&run->coros, coro);
    }
}

void
cel__run_unref(struct cel_coro *coro)
{
    struct cel__worker *me = coro->coro.worker;

    lock(coro, me);
    bool last = --coro->refs == 0;
    unlock(coro, me);
    if (last) {
        give_back(coro, me);
    }
}

void
cel__run_release(struct cel__coro *coro)
{
    cel__run_unref((struct cel_coro *)coro);
}

void
cel__run_fill(struct cel__run *run, struct cel_coro *coro,
              struct cel__coro *(*end)(struct cel_coro *))
{
    cel__list_init(&coro->joiners);
    coro->refs = 1;
    coro->end = end;
    if (run->team != NULL) {
        coro->coro.tag = (uint16_t)(run->index + 1);
    }
}

int
cel__run_make(struct cel__run *run, struct cel_coro *coro,
              struct cel__coro *(*entry)(struct cel__coro *),
              struct cel__coro *(*end)(struct cel_coro *))
{
    cel__run_fill(run, coro, end);
    coro->latch.owner = run->bias;
    coro->coro.cancelled = run->ending;
    return cel__coro_init(&coro->coro, run->worker, entry, cel__run_release);
}

int
cel__run_new(struct cel__run *run, struct cel_coro **out,
             struct cel__coro *(*entry)(struct cel__coro *),
             struct cel__coro *(*end)(struct cel_coro *))
{
    struct cel_coro *coro = cel__slab_take(&run->coros);

    if (coro == NULL) {
        return -ENOMEM;
    }
    int err = cel__run_make(run, coro, entry, end);
    if (err < 0) {
        cel__slab_give(&run->coros, coro);
        return err;
    }
    *out = coro;
    return 0;
}

void
cel__run_end(struct cel_coro *coro)
{
    struct cel__worker *worker = coro->coro.worker;
    struct cel__run *run = worker->run;
    struct cel__link *link;

    lock(coro, worker);
    coro->ended = true;
    while ((link = cel__list_first(&coro->joiners)) != NULL) {
        struct cel__wait *wait = cel__container(link, struct cel__wait, link);
        cel__list_remove(link);
        wait->done = true;
        cel__wake_late(worker, wait->coro);
    }
    unlock(coro, worker);
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
    return coro->end(coro);
}

static struct cel__coro *
end(struct cel_coro *self)
{
    cel__run_end(self);
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

    int err = cel__team_new(run, index, &self, entry, end);
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
    unsigned index = cel__team_choose(run);
    return index == run->index ? cel_go(out, fn, arg)
                               : go_at(run, index, out, fn, arg);
}

int
cel_go(cel_coro **out, void (*fn)(void *arg), void *arg)
{
    struct cel__run *run = cel__run_current();

    if (run == NULL) {
        return -EPERM;
    }
    struct cel_coro *self;
    int err = cel__run_new(run, &self, entry, end);
    if (err < 0) {
        return err;
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
static int
await_end(struct cel_coro *coro, struct cel__worker *me, cel_time deadline)
{
    struct cel__awaiting note = {&cel__awaited_end, &coro->coro};
    struct cel__wait wait;

    cel__wait_init(&wait, me->current);
    cel__list_append(&coro->joiners, &wait.link);
    int code = 0;
    wait.coro->awaiting = &note;
    while (!wait.done && code >= 0) {
        unlock(coro, me);
        code = cel__park(me, deadline, note.kind->what);
        lock(coro, me);
    }
    wait.coro->awaiting = NULL;
    cel__list_remove(&wait.link);
    return wait.done ? 0 : code;
}

int
cel_join(cel_coro *coro, cel_time deadline)
{
    struct cel__coro *block = block_of(coro);
    struct cel__worker *me = block->worker;

    if (coro->coro.tag != 0) {
        me = cel__worker();
        if (me == NULL) {
            return -EPERM;
        }
    }
    /* The root's end is everybody's, so nobody lives to see it. */
    if (coro->is_root || block == me->current) {
        return -EDEADLK;
    }
    int err = 0;
    lock(coro, me);
    if (!coro->ended) {
        coro->refs++;
        err = await_end(coro, me, deadline);
        coro->refs--;
    }
    /* Of several joiners the first lets go of the handle. */
    if (err == 0 && coro->handle) {
        coro->handle = false;
        coro->refs--;
    }
    bool last = coro->refs == 0;
    unlock(coro, me);
    if (last) {
        give_back(coro, me);
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
