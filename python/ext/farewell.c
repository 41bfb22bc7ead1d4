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
 * The collector sees what its frames own (frames.h), so that also cycles
 * through them are found.  Once killed it sees that no more: one that lives on
 * needs all that its frames refer to, and the collector would clear it.
 *
 * Orphans are those whose thread has ended without them, or stayed behind in
 * a fork: they can't be switched to.  Their local variables and arguments are
 * dropped; what else is on their stacks is lost.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_farewell.py, test_frames.py
 */
#include "ext/farewell.h"

#include "base/fork.h"
#include "ext/compat.h"
#include "ext/frames.h"
#include "ext/hub.h"
#include "ext/local.h"

bool
glet_kill(struct hub *hub, PyGreenlet *self)
{
    struct glet *glet = self->glet;
    struct glet *me = hub_current(hub);
    bool was_killing = me->killing;
    PyGreenlet *parent = glet_parent(glet);

    (void)glet_set_parent(glet, me->self);
    PyErr_SetNone(hub->state->greenlet_exit);
    me->killing = true; /* what is thrown at us meanwhile comes after */
    PyObject *result = greenlet_switch(hub, self, NULL, NULL);
    me->killing = was_killing;
    if (result == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_XDECREF(result);
    /* One that waits in the hub now ends there: we do not wait for it. */
    (void)glet_set_parent(glet,
                          glet->state == GLET_ACTIVE && !glet_is_away(glet)
                              ? hub->glet->self
                              : parent);
    Py_DECREF((PyObject *)parent);
    return glet->state == GLET_FINISHED;
}

/* The class `type` of `module`, if that is loaded.  New, or NULL. */
static PyObject *
class_if_loaded(const char *module, const char *type)
{
    PyObject *key = PyUnicode_FromString(module);
    PyObject *found = key == NULL ? NULL : PyImport_GetModule(key);
    PyObject *class = NULL;

    if (found != NULL) {
        class = PyObject_GetAttrString(found, type);
        Py_DECREF(found);
    }
    Py_XDECREF(key);
    PyErr_Clear();
    return class;
}

/* Whether `object`, which may be NULL, is an instance of `class`. */
static bool
is_instance(PyObject *object, PyObject *class)
{
    int answer = object == NULL ? 0 : PyObject_IsInstance(object, class);

    PyErr_Clear();
    return answer > 0;
}

bool
farewell_spares(const struct glet *glet)
{
    static const struct {
        const char *module;
        const char *type;
    } loops[] = {{"gevent.hub", "Hub"}, {"eventlet.hubs.hub", "BaseHub"}};
    PyObject *run = glet->first == NULL ? NULL : glet->first->run;
    PyObject *owner = NULL;
    bool spares = false;

    if (run != NULL && PyMethod_Check(run)) {
        owner = Py_NewRef(PyMethod_GET_SELF(run));
    }
    for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]) && !spares; i++) {
        PyObject *class = class_if_loaded(loops[i].module, loops[i].type);
        if (class != NULL) {
            spares = is_instance((PyObject *)glet->self, class) ||
                     is_instance(owner, class);
            Py_DECREF(class);
        }
    }
    Py_XDECREF(owner);
    return spares;
}

/* Whether `type` was made in Python and adds slots, which CPython clears
   before it asks our tp_dealloc. */
static bool
has_slots(const struct celext_state *state, PyTypeObject *type)
{
    const PyTypeObject *base = type;

    while (base->tp_dealloc != state->greenlet_type->tp_dealloc &&
           base->tp_dealloc != state->task_type->tp_dealloc) {
        base = base->tp_base;
    }
    return type->tp_basicsize > base->tp_basicsize;
}

/*
 * `self` was killed and lives on.  CPython marks it now as finalized; where
 * its next death would for that cost it its slots, it is kept until the mark
 * can be taken back, which is when the hub next tidies up.
 */
static void
survived(struct hub *hub, PyGreenlet *self)
{
    struct glet *glet = self->glet;

    if (!glet->revived && has_slots(hub->state, Py_TYPE((PyObject *)self))) {
        glet->revived = true;
        glet->spared = true;
        Py_INCREF((PyObject *)self);
        celext_lock(&hub->mutex);
        cel__list_append(&hub->doomed, &glet->doomed);
        celext_unlock(&hub->mutex);
        hub_litter(hub);
        hub_call_queue(&hub->chores);
    }
}

/* Kill one whose last reference is `self`, the caller's, or which is part of
   a cycle that nobody can reach. */
static void
kill_unreachable(struct hub *hub, PyGreenlet *self)
{
    if (glet_kill(hub, self) || !glet_is_away(self->glet)) {
        return;
    }
    if (Py_REFCNT((PyObject *)self) == 1) {
        PySys_FormatStderr("GreenletExit did not kill %R\n", self);
        /* Frames on its stack may still use it: kept for ever. */
        Py_INCREF((PyObject *)self);
        return;
    }
    survived(hub, self);
}

/* The first of those whom other threads dropped, with a reference that is
   the caller's; or NULL. */
static struct glet *
next_doomed(struct hub *hub)
{
    celext_lock(&hub->mutex);
    struct cel__link *link = cel__list_first(&hub->doomed);
    if (link != NULL) {
        cel__list_remove(link);
    }
    celext_unlock(&hub->mutex);
    return link == NULL ? NULL : cel__container(link, struct glet, doomed);
}

