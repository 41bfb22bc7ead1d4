/* SPDX-License-Identifier: MIT */
/*
 * The life of a greenlet: made, started, ended, freed.
 *
 * What runs on a greenlet's stack begins and ends here.  An end: the result
 * goes to the nearest parent that has not finished; where that is the hub, to
 * nobody.  Switching by hand is in switch.c.
 *
 * Threads: with the GIL, the hub's thread.
 *
 * Tests: tests/python/test_greenlet.py
 */
#include "ext/greenlet.h"

#include "ext/compat.h"
#include "ext/farewell.h"
#include "ext/hub.h"
#include "ext/local.h"
#include "ext/switch.h"

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
    cel__list_init(&glet->link);
    cel__list_init(&glet->doomed);
    self->glet = glet;
    return glet;
}

/* ---- parents */

/* For every greenlet's parent, which threads may set and follow. */
static struct celext_mutex parents;

const struct hub *
glet_home(const struct glet *glet)
{
    celext_lock(&parents);
    while (glet->hub == NULL && glet->parent != NULL) {
        glet = glet->parent->glet;
    }
    celext_unlock(&parents);
    return glet->hub;
}

PyGreenlet *
glet_parent(const struct glet *glet)
{
    celext_lock(&parents);
    PyObject *parent = Py_XNewRef((PyObject *)glet->parent);
    celext_unlock(&parents);
    return (PyGreenlet *)parent;
}

bool
glet_set_parent(struct glet *glet, PyGreenlet *parent)
{
    PyGreenlet *up = parent;
    PyGreenlet *old = NULL;
    bool cyclic;

    celext_lock(&parents);
    do {
        cyclic = up->glet == glet;
        up = up->glet->parent;
    } while (!cyclic && up != NULL);
    if (!cyclic) {
        old = glet->parent;
        glet->parent = (PyGreenlet *)Py_NewRef((PyObject *)parent);
    }
    celext_unlock(&parents);
    Py_XDECREF((PyObject *)old);
    return !cyclic;
}

/* ---- making and freeing */

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

void
glet_clear(struct glet *glet)
{
    PyObject *exc;

    Py_CLEAR(glet->run);
    Py_CLEAR(glet->found);
    Py_CLEAR(glet->value);
    Py_CLEAR(glet->kwargs);
    Py_CLEAR(glet->exc);
    Py_CLEAR(glet->context);
    while ((exc = glet_take_pending(glet)) != NULL) {
        Py_DECREF(exc);
    }
}

static void
glet_free(struct glet *glet)
{
    struct hub *hub = glet->is_main ? glet->hub : NULL;
    PyGreenlet *parent = glet->parent;

    local_forget(glet);
    glet_clear(glet);
    PyMem_Free(glet);
    Py_XDECREF((PyObject *)parent);
    if (hub != NULL) {
        hub_free(hub);
    }
}

void
glet_forget(struct glet *glet)
{
    glet->self = NULL;
    if (!glet->held) {
        glet_free(glet);
    }
    else {
        farewell_orphan(glet);
    }
}

/* The engine has no use for the stack any more; runs no Python. */
static void
glet_release(struct cel__coro *coro)
{
    struct glet *glet = (struct glet *)coro;

    cel__list_append(&glet->hub->dead, &glet->link);
    hub_litter(glet->hub);
}

void
glet_bury(struct glet *glet)
{
    cel__list_remove(&glet->link);
    glet->held = false;
    glet->hub = NULL; /* which may be gone before this is */
    if (glet->self == NULL) {
        glet_free(glet);
    }
    else {
        Py_DECREF((PyObject *)glet->self);
    }
}

/* ---- on the greenlet's stack */

/* Taken out before any Python code runs: it may switch, which brings more. */
static struct glet_first
take_first(struct glet *me)
{
    struct glet_first first = {me->run, me->value, me->kwargs, me->exc};

    me->run = NULL;
    me->value = NULL;
    me->kwargs = NULL;
    me->exc = NULL;
    return first;
}

/* Dropped on the new stack, for dropping it may switch. */
static void
drop_first(struct glet *me, struct glet_first *first)
{
    me->first = NULL;
    Py_XDECREF(first->run);
    Py_XDECREF(first->args);
    Py_XDECREF(first->kwargs);
}

/* Put the values of the keywords behind the other arguments, and leave only
   the names.  Returns 0, or -1 with an exception. */
