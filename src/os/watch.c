/* SPDX-License-Identifier: MIT */
/*
 * Watchers: functions called when something happens.
 *
 * What happens is noted by the loop, which must not suspend, in a queue of
 * watchers; one coroutine a worker takes them out of it and calls.  It is
 * started with the first watcher and ends with the last.
 *
 * A descriptor is waited for once at a time, and again after the call: who
 * has not read is told again.  A signal is the descriptor of what receives
 * it.
 *
 * Watchers of the thread's own rhythm are noted when the worker asks, before
 * it sleeps and after.  They come first among the active ones, so that those
 * are found without a walk over all.
 *
 * Threads: see celadon/watch.h.
 *
 * Tests: unit/test_watch.c
 */
#include "celadon/watch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "celadon/run.h"
#include "os/signals.h"
#include "sched/io.h"
#include "sched/wait.h"

/* The watchers of one worker.  Invariant: has_caller <=> there is a coroutine
   that calls, as long as one is active or to be called. */
struct watches {
    struct cel__annex annex; /* first */
    struct cel__worker *worker;
    struct cel__link active;  /* those that are started */
    struct cel__link fired;   /* those to be called, in order */
    struct cel__link joiners; /* waits of those in cel_watch_run() */
    bool has_caller;
    bool dozes;               /* the worker sleeps, and was not kept from it */
    uint64_t ready_to_sleep;  /* switches when all had been called that are to
                                 be before it sleeps: others ran since where
                                 there are more; UINT64_MAX: not yet */
    bool sleeps;              /* the caller is parked for want of work */
    struct cel__coro *caller; /* NULL: it has not begun yet */
};

enum kind {
    WATCH_FD,
    WATCH_SIGNAL,
    WATCH_TIMER,
    /* From here on: of the rhythm. */
    WATCH_IDLE,
    WATCH_PREPARE,
    WATCH_CHECK
};

/*
 * Invariants: active => in watches->active; in watches->fired => it is still
 * to be called; refs == 0 <=> it is gone.
 */
struct cel_watch {
    enum kind kind;
    bool active;
    bool stale;    /* `op` is under way, and not for this start */
    unsigned refs; /* the handle, the call that is made, `op` under way */
    struct watches *watches;
    struct cel__link link;  /* among the active ones */
    struct cel__link fired; /* among those to be called */
    int what;               /* of the call to be made */
    cel_watch_fn *fn;
    void *arg;
    struct cel__op op;       /* a descriptor's, a signal's: the wait */
    struct cel__timer timer; /* a timer's */
    cel_time due;            /* when it fires next */
    int64_t after;
    int64_t every;
    int signal;
    cel_signals *signals; /* while a signal's is active */
};

static void
unref(struct cel_watch *self)
{
    if (--self->refs == 0) {
        free(self);
    }
}

/* Let the one who calls look. */
static void
rouse(struct watches *watches)
{
    if (watches->sleeps) {
        watches->sleeps = false;
        cel__wake(watches->caller);
    }
}

/* Have `self` called with `what`. */
static void
fire(struct cel_watch *self, int what)
{
    struct watches *watches = self->watches;

    self->what = what;
    if (cel__list_empty(&self->fired)) {
        cel__list_append(&watches->fired, &self->fired);
    }
    rouse(watches);
}

/* The first active watcher of the rhythm at `link` or behind; NULL: none. */
static struct cel_watch *
rhythm_at(const struct watches *watches, struct cel__link *link)
{
    if (link == &watches->active) {
        return NULL;
    }
    struct cel_watch *self = cel__container(link, struct cel_watch, link);
    return self->kind >= WATCH_IDLE ? self : NULL;
}

/* Have all active watchers of `kind` called, ahead of what has happened since.
   Returns whether there are any. */
static bool
fire_all(struct watches *watches, enum kind kind)
{
    struct cel__link *ahead = watches->fired.next;
    struct cel_watch *self;
    bool any = false;

    for (struct cel__link *link = watches->active.next;
         (self = rhythm_at(watches, link)) != NULL; link = link->next) {
        if (self->kind == kind) {
            any = true;
            if (cel__list_empty(&self->fired)) {
                cel__list_append(ahead, &self->fired);
            }
        }
    }
    if (any) {
        rouse(watches);
    }
    return any;
}