void
farewell_doomed(struct hub *hub)
{
    struct glet *glet;

    while ((glet = next_doomed(hub)) != NULL) {
        PyGreenlet *self = glet->self;
        if (glet->revived) {
            glet->revived = false;
            frames_forget_finalized((PyObject *)self);
        }
        else if (glet_is_away(glet)) {
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

    celext_lock(&hub->mutex);
    hub->told = false;
    celext_unlock(&hub->mutex);
    hub_call_queue(&hub->chores);
}

/*
 * The last reference, which is stolen, was dropped in another thread: its own
 * shall do it.  Returns false, and steals nothing, where that has ended, or
 * stayed behind in a fork.
 */
static bool
doom(PyGreenlet *self)
{
    struct hub *hub = self->glet->hub;

    celext_lock(&hub->mutex);
    bool open = !hub->finished && hub->worker->forks == cel__fork_count();
    if (open) {
        cel__list_append(&hub->doomed, &self->glet->doomed);
        hub_litter(hub);
    }
    if (open && !hub->told) {
        hub->told = true;
        hub->news.fn = news_arrived;
        cel__worker_post(hub->worker, &hub->news);
    }
    celext_unlock(&hub->mutex);
    return open;
}

/* Whether to kill `self` is for another thread to do. */
static bool
is_foreign(const struct glet *glet)
{
    struct cel__worker *worker = cel__worker();

    return worker == NULL || worker->embedder != glet->hub;
}

/* Whether `self` is suspended by hand on a stack of its own. */
static bool
is_suspended(const PyGreenlet *self)
{
    struct glet *glet = self->glet;

    return glet != NULL && !glet->is_main && !glet->is_hub &&
           glet_is_away(glet);
}

/* Whether it can never be switched to again. */
static bool
is_orphan(const struct glet *glet)
{
    struct hub *hub = glet->hub;

    celext_lock(&hub->mutex); /* its worker goes when it has finished */
    bool orphan = hub->finished || (hub->worker->forks != cel__fork_count() &&
                                    hub->worker != cel__worker());
    celext_unlock(&hub->mutex);
    return orphan;
}

/* Whether it must be killed to die. */
static bool
is_mortal(const PyGreenlet *self)
{
    return is_suspended(self) && !celext_finalizing() &&
           !is_orphan(self->glet);
}

int
farewell_traverse(PyGreenlet *self, visitproc visit, void *arg)
{
    struct glet *glet = self->glet;

    if (!is_suspended(self) || celext_finalizing()) {
        return 0;
    }
    bool orphan = is_orphan(glet);
    if (!orphan &&
        (glet->spared || PyObject_GC_IsFinalized((PyObject *)self))) {
        return 0;
    }
    if (!frames_collectable(glet)) {
        return 0;
    }
    if (glet->first != NULL) {
        Py_VISIT(glet->first->run);
        Py_VISIT(glet->first->args);
        Py_VISIT(glet->first->kwargs);
    }
    Py_VISIT(glet->ps.context);
    Py_VISIT(glet->ps.exc.exc_value);
    for (struct glet_pending *node = glet->pending; node != NULL;
         node = node->next) {
        Py_VISIT(node->exc);
    }
    return orphan ? frames_visit_locals(glet, visit, arg)
                  : frames_visit(glet, visit, arg);
}

/* Drop what the stack of an orphan refers to, as far as we see it. */
static void
drop_stack(struct glet *glet)
{
    if (!frames_collectable(glet)) {
        return;
    }
    if (glet->first != NULL) {
        Py_CLEAR(glet->first->run);
        Py_CLEAR(glet->first->args);
        Py_CLEAR(glet->first->kwargs);
    }
    Py_CLEAR(glet->ps.context);
    Py_CLEAR(glet->ps.exc.exc_value);
    frames_drop_locals(glet);
}

void
farewell_clear(PyGreenlet *self)
{
    if (is_suspended(self) && is_orphan(self->glet)) {
        drop_stack(self->glet);
    }
}

void
farewell_orphan(struct glet *glet)
{
    PyGreenlet *parent = glet->parent;

    if (celext_finalizing() || !is_orphan(glet)) {
        return;
    }
    if (glet_is_away(glet)) {
        drop_stack(glet);
    }
    local_forget(glet);
    glet_clear(glet);
    glet->parent = NULL;
    glet->hub = NULL; /* which goes with the last of its greenlets */
    Py_XDECREF((PyObject *)parent);
}

void
greenlet_finalize(PyObject *op)
{
    PyGreenlet *self = (PyGreenlet *)op;

    if (!is_mortal(self)) {
        return;
    }
    PyObject *raised = celext_take_raised();
    if (!is_foreign(self->glet)) {
        kill_unreachable(self->glet->hub, self);
    }
    else {
        Py_INCREF(op);
        if (!doom(self)) {
            Py_DECREF(op);
        }
    }
    if (raised != NULL) {
        celext_raise(raised);
    }
}

bool
greenlet_resurrect(PyObject *op)
{
    PyGreenlet *self = (PyGreenlet *)op;

    if (CELEXT_FREE_THREADED && is_mortal(self) && is_foreign(self->glet)) {
        /* From here on its own thread may have it: CPython's way, which sets
           the count back when it has called the finalizer, is too late. */
        Py_SET_REFCNT(op, 1);
        return doom(self);
    }
    if (PyObject_CallFinalizerFromDealloc(op) < 0) {
        return true;
    }
    if (!is_suspended(self)) {
        return false;
    }
    /* It was finalized before and became reachable again; CPython calls no
       finalizer twice. */
    Py_SET_REFCNT(op, 1);
    greenlet_finalize(op);
    Py_SET_REFCNT(op, Py_REFCNT(op) - 1);
    return Py_REFCNT(op) > 0;
}
