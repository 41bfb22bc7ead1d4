/* SPDX-License-Identifier: MIT */
/*
 * The hub: waiting, waking from Python, and the greenlet that runs callbacks.
 *
 * The hub greenlet is parked nearly always.  When the turn of a hub_call
 * comes in the run queue, its callback puts it in hub->due and names the hub
 * greenlet as who must run next; that runs what is due and parks again.
 *
 * The GIL is held while anything is ready and let go around a poll that may
 * sleep.  A poll ended by a signal queues a call that runs Python's handlers;
 * Python's own wake-up descriptor is ours, so that a signal that comes just
 * before the sleep ends it too.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_hub.py
 */
#include "ext/hub.h"

#include <errno.h>
#include <math.h>

#include "base/clock.h"
#include "base/fork.h"
#include "ext/compat.h"
#include "ext/fpenv.h"
#include "ext/greenlet.h"
#include "ext/hubtype.h"
#include "sched/io.h"

/* The name under which a thread's state keeps what ends its hub. */
#define KEEPER "celadon._core.hub"

/* The hubs of the process's threads. */
static struct cel__link hubs = {&hubs, &hubs};

static void
before_sleep(struct cel__worker *worker)
{
    struct hub *hub = worker->embedder;

    PyThreadState *ts = PyEval_SaveThread();
    cel__assert(ts == hub->ts);
    (void)ts;
    (void)hub;
}

static void
after_sleep(struct cel__worker *worker)
{
    struct hub *hub = worker->embedder;

    PyEval_RestoreThread(hub->ts);
}

static void
signalled(struct cel__worker *worker)
{
    struct hub *hub = worker->embedder;

    hub_call_queue(&hub->signals);
}

/* Run the handlers of the signals that have come. */
static void
run_signals(struct hub_call *call)
{
    (void)call;
    (void)PyErr_CheckSignals();
}

/*
 * Nothing is ready and nothing can become so.  Where other threads run Python
 * they may still wake somebody; else the main greenlet gets LoopExit.
 */
static struct cel__coro *
stuck(struct cel__worker *worker)
{
    struct hub *hub = worker->embedder;
    PyThreadState *first = PyInterpreterState_ThreadHead(hub->ts->interp);
    struct cel__coro *root = &worker->root;

    if (PyThreadState_Next(first) != NULL || hub->finished ||
        root->state != CEL__PARKED || root->firm) {
        return NULL;
    }
    root->code = -EDEADLK;
    return root;
}

/* The turn of a call has come. */
static struct cel__coro *
call_is_due(struct cel__callback *callback)
{
    struct hub_call *call = cel__container(callback, struct hub_call,
                                           callback);

    cel__list_append(&call->hub->due, &call->link);
    return glet_coro(call->hub->glet);
}