/* It is active no more, and a call that was due may still be made. */
static void
deactivate(struct cel_watch *self)
{
    self->active = false;
    cel__list_remove(&self->link);
    if (self->kind >= WATCH_IDLE) {
        if (rhythm_at(self->watches, self->watches->active.next) == NULL) {
            self->watches->worker->hooks.lull = NULL;
        }
    }
    else if (self->kind == WATCH_TIMER) {
        cel__timer_stop(self->watches->worker, &self->timer);
    }
    else {
        cel__loop_cancel(&self->watches->worker->loop, &self->op, -ECANCELED);
        self->stale = self->op.state != CEL__OP_IDLE;
        cel_signals_close(self->signals);
        self->signals = NULL;
    }
    /* Who calls may have nothing left to do. */
    rouse(self->watches);
}

static void
close_annex(struct cel__annex *annex)
{
    free((struct watches *)annex);
}

/* The loop waits again for what is waited for, in the child too. */
static void
forked(struct cel__annex *annex)
{
    (void)annex;
}

static struct watches *
find(const struct cel__worker *worker)
{
    return (struct watches *)cel__worker_find_annex(worker, close_annex);
}

/* The hook: the worker is about to sleep, or has slept. */
static bool
lull(struct cel__worker *worker, bool over)
{
    struct watches *watches = find(worker);
    bool slept = watches->dozes;

    watches->dozes = false;
    if (over) {
        watches->ready_to_sleep = UINT64_MAX;
        return slept && fire_all(watches, WATCH_CHECK);
    }
    /* Another's loop asks from the root, and has switched there. */
    uint64_t nswitch = worker->nswitch -
                       (worker->current->state == CEL__RUNNING);
    /* Where the caller is held up in a function, nobody can be called. */
    if (watches->sleeps && (fire_all(watches, WATCH_IDLE) ||
                            (watches->ready_to_sleep != nswitch &&
                             fire_all(watches, WATCH_PREPARE)))) {
        return true;
    }
    watches->dozes = true;
    return false;
}

/* Wait for what `self`, which is active, is there for.  Returns 0 or a
   negative errno. */
static int
arm(struct cel_watch *self)
{
    struct cel__worker *worker = self->watches->worker;

    if (self->kind >= WATCH_IDLE) {
        worker->hooks.lull = lull;
        return 0;
    }
    if (self->kind == WATCH_TIMER) {
        return cel__timer_start(worker, &self->timer, self->due);
    }
    self->refs++;
    int n = cel__loop_submit(&worker->loop, &self->op);
    if (n == 0) {
        return 0;
    }
    self->refs--;
    if (n < 0) {
        return n;
    }
    if (self->op.result < 0) {
        return (int)self->op.result;
    }
    fire(self, (int)self->op.result);
    return 0;
}

/* In the loop: the wait for readiness has ended. */
static void
is_ready(struct cel__op *op)
{
    struct cel_watch *self = cel__container(op, struct cel_watch, op);
    int what = (int)op->result;

    /* An earlier start's, which could not be taken back at once. */
    if (self->stale) {
        self->stale = false;
        what = self->active ? arm(self) : 0;
    }
    else if (self->active) {
        fire(self, what);
    }
    if (self->active && what < 0) {
        deactivate(self);
        fire(self, what);
    }
    unref(self);
}

/* In the loop: its time has come. */
static void
is_due(struct cel__timer *timer)
{
    struct cel_watch *self = cel__container(timer, struct cel_watch, timer);
    struct cel__worker *worker = self->watches->worker;
    cel_time now = worker->now;

    if (self->every == 0) {
        deactivate(self);
    }
    else {
        cel_time late = now > self->due ? now - self->due : 0;
        cel_time step = self->every * (late / self->every + 1);
        self->due = step < CEL_FOREVER - self->due ? self->due + step
                                                   : CEL_FOREVER;
        /* There is room: it was in the heap a moment ago. */
        int err = cel__timer_start(worker, timer, self->due);
        cel__assert(err == 0);
        (void)err;
    }
    fire(self, 0);
}

