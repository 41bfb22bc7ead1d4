/* SPDX-License-Identifier: MIT */
/*
 * Looking at a greenlet.
 *
 * Tests: tests/python/test_greenlet_face.py, tests/python/test_threads.py
 */
#include "ext/look.h"

#include <pthread.h>

#include "ext/compat.h"
#include "ext/hub.h"

/* Whether its thread has ended without it. */
static bool
is_gone(const struct glet *glet)
{
    /* Once, for its own thread may take it away. */
    const struct hub *hub = __atomic_load_n(&glet->hub, __ATOMIC_RELAXED);

    return hub != NULL && hub->finished;
}

/* Whether it runs now, in whichever thread. */
static bool
is_running(const struct glet *glet)
{
    struct hub *hub = glet->hub;

    if (hub == NULL || glet->state != GLET_ACTIVE) {
        return false;
    }
    celext_lock(&hub->mutex); /* else its thread may end meanwhile */
    bool running = !hub->finished && glet == hub_current(hub);
    celext_unlock(&hub->mutex);
    return running;
}

/* Whether its thread may let it run at any time, and we could not tell. */
static bool
is_out_of_reach(const struct glet *glet)
{
    if (!CELEXT_FREE_THREADED) {
        return false;
    }
    const struct hub *hub = __atomic_load_n(&glet->hub, __ATOMIC_RELAXED);
    return hub != NULL && !hub->finished && !hub_is_ours(hub);
}

PyObject *
look_dead(PyObject *op, void *unused)
{
    struct glet *glet = ((PyGreenlet *)op)->glet;

    (void)unused;
    /* Relaxed: another thread that looks gets what was true once. */
    return PyBool_FromLong(__atomic_load_n(&glet->state, __ATOMIC_RELAXED) ==
                               GLET_FINISHED ||
                           is_gone(glet));
}

PyObject *
look_frame(PyObject *op, void *unused)
{
    struct glet *glet = ((PyGreenlet *)op)->glet;
    PyObject *frame = NULL;

    (void)unused;
    if (glet->state == GLET_ACTIVE && !is_gone(glet) && !is_running(glet) &&
        !is_out_of_reach(glet)) {
        frame = pystate_frame(PyThreadState_Get(), &glet->ps);
    }
    return frame == NULL ? Py_NewRef(Py_None) : frame;
}

/* Where the contextvars context of a greenlet is kept now. */
static PyObject **
context_of(struct glet *glet)
{
    if (glet->state != GLET_ACTIVE) {
        return &glet->context;
    }
    if (!is_running(glet) && !is_out_of_reach(glet)) {
        return &glet->ps.context;
    }
    if (glet->hub->ts != PyThreadState_Get()) {
        PyErr_SetString(PyExc_ValueError,
                        "cannot get context of a greenlet that is running in "
                        "a different thread");
        return NULL;
    }
    return &glet->hub->ts->context;
}

PyObject *
look_context(PyObject *op, void *unused)
{
    struct glet *glet = ((PyGreenlet *)op)->glet;
    PyObject **context = context_of(glet);

    (void)unused;
    if (context == NULL) {
        return NULL;
    }
    return Py_NewRef(*context == NULL ? Py_None : *context);
}

int
look_set_context(PyObject *op, PyObject *value, void *unused)
{
    struct glet *glet = ((PyGreenlet *)op)->glet;

    (void)unused;
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError,
                        "can't delete context attribute");
        return -1;
    }
    if (value == Py_None) {
        value = NULL;
    }
    else if (!PyContext_CheckExact(value)) {
        PyErr_SetString(PyExc_TypeError,
                        "greenlet context must be a contextvars.Context or "
                        "None");
        return -1;
    }
    PyObject **context = context_of(glet);
    if (context == NULL) {
        return -1;
    }
    PyObject *old = *context;
    *context = Py_XNewRef(value);
    if (is_running(glet)) {
        glet->hub->ts->context_ver++;
    }
    Py_XDECREF(old);
    return 0;
}

/* The upper end of its C stack. */
static char *
top_of_stack(const struct glet *glet)
{
    pthread_attr_t attr;
    void *low = NULL;
    size_t size = 0;

    if (!glet->is_main) {
        return glet->coro.stack.top;
    }
    if (pthread_getattr_np((pthread_t)glet->hub->ts->thread_id, &attr) == 0) {
        (void)pthread_attr_getstack(&attr, &low, &size);
        (void)pthread_attr_destroy(&attr);
    }
    return (char *)low + size;
}

PyObject *
look_stack_saved(PyObject *op, void *unused)
{
    struct glet *glet = ((PyGreenlet *)op)->glet;
    ptrdiff_t used = 0;

    (void)unused;
    if (glet->state == GLET_ACTIVE && !is_gone(glet) && !is_running(glet)) {
        used = top_of_stack(glet) - (char *)glet_coro(glet)->sp;
    }
    return PyLong_FromSsize_t((Py_ssize_t)used);
}

PyObject *
look_repr(PyObject *op)
{
    const struct glet *glet = ((PyGreenlet *)op)->glet;
    const char *name = Py_TYPE(op)->tp_name;
    const void *home = glet_home(glet);
    const char *where = "";

    if (glet->state == GLET_FINISHED) {
        return PyUnicode_FromFormat("<%s object at %p (otid=%p) %sdead>", name,
                                    op, home,
                                    is_gone(glet) ? "(thread exited) " : "");
    }
    if (is_gone(glet)) {
        where = " (thread exited)";
    }
    else if (glet->state == GLET_ACTIVE) {
        where = is_running(glet) && glet->hub->worker == cel__worker()
                    ? " current"
                    : " suspended";
    }
    return PyUnicode_FromFormat(
        "<%s object at %p (otid=%p)%s%s%s>", name, op, home, where,
        glet->state == GLET_ACTIVE ? " active started" : " pending",
        glet->is_main ? " main" : "");
}

int
look_bool(PyObject *op)
{
    return ((PyGreenlet *)op)->glet->state == GLET_ACTIVE;
}
