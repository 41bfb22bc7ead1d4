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
#include "sched/gen.h"
#include "sched/local.h"
#include "sched/wait.h"
#include "sched/worker.h"
#include "see/awaited.h"

struct cel__run *
cel__run_current(void)
{
    struct cel__worker *worker = cel__worker();

    return worker == NULL ? NULL : worker->run;
}

void
cel_options_init(cel_options *options)
{
    memset(options, 0, sizeof(*options));
    options->size = sizeof(*options);
}

/* Copy what `given` has of the options that are known here. */
static int
read_options(cel_options *options, const cel_options *given)
{
    cel_options_init(options);
    if (given == NULL) {
        return 0;
    }
    if (given->size < sizeof(given->size)) {
        return -EINVAL;
    }
    /* A caller compiled with a later header may have more of them, but must
       not use what is unknown here. */
    const char *bytes = (const char *)given;
    for (size_t i = sizeof(*options); i < given->size; i++) {
        if (bytes[i] != 0) {
            return -EINVAL;
        }
    }
    memcpy(options, given,
           given->size < sizeof(*options) ? given->size : sizeof(*options));
    return 0;
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
    while (worker->nalive > 1 + run->nunstarted) {
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
    cel_options options;

    int err = read_options(&options, given);
    if (err < 0) {
        return err;
    }
    how.stack_size = options.stack_size;
    how.backend = backend != NULL ? backend : options.backend;
    err = cel__worker_open(&run->worker, &how);
    if (err < 0) {
        return err;
    }
    run->worker->run = run;
    run->root.coro.worker = run->worker;
    run->root.is_root = true;
    cel__slab_init(&run->coros, sizeof(struct cel_coro));
    cel__slab_init(&run->gens, sizeof(struct cel_gen));
    return 0;
}

void
cel__run_close(struct cel__run *run)
{
    cel__local_leave(&run->root);
    end_all(run);
    cel__worker_close(run->worker);
    cel__slab_fini(&run->gens);
    cel__slab_fini(&run->coros);
}

int
cel_run(int (*fn)(void *arg), void *arg, const cel_options *given)
{
    struct cel__run run = {0};

    int err = cel__run_open(&run, given, NULL);
    if (err < 0) {
        return err;
    }
    int result = fn(arg);
    cel__run_close(&run);
    return result;
}

void
cel__run_unref(struct cel_coro *coro)
{
    struct cel__run *run = coro->coro.worker->run;

    if (--coro->refs > 0) {
        return;
    }
    /* Cancelled from another thread at the last moment: the message comes
       yet, and then lets go in our stead.  Acquire: pairs with the exchange
       in cel__cancel(). */
    if (cel__unlikely(
            atomic_load_explicit(&coro->coro.remote, memory_order_acquire))) {
        coro->refs = 1;
        coro->coro.orphan = true;
    }
    else {
        cel__slab_give(coro->is_gen ? &run->gens : &run->coros, coro);
    }
}

static void
release(struct cel__coro *coro)
{
    cel__run_unref((struct cel_coro *)coro);
}

int
cel__run_make(struct cel__run *run, struct cel_coro *coro,
              struct cel__coro *(*entry)(struct cel__coro *),
              struct cel__coro *(*end)(struct cel_coro *))
{
    cel__list_init(&coro->joiners);
    coro->refs = 1;
    coro->end = end;
    coro->coro.cancelled = run->ending;
    return cel__coro_init(&coro->coro, run->worker, entry, release);
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

    coro->ended = true;
    while ((link = cel__list_first(&coro->joiners)) != NULL) {
        cel__wait_finish(cel__container(link, struct cel__wait, link), 0);
    }
    /* The last one: this coroutine still counts. */
    if (cel__unlikely(run->ending) && worker->nalive == 2 + run->nunstarted) {
        cel__wake(&worker->root);
    }
}

struct cel__coro *
cel__run_leave(struct cel_coro *coro)
{
    if (cel__unlikely(coro->deferred != NULL || coro->locals != NULL)) {
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

/* Wait until `coro`, which the caller has a reference to, has ended. */
static int
await_end(struct cel_coro *coro, cel_time deadline)
{
    struct cel__worker *worker = coro->coro.worker;
    struct cel__awaiting note = {&cel__awaited_end, &coro->coro};
    struct cel__wait wait;

    cel__wait_init(&wait, worker->current);
    cel__list_append(&coro->joiners, &wait.link);
    int code = 0;
    wait.coro->awaiting = &note;
    while (!wait.done && code >= 0) {
        code = cel__park(worker, deadline, note.kind->what);
    }
    wait.coro->awaiting = NULL;
    cel__list_remove(&wait.link);
    return wait.done ? 0 : code;
}

int
cel_join(cel_coro *coro, cel_time deadline)
{
    struct cel__coro *block = block_of(coro);

    /* The root's end is everybody's, so nobody lives to see it. */
    if (block == block->worker->current || block == &block->worker->root) {
        return -EDEADLK;
    }
    coro->refs++;
    int err = coro->ended ? 0 : await_end(coro, deadline);
    /* Of several joiners the first lets go of the handle. */
    if (err == 0 && coro->handle) {
        coro->handle = false;
        coro->refs--;
    }
    cel__run_unref(coro);
    return err;
}

void
cel_cancel(cel_coro *coro)
{
    cel__cancel(block_of(coro));
}

int
cel_cancelled(void)
{
    struct cel__worker *worker = cel__worker();

    return worker != NULL && worker->current->cancelled;
}

int
cel_yield(void)
{
    struct cel__worker *worker = cel__worker();

    if (worker == NULL) {
        return -EPERM;
    }
    (void)cel__yield(worker);
    return worker->current->cancelled ? -ECANCELED : 0;
}

int
cel_sleep(cel_time deadline)
{
    struct cel__worker *worker = cel__worker();

    if (worker == NULL) {
        return -EPERM;
    }
    /* Who sleeps until the past, over and over, must not starve others. */
    if (deadline <= worker->now && cel__worker_spent(worker)) {
        (void)cel__yield(worker);
    }
    int code;
    do {
        code = cel__park(worker, deadline, "sleep");
    } while (code == 0);
    /* Where a scope's deadline came first it has not slept enough. */
    return code == -ETIMEDOUT && worker->current->bound >= deadline ? 0 : code;
}

cel_coro *
cel_self(void)
{
    struct cel__run *run = cel__run_current();

    if (run == NULL) {
        return NULL;
    }
    if (run->worker->current == &run->worker->root) {
        return &run->root;
    }
    return (cel_coro *)run->worker->current;
}

void
cel_set_name(const char *name)
{
    struct cel__worker *worker = cel__worker();

    if (worker != NULL) {
        worker->current->name = name;
    }
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

int
cel_exit(int result)
{
    struct cel__run *run = cel__run_current();

    if (run == NULL || run->worker->current == &run->worker->root) {
        return -EPERM;
    }
    struct cel_coro *self = (struct cel_coro *)run->worker->current;
    self->result = result;
    cel__exit(run->worker, cel__run_leave(self));
}