/* Take the first of those to be called out of their queue; NULL: none.  The
   head is written by name, so that the analyser sees that it is out. */
static struct cel_watch *
next_fired(struct watches *watches)
{
    struct cel__link *link = cel__list_first(&watches->fired);

    if (link == NULL) {
        return NULL;
    }
    watches->fired.next = link->next;
    link->next->prev = &watches->fired;
    cel__list_init(link);
    return cel__container(link, struct cel_watch, fired);
}

/* Make the call that is due of `self`, and wait for the next. */
static void
call(struct cel_watch *self)
{
    int what = self->what;

    if (self->kind == WATCH_SIGNAL && self->active && what >= 0) {
        what = cel__signals_take(self->signals);
    }
    self->refs++;
    /* A signal that was announced and has been taken already is none. */
    if (self->kind != WATCH_SIGNAL || what != 0) {
        self->fn(self, what, self->arg);
    }
    if (self->kind <= WATCH_SIGNAL && self->active &&
        self->op.state == CEL__OP_IDLE && cel__list_empty(&self->fired)) {
        int err = arm(self);
        if (err < 0) {
            deactivate(self);
            fire(self, err);
        }
    }
    unref(self);
}

/* Call until no watcher is left, or the run ends. */
static void
call_all(struct watches *watches)
{
    struct cel__worker *worker = watches->worker;

    while (!worker->current->cancelled) {
        struct cel_watch *fired = next_fired(watches);
        if (fired != NULL) {
            bool prepares = fired->kind == WATCH_PREPARE;
            call(fired);
            watches->ready_to_sleep = prepares ? worker->nswitch : UINT64_MAX;
            (void)cel__io_charge(worker, 0);
        }
        else if (cel__list_empty(&watches->active)) {
            break;
        }
        else {
            watches->sleeps = true;
            int code = cel__park(worker, CEL_FOREVER, "watchers");
            watches->sleeps = false;
            if (code < 0) {
                break;
            }
        }
    }
}

/* The coroutine that calls. */
static void
caller(void *arg)
{
    struct watches *watches = arg;
    struct cel__link *link;

    watches->caller = watches->worker->current;
    cel_set_name("watchers");
    call_all(watches);
    while ((link = cel__list_first(&watches->active)) != NULL) {
        cel_watch_stop(cel__container(link, struct cel_watch, link));
    }
    while ((link = cel__list_first(&watches->fired)) != NULL) {
        cel__list_remove(link);
    }
    while ((link = cel__list_first(&watches->joiners)) != NULL) {
        cel__wait_finish(cel__container(link, struct cel__wait, link), 0);
    }
    watches->caller = NULL;
    watches->has_caller = false;
}

/* Those of `worker`, made where they are not there yet, or NULL. */
static struct watches *
need_watches(struct cel__worker *worker)
{
    struct watches *watches = find(worker);

    if (watches != NULL) {
        return watches;
    }
    watches = cel__alloc_zeroed(1, sizeof(*watches));
    if (watches == NULL) {
        return NULL;
    }
    watches->annex.close = close_annex;
    watches->annex.forked = forked;
    watches->worker = worker;
    cel__list_init(&watches->active);
    cel__list_init(&watches->fired);
    cel__list_init(&watches->joiners);
    cel__worker_annex(worker, &watches->annex);
    return watches;
}

/* See that there is somebody who calls. */
static int
need_caller(struct watches *watches)
{
    int err = watches->has_caller ? 0 : cel_go(NULL, caller, watches);

    watches->has_caller = err == 0;
    return err;
}

/* A new watcher of `kind`; NULL, and `*err` is set, where there is none. */
static struct cel_watch *
make(enum kind kind, cel_watch_fn *fn, void *arg, int *err)
{
    struct cel__worker *worker = cel__worker();

    if (worker == NULL) {
        *err = -EPERM;
        return NULL;
    }
    struct watches *watches = need_watches(worker);
    struct cel_watch *self = watches == NULL
                                 ? NULL
                                 : cel__alloc_zeroed(1, sizeof(*self));
    if (self == NULL) {
        *err = -ENOMEM;
        return NULL;
    }
    self->kind = kind;
    self->refs = 1;
    self->watches = watches;
    cel__list_init(&self->link);
    cel__list_init(&self->fired);
    self->fn = fn;
    self->arg = arg;
    self->op.code = CEL__OP_POLL;
    self->op.events = CEL__READABLE;
    self->op.done = is_ready;
    cel__heap_node_init(&self->timer.node);
    self->timer.fire = is_due;
    *err = 0;
    return self;
}

