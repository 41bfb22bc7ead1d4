/* SPDX-License-Identifier: MIT */
/*
 * The life of a greenlet: start, switch, end.
 *
 * A switch by hand: put the value in the target's glet, take a reference to
 * the target ("the running one"), leave ours in hub->leaving, save the thread
 * state's fields, let the engine switch, load them when we run again, and drop
 * what others left.  No memory is allocated between the check of the target
 * and the switch, so nothing can change it in between.
 *
 * An end: the result goes to the nearest parent that has not finished; where
 * that is the hub, to nobody.
 *
 * Threads: with the GIL, the hub's thread.
 *
 * Tests: tests/python/test_greenlet.py
 */
#include "ext/greenlet.h"

#include "ext/compat.h"
#include "ext/fpenv.h"
#include "ext/hub.h"
#include "ext/local.h"
#include "ext/timeout.h"

struct glet *
glet_new(PyGreenlet *self, PyGreenlet *parent)
{
    struct glet *glet = PyMem_Calloc(1, sizeof(*glet));

    if (glet == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    glet->self = self;
    glet->parent = (PyGreenlet *)Py_XNewRef((PyObject *)parent);
    cel__list_init(&glet->dead);
    self->glet = glet;
    return glet;
}

static void
drop_pending(struct glet *glet)
{
    PyObject *exc;

    while ((exc = glet_take_pending(glet)) != NULL) {
        Py_DECREF(exc);
    }
}

void
glet_clear(struct glet *glet)
{
    Py_CLEAR(glet->run);
    Py_CLEAR(glet->value);
    Py_CLEAR(glet->kwargs);
    Py_CLEAR(glet->exc);
    Py_CLEAR(glet->context);
    drop_pending(glet);
    local_forget(glet);
}

static void
glet_free(struct glet *glet)
{
    glet_clear(glet);
    PyGreenlet *parent = glet->parent;
    PyMem_Free(glet);
    Py_XDECREF(parent);
}

void
glet_forget(struct glet *glet)
{
    glet->self = NULL;
    if (!glet->held) {
        glet_free(glet);
    }
}

PyObject *
glet_take_pending(struct glet *glet)
{
    struct glet_pending *first = glet->pending;

    if (cel__likely(first == NULL)) {
        return NULL;
    }
    PyObject *exc = first->exc;
    glet->pending = first->next;
    PyMem_RawFree(first);
    return exc;
}

/* The stack of a finished greenlet is gone: give up the running reference. */
static void
bury(struct glet *glet)
{
    cel__list_remove(&glet->dead);
    glet->held = false;
    if (glet->self == NULL) {
        glet_free(glet);
    }
    else {
        Py_DECREF(glet->self);
    }
}

void
hub_tidy_up(struct hub *hub)
{
    PyObject *leaving = hub->leaving;

    if (leaving != NULL) {
        hub->leaving = NULL;
        Py_DECREF(leaving);
    }
    while (hub->untidy) {
        hub->untidy = false;
        struct cel__link *link;
        while ((link = cel__list_first(&hub->dead)) != NULL) {
            bury(cel__container(link, struct glet, dead));
        }
        timeout_drop_fired(hub);
    }
}

/* The engine has no use for the stack any more; runs no Python. */
static void
glet_release(struct cel__coro *coro)
{
    struct glet *glet = (struct glet *)coro;

    cel__list_append(&glet->hub->dead, &glet->dead);
    glet->hub->untidy = true;
}

/* Call the trace function for a switch from `origin` to the current greenlet.
   An exception handed over is in `*exc` and may be replaced. */
static void
trace_switch(struct hub *hub, PyObject *origin, PyObject **exc)
{
    PyObject *func = Py_NewRef(hub->tracefunc);
    PyObject *target = (PyObject *)hub_current(hub)->self;

    PyThreadState_EnterTracing(hub->ts);
    PyObject *result = PyObject_CallFunction(
        func, "s(OO)", *exc == NULL ? "switch" : "throw", origin, target);
    PyThreadState_LeaveTracing(hub->ts);
    Py_DECREF(func);
    if (result == NULL) {
        /* A broken trace function is removed, its error raised here. */
        Py_CLEAR(hub->tracefunc);
        Py_XSETREF(*exc, celext_take_raised());
        return;
    }
    Py_DECREF(result);
}

/* What the switch that resumed `me` handed over, new, or NULL with it set. */
static PyObject *
take_delivery(struct hub *hub, struct glet *me)
{
    PyObject *exc = me->exc;
    PyObject *value = me->value;

    me->exc = NULL;
    me->value = NULL;
    if (cel__unlikely(hub->tracefunc != NULL) && hub->leaving != NULL) {
        PyObject *origin = Py_NewRef(hub->leaving);
        trace_switch(hub, origin, &exc);
        Py_DECREF(origin);
    }
    hub_tidy(hub);
    if (cel__unlikely(exc != NULL)) {
        Py_XDECREF(value);
        celext_raise(exc);
        return NULL;
    }
    return value;
}

/* `me` was resumed, but not by a switch: somebody wants it to raise. */
static PyObject *
woken_by_hand(struct hub *hub, struct glet *me, int code)
{
    hub_tidy(hub);
    PyObject *exc = glet_take_pending(me);
    if (exc != NULL) {
        celext_raise(exc);
        return NULL;
    }
    if (code == -EDEADLK) {
        PyErr_SetString(hub->state->loop_exit,
                        "This operation would block forever");
        return NULL;
    }
    return Py_NewRef(hub->state->empty_tuple);
}

PyObject *
glet_jump(struct hub *hub, struct glet *to, PyObject *value, PyObject *exc)
{
    struct glet *me = hub_current(hub);
    struct fpenv env;

    cel__assert(to->state == GLET_ACTIVE || to->held);
    to->value = value;
    to->exc = exc;
    Py_INCREF(to->self);
    cel__assert(hub->leaving == NULL);
    hub->leaving = (PyObject *)me->self;
    fpenv_save(&env);
    pystate_save(hub->ts, &me->ps);
    int code = cel__resume(hub->worker, glet_coro(to));
    pystate_load(hub->ts, &me->ps, &glet_coro(me)->stack);
    fpenv_load(&env);
    if (cel__likely(code == CEL__RESUMED)) {
        return take_delivery(hub, me);
    }
    if (!me->lent) {
        Py_INCREF(me->self); /* nobody has taken the running reference */
    }
    me->lent = false;
    return woken_by_hand(hub, me, code);
}

/* The arguments of a switch, as the value of the switch that they end:
   stolen, returned new. */
static PyObject *
pack(PyObject *args, PyObject *kwargs)
{
    if (kwargs == NULL || PyDict_GET_SIZE(kwargs) == 0) {
        Py_XDECREF(kwargs);
        if (PyTuple_GET_SIZE(args) == 1) {
            PyObject *only = Py_NewRef(PyTuple_GET_ITEM(args, 0));
            Py_DECREF(args);
            return only;
        }
        return args;
    }
    if (PyTuple_GET_SIZE(args) == 0) {
        Py_DECREF(args);
        return kwargs;
    }
    PyObject *both = PyTuple_Pack(2, args, kwargs);
    Py_DECREF(args);
    Py_DECREF(kwargs);
    return both;
}

static struct cel__coro *finish(struct hub *hub, struct glet *me,
                                PyObject *result);

/* What runs on a greenlet's stack. */
static struct cel__coro *
glet_entry(struct cel__coro *coro)
{
    struct glet *me = (struct glet *)coro;
    struct hub *hub = me->hub;
    PyObject *context = me->context;

    me->context = NULL;
    pystate_begin(hub->ts, &me->ps, &coro->stack, context);
    me->state = GLET_ACTIVE;
    if (me->scheduled) {
        me->scheduled = false;
        if (coro->code == CEL__RESUMED) {
            Py_DECREF(me->self); /* the queue's; the switch took another */
        }
    }
    PyObject *exc = me->exc;
    me->exc = NULL;
    if (cel__unlikely(hub->tracefunc != NULL) && hub->leaving != NULL) {
        PyObject *origin = Py_NewRef(hub->leaving);
        trace_switch(hub, origin, &exc);
        Py_DECREF(origin);
    }
    hub_tidy(hub);
    if (exc == NULL) {
        exc = glet_take_pending(me);
    }
    PyObject *result = NULL;
    if (cel__unlikely(exc != NULL)) {
        celext_raise(exc);
    }
    if (me->main != NULL) {
        result = me->main(me);
    }
    else if (exc == NULL) {
        PyObject *run = me->run;
        PyObject *args = me->value;
        PyObject *kwargs = me->kwargs;
        me->run = NULL;
        me->value = NULL;
        me->kwargs = NULL;
        result = PyObject_Call(run, args, kwargs);
        Py_DECREF(run);
        Py_DECREF(args);
        Py_XDECREF(kwargs);
    }
    return finish(hub, me, result);
}

/* GreenletExit ends a greenlet as if it had returned it: `*exc` becomes the
   result. */
static PyObject *
exit_as_result(struct hub *hub, PyObject **exc)
{
    if (*exc == NULL ||
        !PyErr_GivenExceptionMatches(*exc, hub->state->greenlet_exit)) {
        return NULL;
    }
    PyObject *result = *exc;
    *exc = NULL;
    return result;
}

/*
 * Make an unstarted greenlet ready to be switched to for the first time:
 * looks up its `run`, which may run Python code and even start it.
 * Returns 0, or -1 with an exception.
 */
static int
prepare(struct hub *hub, struct glet *glet)
{
    if (glet->main == NULL && !glet->scheduled) {
        PyObject *run = PyObject_GetAttr((PyObject *)glet->self,
                                         hub->state->str_run);
        if (run == NULL) {
            return -1;
        }
        if (glet->state != GLET_UNSTARTED || glet->held) {
            Py_DECREF(run);
            return 0;
        }
        Py_XSETREF(glet->run, run);
    }
    if (!glet->held) {
        glet->hub = hub;
        int err = cel__coro_init(&glet->coro, hub->worker, glet_entry,
                                 glet_release);
        if (err < 0) {
            glet->hub = NULL;
            PyErr_NoMemory();
            return -1;
        }
        glet->held = true;
    }
    return 0;
}

int
greenlet_hold(struct hub *hub, PyGreenlet *greenlet)
{
    struct glet *glet = greenlet->glet;

    if (prepare(hub, glet) < 0) {
        return -1;
    }
    glet->scheduled = true;
    Py_INCREF((PyObject *)greenlet);
    return 0;
}

int
greenlet_schedule(struct hub *hub, PyGreenlet *greenlet)
{
    if (greenlet_hold(hub, greenlet) < 0) {
        return -1;
    }
    cel__coro_start(&greenlet->glet->coro);
    return 0;
}

/* Whether `glet` may be switched to from `hub`; else -1 with an exception. */
static int
check_thread(struct hub *hub, struct glet *glet)
{
    if (glet->hub == NULL || glet->hub == hub) {
        return 0;
    }
    if (glet->hub->finished) {
        PyErr_SetString(hub->state->error,
                        "cannot switch to a different thread (which happens "
                        "to have exited)");
    }
    else {
        PyErr_Format(hub->state->error,
                     "Cannot switch to a different thread\n\tCurrent:  %R\n\t"
                     "Expected: %R",
                     hub_current(hub)->self, glet->hub->main->self);
    }
    return -1;
}

/*
 * The glet that a switch to `glet` reaches: itself, or the nearest parent that
 * has not finished.  A greenlet that is thrown into before it started
 * finishes here.  `*exc` is what is thrown, or NULL; it may become a result,
 * left in `*result`.  Returns NULL with an exception.
 */
static struct glet *
find_target(struct hub *hub, struct glet *glet, PyObject **exc,
            PyObject **result)
{
    for (;;) {
        if (check_thread(hub, glet) < 0) {
            return NULL;
        }
        if (glet->state == GLET_ACTIVE) {
            return glet;
        }
        if (glet->state == GLET_UNSTARTED) {
            if (prepare(hub, glet) < 0) {
                if (*exc == NULL) {
                    return NULL;
                }
                Py_XSETREF(*exc, celext_take_raised());
            }
            if (glet->state == GLET_ACTIVE) {
                return glet;
            }
            if (*exc == NULL || glet->main != NULL || glet->scheduled) {
                return glet;
            }
            glet->state = GLET_FINISHED;
            if (glet->held) {
                cel__coro_discard(&glet->coro);
                glet->held = false;
            }
            Py_CLEAR(glet->run);
        }
        PyObject *exited = exit_as_result(hub, exc);
        if (exited != NULL) {
            Py_XSETREF(*result, exited);
        }
        if (glet->parent == NULL) {
            PyErr_SetString(hub->state->error,
                            "cannot switch to a garbage collected greenlet");
            return NULL;
        }
        glet = glet->parent->glet;
    }
}

PyObject *
greenlet_switch(struct hub *hub, PyGreenlet *target, PyObject *args,
                PyObject *kwargs)
{
    PyObject *exc = args == NULL ? celext_take_raised() : NULL;
    PyObject *value = NULL;
    struct glet *to = find_target(hub, target->glet, &exc, &value);

    if (to == NULL) {
        goto drop;
    }
    if (value == NULL && args != NULL && to->state == GLET_ACTIVE) {
        value = pack(args, kwargs);
        args = NULL;
        kwargs = NULL;
        if (value == NULL) {
            return NULL;
        }
        if (to->state == GLET_FINISHED) { /* packing collected, and ran it */
            args = PyTuple_Pack(1, value);
            Py_DECREF(value);
            return args == NULL ? NULL
                                : greenlet_switch(hub, target, args, NULL);
        }
    }
    if (to == hub_current(hub)) {
        if (exc != NULL) {
            celext_raise(exc);
        }
        return value;
    }
    if (to->state == GLET_UNSTARTED && exc == NULL) {
        if (args == NULL) {
            args = PyTuple_Pack(1, value);
            Py_CLEAR(value);
            if (args == NULL) {
                return NULL;
            }
        }
        /* One that is scheduled has its arguments already. */
        if (!to->scheduled) {
            Py_XSETREF(to->kwargs, kwargs);
            return glet_jump(hub, to, args, NULL);
        }
        Py_DECREF(args);
        Py_XDECREF(kwargs);
        return glet_jump(hub, to, to->value, NULL);
    }
    return glet_jump(hub, to, value, exc);

drop:
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    Py_XDECREF(value);
    Py_XDECREF(exc);
    return NULL;
}

/* The end of a greenlet whose parent is the hub: nobody waits for the
   result; an error is reported. */
static void
finish_in_hub(struct hub *hub, struct glet *me, PyObject *result)
{
    if (result == NULL) {
        hub_report(hub, (PyObject *)me->self);
    }
    Py_XDECREF(result);
}

/* Hand the result or exception of a finished greenlet (stolen) to `*to`; to
   the main greenlet where an unstarted one can't take it. */
static void
bequeath(struct hub *hub, struct glet **to, PyObject *result, PyObject *exc)
{
    if ((*to)->scheduled) {
        /* It has its arguments; what it is given now is nobody's. */
        Py_XDECREF(result);
        result = Py_XNewRef((*to)->value);
        Py_CLEAR((*to)->value);
    }
    else if ((*to)->state == GLET_UNSTARTED && result != NULL) {
        PyObject *args = PyTuple_Pack(1, result);
        Py_SETREF(result, args);
        if (args == NULL) {
            exc = celext_take_raised();
            *to = hub->main;
        }
    }
    (*to)->value = result;
    (*to)->exc = exc;
    Py_INCREF((*to)->self);
}

/*
 * End the running greenlet with `result` (stolen), or, where NULL, with the
 * exception that is set.  Returns who goes on; NULL: whoever is next.
 */
static struct cel__coro *
finish(struct hub *hub, struct glet *me, PyObject *result)
{
    PyObject *exc = result == NULL ? celext_take_raised() : NULL;
    PyObject *exited = exit_as_result(hub, &exc);
    struct glet *to;

    if (exited != NULL) {
        result = exited;
    }
    PyObject *context = hub->ts->context;
    hub->ts->context = NULL;
    Py_XDECREF(context);
    glet_clear(me);
    to = me->parent->glet;
    if (!to->is_hub) {
        to = find_target(hub, to, &exc, &result);
    }
    if (to == NULL) {
        /* The parent cannot be reached: the main greenlet gets the error. */
        Py_XSETREF(exc, celext_take_raised());
        Py_CLEAR(result);
        to = hub->main;
    }
    if (to->is_hub) {
        if (exc != NULL) {
            celext_raise(exc);
            exc = NULL;
        }
        finish_in_hub(hub, me, result);
        result = NULL;
        to = NULL;
    }
    if (to != NULL) {
        bequeath(hub, &to, result, exc);
    }
    me->state = GLET_FINISHED;
    pystate_end(hub->ts, &me->ps);
    return to == NULL ? NULL : glet_coro(to);
}
