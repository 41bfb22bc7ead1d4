/* SPDX-License-Identifier: MIT */
/*
 * Waiting: parks, operations, exceptions for who waits.
 *
 * Whoever waits puts its thread state's fields away, parks in the engine, and
 * takes them back when it runs again; then, before anything else, it drops
 * what others left and raises what was thrown at it.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_hub.py
 */
#include "ext/hub.h"

#include <errno.h>
#include <math.h>

#include "base/clock.h"
#include "ext/compat.h"
#include "ext/farewell.h"
#include "ext/fpenv.h"
#include "ext/greenlet.h"
#include "ext/pystate_loop.h"
#include "ext/timeout.h"
#include "sched/io.h"

/* An exception on its way to a greenlet of another thread, which it keeps. */
struct parcel {
    struct cel__message message; /* first */
    struct glet_pending *node;   /* with the exception; its own once there */
    PyGreenlet *to;              /* owned */
    struct parcel *next;         /* in hub->spent */
};

static void
drop_spent(struct hub *hub)
{
    while (hub->spent != NULL) {
        struct parcel *parcel = hub->spent;
        hub->spent = parcel->next;
        Py_DECREF((PyObject *)parcel->to);
        PyMem_RawFree(parcel);
    }
}

/* Whether there is something yet; then there is not any more. */
static inline bool
take_litter(struct hub *hub)
{
    if (!atomic_load_explicit(&hub->untidy, memory_order_relaxed)) {
        return false;
    }
    if (!CELEXT_FREE_THREADED) {
        /* Nobody else runs; an exchange costs as much as half a switch. */
        atomic_store_explicit(&hub->untidy, false, memory_order_relaxed);
        return true;
    }
    /* Acquire: pairs with the release in hub_litter(). */
    return atomic_exchange_explicit(&hub->untidy, false, memory_order_acquire);
}

