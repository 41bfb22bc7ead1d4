/* SPDX-License-Identifier: MIT */
/*
 * Event: a flag that greenlets can wait for.  threading.Event's stand-in too.
 *
 * set() makes everybody ready at once who waits then, in their order; that
 * somebody clears the flag before they run does not take it back.
 *
 * Threads: any; guarded (guard.h).
 *
 * Tests: tests/python/test_event.py
 */
#include "ext/args.h"
#include "ext/guard.h"
#include "ext/links.h"
#include "ext/waitq.h"

#include <structmember.h>

typedef struct {
    PyObject_HEAD
    PyObject *weakreflist;
    struct waitq waiters;
    struct links *links; /* owned; NULL: there never was one */
    bool flag;
} eventobject;

static PyObject *
event_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (!args_none(type, args, kwargs)) {
        return NULL;
    }
    eventobject *self = (eventobject *)type->tp_alloc(type, 0);
    if (self != NULL) {
        waitq_init(&self->waiters);
    }
    return (PyObject *)self;
}

static int
event_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    return links_traverse(((eventobject *)op)->links, visit, arg);
}

static int
event_clear_refs(PyObject *op)
{
    links_free(&((eventobject *)op)->links);
    return 0;
}

static void
event_dealloc(PyObject *op)
{
    celext_dealloc(op, event_clear_refs);
}

static PyObject *
event_repr(PyObject *op)
{
    celext_guard(op);
    return PyUnicode_FromFormat("<%s at %p: %s>", Py_TYPE(op)->tp_name, op,
                                ((eventobject *)op)->flag ? "set" : "unset");
}

PyDoc_STRVAR(event_is_set_doc, "is_set($self, /)\n"
                               "--\n\n"
                               "Whether the flag is set.");

static PyObject *
event_is_set(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    (void)unused;
    return PyBool_FromLong(((eventobject *)op)->flag);
}

PyDoc_STRVAR(event_set_doc, "set($self, /)\n"
                            "--\n\n"
                            "Set the flag and wake all who wait for it.");

static PyObject *
event_set(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    eventobject *self = (eventobject *)op;

    (void)unused;
    self->flag = true;
    waitq_wake_all(&self->waiters);
    links_fire(self->links, op);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(event_clear_doc,
             "clear($self, /)\n"
             "--\n\n"
             "Take the flag back: wait() will wait until set() again.");

static PyObject *
event_clear(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    (void)unused;
    ((eventobject *)op)->flag = false;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(event_wait_doc,
             "wait($self, /, timeout=None)\n"
             "--\n\n"
             "Wait until the flag is set, at most timeout seconds.\n\n"
             "Suspends.  Returns whether it has been set.");

static PyObject *
event_wait(PyObject *op, PyObject *const *values, Py_ssize_t count,
           PyObject *names)
{
    celext_guard(op);
    eventobject *self = (eventobject *)op;
    struct args args = {values, count, names};
    struct waiter me = {.turn = 0};
    cel_time deadline;

    if (args_timeout("wait", &args, &deadline) < 0) {
        return NULL;
    }
    if (self->flag) {
        Py_RETURN_TRUE;
    }
    if (deadline == CEL_AT_ONCE) {
        return waitq_spin() < 0 ? NULL : PyBool_FromLong(self->flag);
    }
    struct hub *hub = hub_get(celext_state_of(Py_TYPE(op)));
    if (hub == NULL) {
        return NULL;
    }
    int code = waitq_wait(&self->waiters, &me, hub, deadline, "Event.wait");
    return code < 0 ? NULL : PyBool_FromLong(code);
}

PyDoc_STRVAR(event_rawlink_doc,
             "rawlink($self, callback, /)\n"
             "--\n\n"
             "Let callback(event) be called in the hub, once, when the flag "
             "is set.");

static PyObject *
event_rawlink(PyObject *op, PyObject *callback)
{
    celext_guard(op);
    eventobject *self = (eventobject *)op;

    return links_add(&self->links, op, callback, NULL, self->flag);
}

PyDoc_STRVAR(event_unlink_doc, "unlink($self, callback, /)\n"
                               "--\n\n"
                               "Undo rawlink(callback).");

static PyObject *
event_unlink(PyObject *op, PyObject *callback)
{
    celext_guard(op);
    return links_remove(((eventobject *)op)->links, callback);
}

PyDoc_STRVAR(event_reinit_doc, "_at_fork_reinit($self, /)\n"
                               "--\n\n"
                               "In a child process: as if it were new.");

static PyObject *
event_reinit(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    eventobject *self = (eventobject *)op;

    (void)unused;
    self->flag = false;
    waitq_forget(&self->waiters);
    Py_RETURN_NONE;
}

static PyMethodDef event_methods[] = {
    {"is_set", event_is_set, METH_NOARGS, event_is_set_doc},
    {"isSet", event_is_set, METH_NOARGS,
     PyDoc_STR("isSet($self, /)\n"
               "--\n\n"
               "As is_set().")},
    {"ready", event_is_set, METH_NOARGS,
     PyDoc_STR("ready($self, /)\n"
               "--\n\n"
               "As is_set().")},
    {"set", event_set, METH_NOARGS, event_set_doc},
    {"clear", event_clear, METH_NOARGS, event_clear_doc},
    {"wait", (PyCFunction)(void (*)(void))event_wait,
     METH_FASTCALL | METH_KEYWORDS, event_wait_doc},
    {"rawlink", event_rawlink, METH_O, event_rawlink_doc},
    {"unlink", event_unlink, METH_O, event_unlink_doc},
    {"_at_fork_reinit", event_reinit, METH_NOARGS, event_reinit_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef event_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(eventobject, weakreflist),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(event_doc, "Event()\n"
                        "--\n\n"
                        "A flag that greenlets, of any thread, can wait for.");

static PyType_Slot event_slots[] = {
    {Py_tp_doc, (void *)event_doc},
    {Py_tp_new, event_new},
    {Py_tp_traverse, event_traverse},
    {Py_tp_clear, event_clear_refs},
    {Py_tp_dealloc, event_dealloc},
    {Py_tp_repr, event_repr},
    {Py_tp_methods, event_methods},
    {Py_tp_members, event_members},
    {0, NULL},
};

static PyType_Spec event_spec = {
    .name = "celadon.event.Event",
    .basicsize = sizeof(eventobject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = event_slots,
};

int
event_register(PyObject *module, struct celext_state *state)
{
    return celext_add_type(module, &state->event_type, &event_spec, NULL);
}
