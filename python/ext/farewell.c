/* SPDX-License-Identifier: MIT */
/*
 * The death of suspended greenlets: GreenletExit for whom nobody can reach.
 *
 * A suspended greenlet whose last reference is dropped, or which the collector
 * finds in garbage, is switched to once more with GreenletExit, so that its
 * finally blocks run; what it ends with comes back to who dropped it.  It may
 * be reachable again afterwards; then its next death is as the first.
 *
 * Dropped in another thread than its own it waits in its hub's list `doomed`:
 * its thread does the same when it next switches or makes a greenlet, or in
 * its hub greenlet where it sleeps.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_farewell.py
 */
#include "ext/farewell.h"

#include "base/fork.h"
#include "ext/compat.h"
#include "ext/hub.h"

/* Let `parent` get what `glet` ends with, unless it is one of its children. */
static void
adopt(struct glet *glet, PyGreenlet *parent)
{
    PyGreenlet *up = parent;

    do {
        if (up->glet == glet) {
            return;
        }
        up = up->glet->parent;
    } while (up != NULL);
    PyGreenlet *old = glet->parent;
    glet->parent = (PyGreenlet *)Py_NewRef((PyObject *)parent);
    Py_XDECREF((PyObject *)old);
}

bool
glet_kill(struct hub *hub, PyGreenlet *self)
{
    struct glet *glet = self->glet;
    struct glet *me = hub_current(hub);
    bool was_killing = me->killing;
    PyGreenlet *parent = (PyGreenlet *)Py_NewRef((PyObject *)glet->parent);

    adopt(glet, me->self);
    PyErr_SetNone(hub->state->greenlet_exit);
    me->killing = true; /* what is thrown at us meanwhile comes after */
    PyObject *result = greenlet_switch(hub, self, NULL, NULL);
    me->killing = was_killing;
    if (result == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_XDECREF(result);
    /* One that waits in the hub now ends there: we do not wait for it. */
    adopt(glet, glet->state == GLET_ACTIVE && !glet_is_away(glet)
                    ? hub->glet->self
                    : parent);
    Py_DECREF((PyObject *)parent);
    return glet->state == GLET_FINISHED;
}

/* Kill one whose last reference is `self`, the caller's. */
static void
kill_unreachable(struct hub *hub, PyGreenlet *self)
{
    if (!glet_kill(hub, self) && glet_is_away(self->glet) &&
        Py_REFCNT((PyObject *)self) == 1) {
        PySys_FormatStderr("GreenletExit did not kill %R\n", self);
        /* Frames on its stack may still use it: kept for ever. */
        Py_INCREF((PyObject *)self);
    }
}

void
farewell_doomed(struct hub *hub)
{
    struct cel__link *link;

    while ((link = cel__list_first(&hub->doomed)) != NULL) {
        struct glet *glet = cel__container(link, struct glet, doomed);
        PyGreenlet *self = glet->self;
        cel__list_remove(link);
        if (glet_is_away(glet)) {
            kill_unreachable(hub, self);
        }
        Py_DECREF((PyObject *)self);
    }
}

/* In the doomed one's thread, in the engine: let its hub see to it. */
static void
news_arrived(struct cel__message *message)
{
    struct hub *hub = cel__container(message, struct hub, news);

    hub->told = false;
    hub_call_queue(&hub->chores);
}

/* The last reference was dropped in another thread: its own shall do it. */
static void
doom(PyGreenlet *self)
{
    struct hub *hub = self->glet->hub;

    Py_INCREF((PyObject *)self);
    cel__list_append(&hub->doomed, &self->glet->doomed);
    hub->untidy = true;
    if (!hub->told) {
        hub->told = true;
        hub->news.fn = news_arrived;
        cel__worker_post(hub->worker, &hub->news);
    }
}

void
greenlet_finalize(PyObject *op)
{
    PyGreenlet *self = (PyGreenlet *)op;
    struct glet *glet = self->glet;

    if (glet == NULL || glet->is_main || glet->is_hub || !glet_is_away(glet) ||
        celext_finalizing() || glet->hub->finished) {
        return;
    }
    PyObject *raised = celext_take_raised();
    struct cel__worker *worker = cel__worker();
    if (worker != NULL && worker->embedder == glet->hub) {
        kill_unreachable(glet->hub, self);
    }
    else if (glet->hub->worker->forks == cel__fork_count()) {
        doom(self);
    }
    if (raised != NULL) {
        celext_raise(raised);
    }
}

bool
greenlet_resurrect(PyObject *op)
{
    if (PyObject_CallFinalizerFromDealloc(op) < 0) {
        return true;
    }
    PyGreenlet *self = (PyGreenlet *)op;
    if (self->glet == NULL || self->glet->is_main || self->glet->is_hub ||
        !glet_is_away(self->glet)) {
        return false;
    }
    /* It was finalized before and became reachable again; CPython calls no
       finalizer twice. */
    Py_SET_REFCNT(op, 1);
    greenlet_finalize(op);
    Py_SET_REFCNT(op, Py_REFCNT(op) - 1);
    return Py_REFCNT(op) > 0;
}
