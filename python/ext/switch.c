/* SPDX-License-Identifier: MIT */
/*
 * Switching by hand.
 *
 * Put the value in the target's glet, give it a reference to itself ("the
 * running one"), leave ours in hub->leaving, save the thread state's fields,
 * let the engine switch, load them when we run again, and drop what others
 * left.  Between the last look at the target and the switch no memory that the
 * collector tracks is allocated and nothing is dropped, so nothing can change
 * the target in between.
 *
 * Threads: with the GIL, the hub's thread.
 *
 * Tests: tests/python/test_greenlet.py
 */
#include "ext/switch.h"

#include "ext/compat.h"
#include "ext/fpenv.h"
#include "ext/hub.h"

void
switch_trace(struct hub *hub, PyObject **exc)
{
    PyObject *origin = hub->leaving;

    if (origin == NULL) {
        return;
    }
    hub->leaving = NULL; /* the function may switch */
    PyObject *func = Py_NewRef(hub->tracefunc);
    PyObject *event = *exc == NULL ? hub->state->str_switch
                                   : hub->state->str_throw;
    PyObject *target = (PyObject *)hub_current(hub)->self;
    PyThreadState_EnterTracing(hub->ts);
    PyObject *result = PyObject_CallFunction(func, "O(OO)", event, origin,
                                             target);
    PyThreadState_LeaveTracing(hub->ts);
    if (result == NULL) {
        /* A broken trace function is removed, its error raised here. */
        Py_CLEAR(hub->tracefunc);
        Py_XSETREF(*exc, celext_take_raised());
    }
    Py_XDECREF(result);
    Py_DECREF(func);
    Py_DECREF(origin);
}

/* A switch has been made that brought `value` and `exc` (stolen): what it
   returns, new, or NULL with an exception. */
static inline PyObject *
arrive(struct hub *hub, PyObject *value, PyObject *exc)
{
    switch_arrive(hub, &exc);
    if (cel__unlikely(exc != NULL)) {
        Py_XDECREF(value);
        celext_raise(exc);
        return NULL;
    }
    return value;
}

/* What the switch that resumed `me` handed over, new, or NULL with it set. */
static inline PyObject *
take_delivery(struct hub *hub, struct glet *me)
{
    PyObject *exc = me->exc;
    PyObject *value = me->value;

    me->exc = NULL;
    me->value = NULL;
    return arrive(hub, value, exc);
}

/* `me` was resumed, but not by a switch: somebody wants it to raise. */
static PyObject *
woken_by_hand(struct hub *hub, struct glet *me, int code)
{
    /* Who woke it has not taken the running reference. */
    Py_INCREF((PyObject *)me->self);
    hub_tidy(hub);
    PyObject *exc = me->killing ? NULL : glet_take_pending(me);
    if (exc != NULL) {
        celext_raise(exc);
        return NULL;
    }
    if (code == -EDEADLK) {
        hub_raise_stuck(hub);
        return NULL;
    }
    return Py_NewRef(hub->state->empty_tuple);
}

PyObject *
glet_jump(struct hub *hub, struct glet *to, PyObject *value, PyObject *exc)
{
    struct glet *me = hub_current(hub);
    struct fpenv env;

    cel__assert(to != me && (to->held || to->is_main));
    cel__assert(hub->leaving == NULL && !PyErr_Occurred());
    to->value = value;
    to->exc = exc;
    hub->leaving = (PyObject *)me->self;
    if (cel__unlikely(me->is_hub || me->pending != NULL)) {
        /* A callback goes on when the target waits; who has something to
           raise is woken for it, unless it kills somebody first. */
        hub->nag = !me->killing;
        hub_call_queue(&hub->chores);
    }
    fpenv_save(&env);
    pystate_save(hub->ts, &me->ps);
    int code = cel__resume(hub->worker, glet_coro(to));
    pystate_load(hub->ts, &me->ps, &glet_coro(me)->stack);
    fpenv_load(&env);
    if (cel__likely(code == CEL__RESUMED)) {
        return take_delivery(hub, me);
    }
    return woken_by_hand(hub, me, code);
}

/* ---- who is reached */

/* Whether `glet` may be switched to from `hub`; else -1 with an exception. */
static int
check_thread(struct hub *hub, const struct glet *glet)
{
    if (glet->hub == hub || (glet->state == GLET_FINISHED && !glet->is_main)) {
        return 0;
    }
    const struct hub *home = glet_home(glet);
    if (home == hub) {
        return 0;
    }
    if (home == NULL || home->finished) {
        PyErr_SetString(hub->state->error,
                        "cannot switch to a different thread (which happens "
                        "to have exited)");
    }
    else {
        PyErr_Format(hub->state->error,
                     "Cannot switch to a different thread\n\tCurrent:  %R\n\t"
                     "Expected: %R",
                     hub_current(hub)->self, home->main->self);
    }
    return -1;
}

PyObject *
switch_exit(struct hub *hub, PyObject **exc)
{
    PyObject *result = *exc;

    if (result == NULL ||
        !PyErr_GivenExceptionMatches(result, hub->state->greenlet_exit)) {
        return NULL;
    }
    *exc = NULL;
    return result;
}