static int
spread_keywords(struct glet_first *first)
{
    Py_ssize_t nargs = PyTuple_GET_SIZE(first->args);
    Py_ssize_t count = PyDict_GET_SIZE(first->kwargs);
    PyObject *names = PyTuple_New(count);
    PyObject *all = PyTuple_New(nargs + count);
    PyObject *name;
    PyObject *value;
    Py_ssize_t at = 0;

    if (names == NULL || all == NULL) {
        Py_XDECREF(names);
        Py_XDECREF(all);
        return -1;
    }
    for (Py_ssize_t i = 0; i < nargs; i++) {
        PyObject *arg = PyTuple_GET_ITEM(first->args, i);
        PyTuple_SET_ITEM(all, i, Py_NewRef(arg));
    }
    for (Py_ssize_t i = 0; PyDict_Next(first->kwargs, &at, &name, &value);
         i++) {
        PyTuple_SET_ITEM(names, i, Py_NewRef(name));
        PyTuple_SET_ITEM(all, nargs + i, Py_NewRef(value));
    }
    Py_SETREF(first->args, all);
    Py_SETREF(first->kwargs, names);
    return 0;
}

/*
 * Call what the first switch named.  Meanwhile `first` has the arguments where
 * the collector sees them; a call with a dictionary would hold them where it
 * does not.
 */
static PyObject *
call_first(struct glet *me, struct glet_first *first)
{
    if (cel__unlikely(me->found != NULL)) {
        PyObject *given = first->run;
        first->run = me->found;
        me->found = NULL;
        Py_XDECREF(given); /* which may switch */
    }
    if (cel__likely(first->kwargs == NULL)) {
        me->first = first;
        return PyObject_Call(first->run, first->args, NULL);
    }
    Py_ssize_t nargs = PyTuple_GET_SIZE(first->args);
    if (spread_keywords(first) < 0) {
        return NULL;
    }
    me->first = first;
    return PyObject_Vectorcall(first->run, &PyTuple_GET_ITEM(first->args, 0),
                               (size_t)nargs, first->kwargs);
}

/*
 * Hand the result or exception of the running greenlet (stolen) to `to`.
 * Returns 0, or -1 with an exception: `to` can't be started, or refuses.
 */
static int
bequeath(struct hub *hub, struct glet *to, PyObject *result, PyObject *exc)
{
    if (cel__unlikely(to->refuse != 0) && glet_refuses(to) < 0) {
        Py_XDECREF(result);
        Py_XDECREF(exc);
        return -1;
    }
    if (to->state == GLET_UNSTARTED) {
        if (to->scheduled && exc == NULL) {
            /* It has its arguments; what it is given now is nobody's. */
            Py_DECREF(result);
            result = to->value;
        }
        else if (exc == NULL) {
            PyObject *args = PyTuple_Pack(1, result);
            Py_SETREF(result, args);
        }
        if ((result == NULL && exc == NULL) || glet_arm(hub, to) < 0) {
            Py_XDECREF(result);
            Py_XDECREF(exc);
            return -1;
        }
    }
    to->value = result;
    to->exc = exc;
    Py_INCREF((PyObject *)to->self);
    return 0;
}

/*
 * Hand the result or exception (stolen) of the running greenlet to `parent`,
 * or to whom a switch to that leads: `*heir`; none where that is the hub.
 * Returns 0, or -1 with an exception.
 */
static int
hand_to(struct hub *hub, PyGreenlet *parent, PyObject *result, PyObject *exc,
        struct glet **heir)
{
    if (parent->glet->is_hub && !glet_is_away(hub->glet)) {
        /* Nobody waits for a result; an error is reported. */
        Py_XDECREF(result);
        if (exc != NULL) {
            celext_raise(exc);
            hub_report(hub, (PyObject *)hub_current(hub)->self);
        }
        return 0;
    }
    if (parent->glet->is_hub) {
        /* A callback has switched to somebody by hand. */
        parent = hub->glet->self;
    }
    PyGreenlet *to = switch_target(hub, parent);
    if (to == NULL) {
        Py_XDECREF(result);
        Py_XDECREF(exc);
        return -1;
    }
    int err;
    if (to->glet->is_hub && parent != to) {
        err = hand_to(hub, to, result, exc, heir);
    }
    else {
        *heir = to->glet;
        err = bequeath(hub, to->glet, result, exc);
    }
    Py_DECREF((PyObject *)to);
    return err;
}