void
hub_tidy_up(struct hub *hub)
{
    while (take_litter(hub)) {
        struct cel__link *link;
        while ((link = cel__list_first(&hub->dead)) != NULL) {
            glet_bury(cel__container(link, struct glet, link));
        }
        timeout_drop_fired(hub);
        drop_spent(hub);
        farewell_doomed(hub);
    }
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

void
hub_raise_stuck(struct hub *hub)
{
    PyObject *args = Py_BuildValue("(sOO)",
                                   "This operation would block forever",
                                   hub->glet->self, Py_None);

    if (args != NULL) {
        PyErr_SetObject(hub->state->loop_exit, args);
        Py_DECREF(args);
    }
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
        hub_raise_stuck(hub);
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
    struct pystate_loop loop;
    struct fpenv env;

    cel__assert(!PyErr_Occurred());
    if (cel__unlikely(me->is_hub)) {
        return refuse(hub, me, 0);
    }
    if (raise_pending(me) < 0) {
        return -1;
    }
    pystate_loop_leave(hub->ts, &loop);
    fpenv_save(&env);
    pystate_save(hub->ts, &me->ps);
    int code = cel__park(hub->worker, deadline, what);
    pystate_load(hub->ts, &me->ps, &glet_coro(me)->stack);
    fpenv_load(&env);
    pystate_loop_enter(hub->ts, &loop);
    return end_wait(hub, me, code, what);
}

/* Park until woken; an exception that is set is kept. */
static void
park_firmly(struct hub *hub, const char *what)
{
    struct glet *me = hub_current(hub);
    PyObject *raised = celext_take_raised();
    struct pystate_loop loop;
    struct fpenv env;

    pystate_loop_leave(hub->ts, &loop);
    fpenv_save(&env);
    pystate_save(hub->ts, &me->ps);
    cel__park_firmly(hub->worker, what);
    pystate_load(hub->ts, &me->ps, &glet_coro(me)->stack);
    fpenv_load(&env);
    pystate_loop_enter(hub->ts, &loop);
    hub_tidy(hub);
    if (raised != NULL) {
        celext_raise(raised);
    }
}

int
hub_yield(struct hub *hub)
{
    struct glet *me = hub_current(hub);
    struct pystate_loop loop;
    struct fpenv env;

    if (cel__unlikely(me->is_hub)) {
        return refuse(hub, me, 0);
    }
    if (raise_pending(me) < 0) {
        return -1;
    }
    pystate_loop_leave(hub->ts, &loop);
    fpenv_save(&env);
    pystate_save(hub->ts, &me->ps);
    int code = cel__yield(hub->worker);
    pystate_load(hub->ts, &me->ps, &glet_coro(me)->stack);
    fpenv_load(&env);
    pystate_loop_enter(hub->ts, &loop);
    return end_wait(hub, me, code, "sleep");
}

int
hub_give_way(struct hub *hub)
{
    return hub_current(hub)->is_hub ? 0 : hub_yield(hub);
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
    struct pystate_loop loop;
    struct fpenv env;

    if (me->is_hub) {
        (void)refuse(hub, me, 0);
        return NULL;
    }
    for (;;) {
        if (raise_pending(me) < 0) {
            return NULL;
        }
        pystate_loop_leave(hub->ts, &loop);
        fpenv_save(&env);
        pystate_save(hub->ts, &me->ps);
        int code = cel__park(hub->worker, CEL_FOREVER, "switch");
        pystate_load(hub->ts, &me->ps, &glet_coro(me)->stack);
        fpenv_load(&env);
        pystate_loop_enter(hub->ts, &loop);
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
    struct cel__coro *waiter = op->waiter;

    if (op->urgent && waiter->worker == cel__worker()) {
        cel__wake_first(waiter);
    }
    else {
        cel__wake(waiter);
    }
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
                park_firmly(hub, what);
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

/* Let `glet` raise what `node` has, at its next wait. */
static void
add_pending(struct glet *glet, struct glet_pending *node)
{
    struct glet_pending **last = &glet->pending;

    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = node;
    if (glet->hub != NULL && !glet->hub->finished) {
        cel__wake(glet_coro(glet));
    }
}

/* In the thread of whom it is for; runs no Python. */
static void
parcel_arrived(struct cel__message *message)
{
    struct parcel *parcel = (struct parcel *)(void *)message;
    struct hub *hub = cel__worker()->embedder;

    add_pending(parcel->to->glet, parcel->node);
    parcel->next = hub->spent;
    hub->spent = parcel;
    hub_litter(hub);
    hub_call_queue(&hub->chores);
}

/* Send `node` to `glet`, which belongs to the thread of `hub`; lost where
   that has ended.  Returns 0, or -1 where memory is short. */
static int
send_pending(struct hub *hub, struct glet *glet, struct glet_pending *node)
{
    struct parcel *parcel = PyMem_RawMalloc(sizeof(*parcel));

    if (parcel == NULL) {
        return -1;
    }
    parcel->message.fn = parcel_arrived;
    parcel->node = node;
    parcel->to = (PyGreenlet *)Py_NewRef((PyObject *)glet->self);
    if (!hub_post(hub, &parcel->message)) {
        Py_DECREF((PyObject *)parcel->to);
        PyMem_RawFree(parcel);
        Py_DECREF(node->exc);
        PyMem_RawFree(node);
    }
    return 0;
}

int
hub_throw_later(struct glet *glet, PyObject *exc)
{
    struct glet_pending *node = PyMem_RawMalloc(sizeof(*node));
    struct hub *hub = glet->hub;

    if (node == NULL) {
        return -1;
    }
    node->next = NULL;
    node->exc = Py_NewRef(exc);
    if (cel__likely(hub == NULL || hub_is_ours(hub))) {
        add_pending(glet, node);
        return 0;
    }
    int err = send_pending(hub, glet, node);
    if (err < 0) {
        Py_DECREF(node->exc);
        PyMem_RawFree(node);
    }
    return err;
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