int
hub_call_init(struct hub *hub, struct hub_call *call,
              void (*fn)(struct hub_call *call))
{
    call->hub = hub;
    call->fn = fn;
    cel__list_init(&call->link);
    if (cel__callback_init(hub->worker, &call->callback, call_is_due) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

void
hub_call_fini(struct hub_call *call)
{
    cel__list_remove(&call->link);
    cel__callback_fini(call->hub->worker, &call->callback);
}

void
hub_call_queue(struct hub_call *call)
{
    if (cel__list_empty(&call->link)) {
        cel__callback_queue(call->hub->worker, &call->callback);
    }
}

/* What runs in the hub greenlet. */
static PyObject *
hub_main(struct glet *me)
{
    struct hub *hub = me->hub;

    while (!hub->finished) {
        struct cel__link *link = cel__list_first(&hub->due);
        if (link != NULL) {
            struct hub_call *call = cel__container(link, struct hub_call,
                                                   link);
            cel__list_remove(link);
            call->fn(call);
            if (PyErr_Occurred()) {
                hub_report(hub, NULL);
            }
            continue;
        }
        struct fpenv env;
        fpenv_save(&env);
        pystate_save(hub->ts, &me->ps);
        int code = cel__park(hub->worker, CEL_FOREVER, "hub");
        pystate_load(hub->ts, &me->ps, &me->coro.stack);
        fpenv_load(&env);
        if (code == CEL__RESUMED) {
            /* Somebody switched here by hand; what they handed over has no
               taker, an exception is reported. */
            Py_CLEAR(me->value);
            PyObject *exc = me->exc;
            me->exc = NULL;
            Py_DECREF(me->self);
            if (exc != NULL) {
                celext_raise(exc);
                hub_report(hub, NULL);
            }
        }
        hub_tidy(hub);
        PyObject *exc = glet_take_pending(me);
        if (exc != NULL) {
            celext_raise(exc);
            hub_report(hub, NULL);
        }
    }
    return Py_NewRef(Py_None);
}

/* ---- making and ending a hub */

static PyGreenlet *
new_greenlet(PyTypeObject *type, PyGreenlet *parent)
{
    PyGreenlet *self = (PyGreenlet *)type->tp_alloc(type, 0);

    if (self != NULL && glet_new(self, parent) == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return self;
}

/* The two greenlets every hub has. */
static int
make_greenlets(struct hub *hub)
{
    PyGreenlet *main = new_greenlet(hub->state->greenlet_type, NULL);
    if (main == NULL) {
        return -1;
    }
    hub->main = main->glet;
    hub->main->is_main = true;
    hub->main->hub = hub;
    hub->main->state = GLET_ACTIVE;
    PyObject *object = hubtype_new(hub, main);
    if (object == NULL) {
        Py_CLEAR(hub->main->self);
        return -1;
    }
    hub->glet = ((PyGreenlet *)object)->glet;
    hub->glet->is_hub = true;
    hub->glet->main = hub_main;
    return greenlet_hold(hub, (PyGreenlet *)object);
}

/* Kill what is suspended in the thread, so that it can clean up. */
static void
kill_all(struct hub *hub)
{
    struct cel__link *all = &hub->worker->all;
    size_t left = hub->worker->nalive;

    for (struct cel__link *link = all->next; link != all && left > 0; left--) {
        struct cel__coro *coro = cel__container(link, struct cel__coro, all);
        link = link->next;
        struct glet *glet = (struct glet *)coro;
        if (coro == &hub->worker->root || glet->is_hub || glet->self == NULL) {
            continue;
        }
        PyGreenlet *self = (PyGreenlet *)Py_NewRef((PyObject *)glet->self);
        PyErr_SetNone(hub->state->greenlet_exit);
        Py_XDECREF((PyObject *)glet->parent);
        glet->parent = (PyGreenlet *)Py_NewRef((PyObject *)hub->main->self);
        PyObject *result = greenlet_switch(hub, self, NULL, NULL);
        if (result == NULL) {
            PyErr_WriteUnraisable((PyObject *)self);
        }
        Py_XDECREF(result);
        Py_DECREF(self);
        link = all->next; /* anything may have changed */
    }
}

/* The thread's state is being cleared: its hub ends.  Memory stays as long as
   greenlets refer to it. */
static void
hub_end(PyObject *capsule)
{
    struct hub *hub = PyCapsule_GetPointer(capsule, KEEPER);

    if (hub == NULL || celext_finalizing() || hub->worker != cel__worker()) {
        return;
    }
    kill_all(hub);
    hub->finished = true;
    cel__list_remove(&hub->all);
}

/* Let the thread's state end the hub with it. */
static int
keep(struct hub *hub)
{
    PyObject *dict = PyThreadState_GetDict();
    PyObject *capsule = PyCapsule_New(hub, KEEPER, hub_end);
    int err = -1;

    if (capsule != NULL && dict != NULL) {
        err = PyDict_SetItemString(dict, KEEPER, capsule);
    }
    Py_XDECREF(capsule);
    return err;
}

/* Bytes of C stack: CELADON_STACK_SIZE (KiB) of the environment or ours. */
static size_t
stack_size(void)
{
    const char *text = Py_GETENV("CELADON_STACK_SIZE");
    long kib = text == NULL ? 0 : strtol(text, NULL, 10);

    return kib >= 64 && kib <= 1024 * 1024 ? (size_t)kib * 1024
                                           : PYSTATE_STACK;
}

struct hub *
hub_make(struct celext_state *state)
{
    struct hub *hub = PyMem_Calloc(1, sizeof(*hub));
    if (hub == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    struct cel__worker_options options = {
        .stack_size = stack_size(),
        .stack_tail = PYSTATE_TAIL,
        .hooks = {.before_sleep = before_sleep,
                  .after_sleep = after_sleep,
                  .signalled = signalled,
                  .stuck = stuck},
        .embedder = hub,
    };
    hub->ts = PyThreadState_Get();
    hub->state = state;
    cel__list_init(&hub->all);
    cel__list_init(&hub->dead);
    cel__list_init(&hub->due);
    int err = cel__worker_open(&hub->worker, &options);
    if (err < 0) {
        PyMem_Free(hub);
        celext_oserror(err);
        return NULL;
    }
    if (make_greenlets(hub) < 0 ||
        hub_call_init(hub, &hub->signals, run_signals) < 0 || keep(hub) < 0) {
        cel__worker_close(hub->worker);
        PyMem_Free(hub);
        return NULL;
    }
    cel__list_append(&hubs, &hub->all);
    return hub;
}

struct hub *
hub_next(const struct hub *hub)
{
    const struct cel__link *link = hub == NULL ? &hubs : &hub->all;

    while ((link = link->next) != &hubs) {
        struct hub *next = cel__container(link, struct hub, all);
        if (next->worker == cel__worker() ||
            next->worker->forks == cel__fork_count()) {
            return next;
        }
    }
    return NULL;
}

/* ---- waiting */

/* A wait ended because somebody switched to the waiter by hand. */
static int
switched_into_wait(struct hub *hub, struct glet *me, const char *what)
{
    PyObject *exc = me->exc;
    PyObject *value = me->value;

    me->exc = NULL;
    me->value = NULL;
    Py_DECREF(me->self); /* the switch took one, the wait has its own */
    hub_tidy(hub);
    if (exc != NULL) {
        Py_XDECREF(value);
        celext_raise(exc);
        return -1;
    }
    PyErr_Format(hub->state->switch_error,
                 "Invalid switch into %s: got %R (a switch to a greenlet "
                 "that waits for something else)",
                 what, value == NULL ? Py_None : value);
    Py_XDECREF(value);
    return -1;
}

/* The wait would never end, or the waiter must not wait. */
static int
refuse(struct hub *hub, struct glet *me, int code)
{
    if (me->is_hub) {
        PyErr_SetString(hub->state->blocked_error,
                        "Impossible to call blocking function in the event "
                        "loop callback");
    }
    else if (code == -EDEADLK) {
        PyObject *hub_object = (PyObject *)hub->glet->self;
        PyObject *args = Py_BuildValue("(sOO)",
                                       "This operation would block forever",
                                       hub_object, Py_None);
        if (args != NULL) {
            PyErr_SetObject(hub->state->loop_exit, args);
            Py_DECREF(args);
        }
    }
    else {
        celext_oserror(code);
    }
    return -1;
}

static int
raise_pending(struct glet *me)
{
    PyObject *exc = glet_take_pending(me);

    if (cel__likely(exc == NULL)) {
        return 0;
    }
    celext_raise(exc);
    return -1;
}

/* The end of every wait: what its code means. */
static inline int
end_wait(struct hub *hub, struct glet *me, int code, const char *what)
{
    if (cel__unlikely(code == CEL__RESUMED)) {
        return switched_into_wait(hub, me, what);
    }
    hub_tidy(hub);
    if (raise_pending(me) < 0) {
        return -1;
    }
    if (cel__likely(code == 0)) {
        return 0;
    }
    return code == -ETIMEDOUT ? 1 : refuse(hub, me, code);
}

int
hub_park(struct hub *hub, cel_time deadline, const char *what)
{
    struct glet *me = hub_current(hub);
    struct fpenv env;

    if (cel__unlikely(me->is_hub)) {
        return refuse(hub, me, 0);
    }
    if (raise_pending(me) < 0) {
        return -1;
    }
    fpenv_save(&env);
    pystate_save(hub->ts, &me->ps);
    int code = cel__park(hub->worker, deadline, what);
    pystate_load(hub->ts, &me->ps, &glet_coro(me)->stack);
    fpenv_load(&env);
    return end_wait(hub, me, code, what);
}

int
hub_yield(struct hub *hub)
{
    struct glet *me = hub_current(hub);
    struct fpenv env;

    if (cel__unlikely(me->is_hub)) {
        return refuse(hub, me, 0);
    }
    if (raise_pending(me) < 0) {
        return -1;
    }
    fpenv_save(&env);
    pystate_save(hub->ts, &me->ps);
    int code = cel__yield(hub->worker);
    pystate_load(hub->ts, &me->ps, &glet_coro(me)->stack);
    fpenv_load(&env);
    return end_wait(hub, me, code, "sleep");
}

int
hub_wait(struct hub *hub, struct cel__wait *wait, cel_time deadline,
         const char *what)
{
    while (!wait->done) {
        int ended = hub_park(hub, deadline, what);
        if (ended < 0) {
            cel__list_remove(&wait->link);
            return -1;
        }
        if (ended > 0 && !wait->done) {
            cel__list_remove(&wait->link);
            return 0;
        }
    }
    return 1;
}

int
hub_sleep(struct hub *hub, cel_time deadline)
{
    for (;;) {
        int ended = hub_park(hub, deadline, "sleep");
        if (ended != 0) {
            return ended < 0 ? -1 : 0;
        }
    }
}

PyObject *
hub_switch_out(struct hub *hub)
{
    struct glet *me = hub_current(hub);
    struct fpenv env;

    if (me->is_hub) {
        (void)refuse(hub, me, 0);
        return NULL;
    }
    for (;;) {
        if (raise_pending(me) < 0) {
            return NULL;
        }
        fpenv_save(&env);
        pystate_save(hub->ts, &me->ps);
        int code = cel__park(hub->worker, CEL_FOREVER, "switch");
        pystate_load(hub->ts, &me->ps, &glet_coro(me)->stack);
        fpenv_load(&env);
        if (code == CEL__RESUMED && me->exc == NULL) {
            PyObject *value = me->value;
            me->value = NULL;
            Py_DECREF(me->self);
            hub_tidy(hub);
            return value == NULL ? Py_NewRef(hub->state->empty_tuple) : value;
        }
        if (end_wait(hub, me, code, "switch") < 0) {
            return NULL;
        }
    }
}

/* ---- operations */

/* An operation a greenlet waits for has ended; runs no Python. */
static void
op_done(struct cel__op *op)
{
    cel__wake(op->waiter);
}

/*
 * The wait for `op` was ended by the exception that is set, but the operation
 * had its effect first: that is what the caller gets, and the exception at its
 * next wait.  Returns whether it is so.
 */
static bool
effect_came_first(struct hub *hub, const struct cel__op *op)
{
    if (op->code == CEL__OP_POLL || op->result < 0) {
        return false;
    }
    struct glet *me = hub_current(hub);
    struct glet_pending *node = PyMem_RawMalloc(sizeof(*node));
    if (node == NULL) {
        return false;
    }
    node->exc = celext_take_raised();
    node->next = me->pending;
    me->pending = node;
    return true;
}

bool
hub_await(struct hub *hub, struct cel__op *op, cel_time deadline,
          const char *what, int64_t *result)
{
    struct cel__loop *loop = &hub->worker->loop;

    if (hub_spend(hub) < 0) {
        return false;
    }
    op->done = op_done;
    op->waiter = hub->worker->current;
    cel__list_init(&op->link);
    int taken = cel__loop_submit(loop, op);
    if (taken != 0) {
        *result = taken < 0 ? taken : op->result;
        return true;
    }
    while (op->state != CEL__OP_IDLE) {
        int ended = hub_park(hub, deadline, what);
        if (ended == 0) {
            continue;
        }
        if (op->state != CEL__OP_IDLE) {
            cel__loop_cancel(loop, op, -ETIMEDOUT);
            while (op->state != CEL__OP_IDLE) {
                cel__park_firmly(hub->worker, what);
            }
        }
        if (ended < 0 && !effect_came_first(hub, op)) {
            return false;
        }
    }
    *result = op->result;
    return true;
}

bool
hub_await_fd(struct hub *hub, int fd, uint32_t events, cel_time deadline,
             const char *what, int64_t *result)
{
    struct cel__op op = {.code = CEL__OP_POLL, .fd = fd, .events = events};

    return hub_await(hub, &op, deadline, what, result);
}

/* ---- exceptions for later */

int
hub_throw_later(struct glet *glet, PyObject *exc)
{
    struct glet_pending *node = PyMem_RawMalloc(sizeof(*node));
    struct glet_pending **last = &glet->pending;

    if (node == NULL) {
        return -1;
    }
    node->next = NULL;
    node->exc = Py_NewRef(exc);
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = node;
    if (glet->hub != NULL) {
        cel__wake(glet_coro(glet));
    }
    return 0;
}

void
hub_throw_cancel(struct glet *glet, PyObject *exc)
{
    struct glet_pending **link = &glet->pending;

    while (*link != NULL) {
        struct glet_pending *node = *link;
        if (node->exc == exc) {
            *link = node->next;
            PyMem_RawFree(node);
            Py_DECREF(exc);
            return;
        }
        link = &node->next;
    }
}

/* ---- errors and times */

int
celext_deadline(PyObject *timeout, cel_time *deadline)
{
    if (timeout == NULL || timeout == Py_None) {
        *deadline = CEL_FOREVER;
        return 0;
    }
    double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    if (isnan(seconds)) {
        PyErr_SetString(PyExc_ValueError,
                        "a timeout must be a number, not nan");
        return -1;
    }
    if (seconds <= 0) {
        *deadline = CEL_AT_ONCE;
    }
    else if (seconds >= 9e9) {
        *deadline = CEL_FOREVER;
    }
    else {
        *deadline = cel_after((int64_t)(seconds * 1e9));
    }
    return 0;
}

PyObject *
celext_oserror(int64_t code)
{
    errno = (int)-code;
    return PyErr_SetFromErrno(PyExc_OSError);
}