/* Look up what an unstarted greenlet will call: `run`, which may be a method
   or property and run any code.  Returns 0, or -1 with an exception. */
static int
look_up_run(struct hub *hub, PyGreenlet *self)
{
    PyObject *run = PyObject_GetAttr((PyObject *)self, hub->state->str_run);

    if (run == NULL) {
        return -1;
    }
    if (self->glet->state == GLET_UNSTARTED && run != self->glet->run) {
        /* What the constructor was given is dropped on the new stack. */
        Py_XSETREF(self->glet->found, run);
    }
    else {
        Py_DECREF(run);
    }
    return 0;
}

PyGreenlet *
switch_target(struct hub *hub, PyGreenlet *first)
{
    PyGreenlet *at = (PyGreenlet *)Py_NewRef((PyObject *)first);
    bool looked = false;

    for (;;) {
        struct glet *glet = at->glet;
        if (check_thread(hub, glet) < 0) {
            break;
        }
        if (glet->state == GLET_ACTIVE) {
            return at;
        }
        if (glet->state == GLET_UNSTARTED) {
            if (glet->main == NULL && !glet->scheduled && !looked) {
                if (look_up_run(hub, at) < 0) {
                    break;
                }
                looked = true; /* which may have started or ended it */
                continue;
            }
            return at;
        }
        PyGreenlet *parent = glet_parent(glet);
        if (parent == NULL) {
            PyErr_SetString(hub->state->error,
                            "cannot switch to a garbage collected greenlet");
            break;
        }
        Py_SETREF(at, parent);
        looked = false;
    }
    Py_DECREF((PyObject *)at);
    return NULL;
}

/* ---- what is handed over */

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

/* What a switch by hand carries; each owned, or NULL. */
struct load {
    PyObject *args;  /* a tuple; or */
    PyObject *value; /* the tuple and the keywords in one; or */
    PyObject *exc;
    PyObject *kwargs; /* only with args */
};

static void
drop(struct load *load)
{
    Py_XDECREF(load->args);
    Py_XDECREF(load->value);
    Py_XDECREF(load->exc);
    Py_XDECREF(load->kwargs);
}

/*
 * Give `load` the form that `to` takes: arguments before the start, one value
 * after.  Returns 1, 0 (anything may have been run meanwhile, and `to` takes
 * another form now), or -1 with an exception.
 */
static int
shape(struct load *load, const struct glet *to)
{
    uint8_t state = to->state;

    if (load->exc != NULL) {
        return 1;
    }
    if (to->state == GLET_ACTIVE && load->args != NULL) {
        load->value = pack(load->args, load->kwargs);
        load->args = NULL;
        load->kwargs = NULL;
        return load->value == NULL ? -1 : to->state == state;
    }
    if (to->state == GLET_UNSTARTED && load->args == NULL) {
        load->args = PyTuple_Pack(1, load->value);
        Py_CLEAR(load->value);
        return load->args == NULL ? -1 : to->state == state;
    }
    return 1;
}

/* Switch to `to` with `load`, which has the right form, and the reference to
   it that the caller owns. */
static PyObject *
go(struct hub *hub, struct glet *to, struct load *load)
{
    if (cel__unlikely(to->refuse != 0) && glet_refuses(to) < 0) {
        Py_DECREF((PyObject *)to->self);
        drop(load);
        return NULL;
    }
    if (to->state == GLET_UNSTARTED) {
        if (glet_arm(hub, to) < 0) {
            Py_DECREF((PyObject *)to->self);
            drop(load);
            return NULL;
        }
        if (to->scheduled && load->exc == NULL) {
            /* It has its arguments already. */
            PyObject *result = glet_jump(hub, to, to->value, NULL);
            drop(load);
            return result;
        }
        if (load->kwargs != NULL) {
            cel__assert(to->kwargs == NULL);
            to->kwargs = load->kwargs;
        }
    }
    return glet_jump(hub, to, load->args != NULL ? load->args : load->value,
                     load->exc);
}

PyObject *
greenlet_switch(struct hub *hub, PyGreenlet *target, PyObject *args,
                PyObject *kwargs)
{
    struct load load = {.args = args, .kwargs = kwargs};

    if (args == NULL) {
        load.exc = celext_take_raised();
        if (target->glet->state == GLET_FINISHED) {
            load.value = switch_exit(hub, &load.exc);
        }
    }
    for (;;) {
        PyGreenlet *found = switch_target(hub, target);
        int shaped = found == NULL ? -1 : shape(&load, found->glet);
        if (shaped > 0 && found->glet == hub_current(hub)) {
            hub->leaving = (PyObject *)found;
            return arrive(hub, load.value, load.exc);
        }
        if (shaped > 0) {
            return go(hub, found->glet, &load);
        }
        Py_XDECREF((PyObject *)found);
        if (shaped < 0) {
            drop(&load);
            return NULL;
        }
    }
}