/*
 * Find who gets the result or exception (stolen) of `me`, and hand it over.
 * A parent that can't be reached or started passes its error on to its own
 * parent; the last is the main greenlet, which always can.
 */
static struct glet *
find_heir(struct hub *hub, struct glet *me, PyObject *result, PyObject *exc)
{
    PyGreenlet *parent = glet_parent(me);
    struct glet *heir = NULL;

    while (parent != NULL) {
        int err = hand_to(hub, parent, result, exc, &heir);
        if (err == 0) {
            Py_DECREF((PyObject *)parent);
            return heir;
        }
        result = NULL;
        exc = celext_take_raised();
        Py_SETREF(parent, glet_parent(parent->glet));
    }
    heir = hub->main;
    (void)bequeath(hub, hub->main, result, exc);
    return heir;
}

/*
 * End the running greenlet with `result` (stolen), or, where NULL, with the
 * exception that is set.  Returns who goes on; NULL: whoever is next.
 */
static struct cel__coro *
finish(struct hub *hub, struct glet *me, PyObject *result)
{
    PyObject *exc = result == NULL ? celext_take_raised() : NULL;

    if (result == NULL) {
        result = switch_exit(hub, &exc);
    }
    glet_clear(me);
    local_forget(me);
    struct glet *heir = find_heir(hub, me, result, exc);
    /* Relaxed: others may look at `dead` from their threads. */
    __atomic_store_n(&me->state, GLET_FINISHED, __ATOMIC_RELAXED);
    me->context = hub->ts->context;
    hub->ts->context = NULL;
    pystate_end(hub->ts, &me->ps);
    if (heir == NULL) {
        return NULL;
    }
    if (cel__unlikely(hub->tracefunc != NULL)) {
        hub->leaving = Py_NewRef((PyObject *)me->self);
    }
    return glet_coro(heir);
}

/* What runs on a greenlet's stack. */
static struct cel__coro *
glet_entry(struct cel__coro *coro)
{
    struct glet *me = (struct glet *)coro;
    struct hub *hub = me->hub;
    PyObject *context = me->context;
    PyObject *result = NULL;

    me->context = NULL;
    pystate_begin(hub->ts, &me->ps, &coro->stack, context);
    me->state = GLET_ACTIVE;
    struct glet_first first = take_first(me);
    if (me->scheduled) {
        me->scheduled = false;
        if (coro->code == CEL__RESUMED) {
            Py_DECREF(me->self); /* the queue's; the switch took another */
        }
    }
    switch_arrive(hub, &first.exc);
    if (first.exc == NULL) {
        first.exc = glet_take_pending(me);
    }
    bool thrown = first.exc != NULL;
    if (cel__unlikely(thrown)) {
        celext_raise(first.exc);
    }
    if (me->main != NULL) {
        result = me->main(me);
    }
    else if (!thrown) {
        result = call_first(me, &first);
    }
    if (cel__likely(result != NULL)) {
        drop_first(me, &first);
    }
    else {
        PyObject *exc = celext_take_raised();
        drop_first(me, &first);
        if (exc != NULL) { /* as ever */
            celext_raise(exc);
        }
    }
    return finish(hub, me, result);
}

/* ---- starting */

int
glet_arm(struct hub *hub, struct glet *glet)
{
    if (glet->held) {
        return 0;
    }
    cel__coro_number(&glet->coro, hub->worker);
    int err = cel__coro_init(&glet->coro, hub->worker, &hub->worker->stacks,
                             glet_entry, glet_release);
    if (err < 0) {
        PyErr_NoMemory();
        return -1;
    }
    glet->coro.name = Py_TYPE((PyObject *)glet->self)->tp_name;
    glet->hub = hub;
    glet->held = true;
    return 0;
}

int
greenlet_hold(struct hub *hub, PyGreenlet *greenlet)
{
    struct glet *glet = greenlet->glet;

    if (glet_arm(hub, glet) < 0) {
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

void
greenlet_let_go(PyGreenlet *greenlet)
{
    struct glet *glet = greenlet->glet;

    cel__coro_discard(&glet->coro);
    glet->held = false;
    glet->scheduled = false;
    glet->hub = NULL;
    Py_DECREF((PyObject *)greenlet);
}