int
cel_watch_fd(cel_watch **out, int fd, int events, cel_watch_fn *fn, void *arg)
{
    int err;
    struct cel_watch *self = make(WATCH_FD, fn, arg, &err);

    if (self != NULL) {
        self->op.fd = fd;
        self->op.events = (uint32_t)events;
        *out = self;
    }
    return err;
}

int
cel_watch_timer(cel_watch **out, int64_t after, int64_t every,
                cel_watch_fn *fn, void *arg)
{
    int err;

    if (after < 0 || every < 0) {
        return -EINVAL;
    }
    struct cel_watch *self = make(WATCH_TIMER, fn, arg, &err);
    if (self != NULL) {
        self->after = after;
        self->every = every;
        *out = self;
    }
    return err;
}

int
cel_watch_signal(cel_watch **out, int signal, cel_watch_fn *fn, void *arg)
{
    int err;
    struct cel_watch *self = make(WATCH_SIGNAL, fn, arg, &err);

    if (self != NULL) {
        self->signal = signal;
        *out = self;
    }
    return err;
}

static int
make_of_rhythm(cel_watch **out, enum kind kind, cel_watch_fn *fn, void *arg)
{
    int err;
    struct cel_watch *self = make(kind, fn, arg, &err);

    if (self != NULL) {
        *out = self;
    }
    return err;
}

int
cel_watch_idle(cel_watch **out, cel_watch_fn *fn, void *arg)
{
    return make_of_rhythm(out, WATCH_IDLE, fn, arg);
}

int
cel_watch_prepare(cel_watch **out, cel_watch_fn *fn, void *arg)
{
    return make_of_rhythm(out, WATCH_PREPARE, fn, arg);
}

int
cel_watch_check(cel_watch **out, cel_watch_fn *fn, void *arg)
{
    return make_of_rhythm(out, WATCH_CHECK, fn, arg);
}

int
cel_watch_start(cel_watch *watch)
{
    if (watch->active) {
        return 0;
    }
    int err = need_caller(watch->watches);
    if (err == 0 && watch->kind == WATCH_SIGNAL) {
        err = cel_signals_open(&watch->signals, &watch->signal, 1);
        if (err == 0) {
            watch->op.fd = cel__signals_fd(watch->signals);
        }
    }
    if (err < 0) {
        return err;
    }
    watch->due = cel_after(watch->after);
    watch->active = true;
    struct cel__link *active = &watch->watches->active;
    cel__list_append(watch->kind >= WATCH_IDLE ? active->next : active,
                     &watch->link);
    /* One whose last wait is still being taken back waits after that. */
    err = watch->op.state == CEL__OP_IDLE ? arm(watch) : 0;
    if (err < 0) {
        cel_watch_stop(watch);
    }
    return err;
}

void
cel_watch_stop(cel_watch *watch)
{
    cel__list_remove(&watch->fired);
    if (watch->active) {
        deactivate(watch);
    }
}

int
cel_watch_active(const cel_watch *watch)
{
    return watch->active;
}

void
cel_watch_close(cel_watch *watch)
{
    if (watch != NULL) {
        cel_watch_stop(watch);
        unref(watch);
    }
}

int
cel_watch_run(cel_time deadline)
{
    struct cel__worker *worker = cel__worker();
    struct cel__wait wait;

    if (worker == NULL) {
        return -EPERM;
    }
    struct watches *watches = find(worker);
    if (watches == NULL || !watches->has_caller) {
        return 0;
    }
    if (watches->caller == worker->current) {
        return -EDEADLK;
    }
    cel__wait_init(&wait, worker->current);
    cel__list_append(&watches->joiners, &wait.link);
    while (!wait.done) {
        int code = cel__park(worker, deadline, "watch_run");
        if (code < 0 && !wait.done) {
            cel__list_remove(&wait.link);
            return code;
        }
    }
    return 0;
}
