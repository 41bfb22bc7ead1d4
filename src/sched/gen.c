/* SPDX-License-Identifier: MIT */
/*
 * Generators: two coroutines that switch to each other.
 *
 * Asker and generator resume each other by hand, past the run queue, so an
 * exchange costs two switches; within a scope they take their turns, for its
 * deadline ends parks alone.  While the generator waits for something else
 * the asker is parked as in any other wait: cancelling ends it, and then the
 * generator finds nobody at its next yield and waits to be asked again.
 *
 * A generator is given back when both its stack and its handle are gone.
 *
 * Threads: the run's.
 *
 * Tests: unit/test_gen.c
 */
#include "sched/gen.h"

#include <errno.h>

#include "base/check.h"
#include "sched/wait.h"
#include "sched/worker.h"
#include "see/awaited.h"

/* Tell `ask`, which may be NULL, and forget it; returns whom to resume. */
static struct cel__coro *
answer(struct cel__gen_ask *ask, int result, void *value)
{
    if (ask == NULL) {
        return NULL;
    }
    ask->done = true;
    ask->result = result;
    ask->value = value;
    return ask->coro;
}

static struct cel__coro *
end(struct cel_coro *self)
{
    struct cel_gen *gen = (struct cel_gen *)self;
    struct cel__coro *asker = answer(gen->ask, 0, NULL);
    struct cel__coro *closer = answer(gen->close, 0, NULL);
    gen->ask = NULL;
    gen->close = NULL;
    if (asker != NULL && closer != NULL) {
        cel__wake(asker);
        asker = NULL;
    }
    cel__run_end(&gen->coro);
    return asker != NULL ? asker : closer;
}

static struct cel__coro *
entry(struct cel__coro *coro)
{
    struct cel_gen *gen = (struct cel_gen *)coro;

    gen->fn(gen, gen->coro.arg);
    return cel__run_leave(&gen->coro);
}

int
cel_gen_open(cel_gen **out, void (*fn)(cel_gen *gen, void *arg), void *arg)
{
    struct cel__run *run = cel__run_current();

    if (run == NULL) {
        return -EPERM;
    }
    struct cel_gen *gen = cel__slab_take(&run->gens);
    if (gen == NULL) {
        return -ENOMEM;
    }
    gen->coro.is_gen = true;
    int err = cel__run_make(run, &gen->coro, &run->worker->stacks, entry, end);
    if (err < 0) {
        cel__slab_give(&run->gens, gen);
        return err;
    }
    gen->coro.refs++;
    gen->coro.arg = arg;
    gen->fn = fn;
    gen->idle = true;
    run->nunstarted++;
    *out = gen;
    return 0;
}

/* Let `other` go on: at once; or, where the caller has a scope's deadline,
   which a park alone obeys, in its turn. */
static int
hand_over(struct cel__worker *worker, struct cel__coro *other)
{
    if (worker->current->bound == CEL_FOREVER) {
        return cel__resume(worker, other);
    }
    if (other->state == CEL__NEW) {
        cel__coro_start(other);
    }
    else {
        cel__wake(other);
    }
    return 0;
}

/* Let `gen`, which is idle, go on. */
static int
go_on(struct cel__worker *worker, struct cel_gen *gen)
{
    if (gen->coro.coro.state == CEL__NEW) {
        worker->run->nunstarted--;
    }
    gen->idle = false;
    return hand_over(worker, &gen->coro.coro);
}

int
cel_gen_send(cel_gen *gen, void *in, void **out)
{
    struct cel__worker *worker = gen->coro.coro.worker;
    struct cel__awaiting note = {&cel__awaited_value, &gen->coro.coro};
    struct cel__gen_ask ask = {worker->current, false, 0, NULL};

    if (cel__run_ended(&gen->coro)) {
        return 0;
    }
    if (!gen->idle) {
        return -EBUSY;
    }
    if (worker->current->cancelled) {
        return -ECANCELED;
    }
    gen->in = in;
    gen->ask = &ask;
    /* Two that exchange values pass the run queue by; others must run too.
       From here on `gen` may be closed under us, so only `ask` is read. */
    bool others = ++gen->nasked % CEL__BUDGET == 0;
    ask.coro->awaiting = &note;
    int code = go_on(worker, gen);
    while (!ask.done) {
        if (code < 0 && code != CEL__RESUMED) {
            ask.coro->awaiting = NULL;
            gen->ask = NULL;
            return code;
        }
        code = cel__park(worker, CEL_FOREVER, note.kind->what);
    }
    ask.coro->awaiting = NULL;
    if (others) {
        (void)cel__yield(worker);
    }
    if (ask.result == 1 && out != NULL) {
        *out = ask.value;
    }
    return ask.result;
}

/* Whether `gen` is to end, be it within a shield. */
static bool
is_closed(const struct cel_gen *gen)
{
    return gen->close != NULL || gen->coro.coro.cancelled;
}

int
cel_gen_yield(cel_gen *gen, void *value, void **in)
{
    struct cel__worker *worker = gen->coro.coro.worker;

    cel__assert(worker->current == &gen->coro.coro);
    if (is_closed(gen)) {
        return -ECANCELED;
    }
    struct cel__coro *asker = answer(gen->ask, 1, value);
    gen->ask = NULL;
    gen->idle = true;
    int code = asker != NULL ? hand_over(worker, asker) : 0;
    /* Idle still: nobody has asked, so the wake-up was for nothing, or
       it has a deadline or was cancelled through its cel_self(). */
    while (gen->idle) {
        if (code < 0 && code != CEL__RESUMED) {
            gen->idle = false;
            return code;
        }
        code = cel__park(worker, CEL_FOREVER, "being asked");
    }
    if (is_closed(gen)) {
        return -ECANCELED;
    }
    if (in != NULL) {
        *in = gen->in;
    }
    return 1;
}

/* Wait until the end of `gen`, which has begun. */
static void
await_end(struct cel__worker *worker, struct cel_gen *gen)
{
    struct cel__gen_ask end = {worker->current, false, 0, NULL};

    gen->close = &end;
    (void)cel__cancel_here(&gen->coro.coro);
    if (gen->idle) {
        (void)go_on(worker, gen);
    }
    while (!end.done) {
        cel__park_firmly(worker, "the end of a generator");
    }
}

void
cel_gen_close(cel_gen *gen)
{
    if (gen == NULL) {
        return;
    }
    struct cel__worker *worker = gen->coro.coro.worker;
    cel__assert(worker->current != &gen->coro.coro);
    if (gen->coro.coro.state == CEL__NEW) {
        worker->run->nunstarted--;
        cel__coro_discard(&gen->coro.coro);
        cel__run_unref(&gen->coro);
    }
    else if (!cel__run_ended(&gen->coro)) {
        await_end(worker, gen);
    }
    cel__run_unref(&gen->coro);
}
