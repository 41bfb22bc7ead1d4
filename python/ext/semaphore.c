/* SPDX-License-Identifier: MIT */
/*
 * Semaphore and BoundedSemaphore.
 *
 * release() wakes one waiter for one unit, and gives it nothing: a greenlet
 * that runs meanwhile may take the unit, and the waiter keeps its place.
 *
 * Threads: any; guarded (guard.h).
 *
 * Tests: tests/python/test_semaphore.py
 */
#include "ext/args.h"
#include "ext/guard.h"
#include "ext/links.h"
#include "ext/waitq.h"

#include <structmember.h>

typedef struct {
    PyObject_HEAD
    PyObject *weakreflist;
    Py_ssize_t counter; /* how often it can be acquired now */
    Py_ssize_t bound;   /* what release() must not exceed; -1: nothing */
    struct waitq waiters;
    struct links *links; /* owned; NULL: there never was one */
} semaphoreobject;

static PyObject *
semaphore_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    semaphoreobject *self = (semaphoreobject *)type->tp_alloc(type, 0);

    (void)args;
    (void)kwargs;
    if (self != NULL) {
        self->counter = 1;
        self->bound = -1;
        waitq_init(&self->waiters);
    }
    return (PyObject *)self;
}

static int
semaphore_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    celext_guard(op);
    static char *known[] = {"value", "hub", NULL};
    Py_ssize_t value = 1;
    PyObject *hub; /* any greenlet may wait: nothing is bound to a hub */

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|nO:Semaphore", known,
                                     &value, &hub)) {
        return -1;
    }
    if (value < 0) {
        PyErr_SetString(PyExc_ValueError,
                        "semaphore initial value must be >= 0");
        return -1;
    }
    ((semaphoreobject *)op)->counter = value;
    return 0;
}

static int
bounded_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    semaphoreobject *self = (semaphoreobject *)op;

    if (semaphore_init(op, args, kwargs) < 0) {
        return -1;
    }
    self->bound = self->counter;
    return 0;
}

static int
semaphore_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    return links_traverse(((semaphoreobject *)op)->links, visit, arg);
}

static int
semaphore_clear(PyObject *op)
{
    links_free(&((semaphoreobject *)op)->links);
    return 0;
}

static void
semaphore_dealloc(PyObject *op)
{
    celext_dealloc(op, semaphore_clear);
}

static PyObject *
semaphore_repr(PyObject *op)
{
    celext_guard(op);
    return PyUnicode_FromFormat("<%s at %p: counter %zd>",
                                Py_TYPE(op)->tp_name, op,
                                ((semaphoreobject *)op)->counter);
}

static int
is_free(PyObject *op)
{
    return ((semaphoreobject *)op)->counter > 0;
}

static bool
is_ready(PyObject *op)
{
    return ((semaphoreobject *)op)->counter > 0;
}

/* Wait until it is free.  Returns 1, 0 (too late) or -1. */
static int
await_free(semaphoreobject *self, cel_time deadline)
{
    return waitq_wait_for(&self->waiters, is_free, (PyObject *)self, deadline,
                          "Semaphore");
}

PyDoc_STRVAR(semaphore_acquire_doc,
             "acquire($self, /, blocking=True, timeout=None)\n"
             "--\n\n"
             "Take a unit, waiting for one at most timeout seconds.\n\n"
             "Suspends.  Returns whether it got one.");

static PyObject *
semaphore_acquire(PyObject *op, PyObject *const *values, Py_ssize_t count,
                  PyObject *names)
{
    celext_guard(op);
    semaphoreobject *self = (semaphoreobject *)op;
    struct args args = {values, count, names};
    cel_time deadline;
    PyObject *timeout;

    if (args_blocking("acquire", "blocking", &args, &deadline, &timeout) < 0) {
        return NULL;
    }
    int code = await_free(self, deadline);
    if (code < 0) {
        return NULL;
    }
    self->counter -= code;
    return PyBool_FromLong(code);
}

/* Add a unit.  Returns 0, or -1 with ValueError or OverflowError. */
static int
release(semaphoreobject *self)
{
    if (self->bound >= 0 && self->counter >= self->bound) {
        PyErr_SetString(PyExc_ValueError, "Semaphore released too many times");
        return -1;
    }
    if (self->counter == PY_SSIZE_T_MAX) {
        PyErr_SetString(PyExc_OverflowError, "the counter is too large");
        return -1;
    }
    self->counter++;
    waitq_wake(&self->waiters);
    links_fire(self->links, (PyObject *)self);
    return 0;
}

PyDoc_STRVAR(semaphore_release_doc,
             "release($self, /)\n"
             "--\n\n"
             "Give a unit back and wake one who waits.\n\n"
             "Returns how many there are now.");

static PyObject *
semaphore_release(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    semaphoreobject *self = (semaphoreobject *)op;

    (void)unused;
    return release(self) < 0 ? NULL : PyLong_FromSsize_t(self->counter);
}

PyDoc_STRVAR(semaphore_wait_doc,
             "wait($self, /, timeout=None)\n"
             "--\n\n"
             "Wait until it can be acquired, but do not acquire it.\n\n"
             "Suspends.  Returns how many units there are.");

static PyObject *
semaphore_wait(PyObject *op, PyObject *const *values, Py_ssize_t count,
               PyObject *names)
{
    celext_guard(op);
    semaphoreobject *self = (semaphoreobject *)op;
    struct args args = {values, count, names};
    cel_time deadline;

    if (args_timeout("wait", &args, &deadline) < 0) {
        return NULL;
    }
    int code = await_free(self, deadline);
    if (code < 0) {
        return NULL;
    }
    if (code > 0) {
        /* The wake-up was not used up. */
        waitq_wake(&self->waiters);
    }
    return PyLong_FromSsize_t(self->counter);
}

PyDoc_STRVAR(semaphore_locked_doc, "locked($self, /)\n"
                                   "--\n\n"
                                   "Whether acquire() would have to wait.");

static PyObject *
semaphore_locked(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    (void)unused;
    return PyBool_FromLong(!is_ready(op));
}

PyDoc_STRVAR(semaphore_ready_doc,
             "ready($self, /)\n"
             "--\n\n"
             "Whether it can be acquired without waiting.");

static PyObject *
semaphore_ready(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    (void)unused;
    return PyBool_FromLong(is_ready(op));
}

static PyObject *
semaphore_enter(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    semaphoreobject *self = (semaphoreobject *)op;

    (void)unused;
    if (await_free(self, CEL_FOREVER) < 0) {
        return NULL;
    }
    self->counter--;
    Py_RETURN_NONE;
}

static PyObject *
semaphore_exit(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    celext_guard(op);
    (void)args;
    (void)nargs;
    return release((semaphoreobject *)op) < 0 ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(semaphore_rawlink_doc,
             "rawlink($self, callback, /)\n"
             "--\n\n"
             "Let callback(semaphore) be called in the hub, once, when it "
             "can be acquired.");

static PyObject *
semaphore_rawlink(PyObject *op, PyObject *callback)
{
    celext_guard(op);
    semaphoreobject *self = (semaphoreobject *)op;

    return links_add(&self->links, op, callback, is_ready, is_ready(op));
}

PyDoc_STRVAR(semaphore_unlink_doc, "unlink($self, callback, /)\n"
                                   "--\n\n"
                                   "Undo rawlink(callback).");

static PyObject *
semaphore_unlink(PyObject *op, PyObject *callback)
{
    celext_guard(op);
    return links_remove(((semaphoreobject *)op)->links, callback);
}

PyDoc_STRVAR(semaphore_reinit_doc,
             "_at_fork_reinit($self, /)\n"
             "--\n\n"
             "In a child process: forget who waits in other threads.");

static PyObject *
semaphore_reinit(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    (void)unused;
    waitq_forget(&((semaphoreobject *)op)->waiters);
    Py_RETURN_NONE;
}

static PyObject *
semaphore_get_counter(PyObject *op, void *unused)
{
    celext_guard(op);
    (void)unused;
    return PyLong_FromSsize_t(((semaphoreobject *)op)->counter);
}

static int
semaphore_set_counter(PyObject *op, PyObject *value, void *unused)
{
    celext_guard(op);
    semaphoreobject *self = (semaphoreobject *)op;

    (void)unused;
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "counter can't be deleted");
        return -1;
    }
    Py_ssize_t counter = PyNumber_AsSsize_t(value, PyExc_OverflowError);
    if (counter == -1 && PyErr_Occurred()) {
        return -1;
    }
    Py_ssize_t before = self->counter;
    self->counter = counter;
    if (before < 0) {
        before = 0;
    }
    for (; before < counter && !waitq_empty(&self->waiters); before++) {
        waitq_wake_first(&self->waiters);
    }
    if (counter > 0) {
        links_fire(self->links, op);
    }
    return 0;
}

static PyMethodDef semaphore_methods[] = {
    {"acquire", (PyCFunction)(void (*)(void))semaphore_acquire,
     METH_FASTCALL | METH_KEYWORDS, semaphore_acquire_doc},
    {"release", semaphore_release, METH_NOARGS, semaphore_release_doc},
    {"wait", (PyCFunction)(void (*)(void))semaphore_wait,
     METH_FASTCALL | METH_KEYWORDS, semaphore_wait_doc},
    {"locked", semaphore_locked, METH_NOARGS, semaphore_locked_doc},
    {"ready", semaphore_ready, METH_NOARGS, semaphore_ready_doc},
    {"__enter__", semaphore_enter, METH_NOARGS,
     PyDoc_STR("__enter__($self, /)\n"
               "--\n\n"
               "As acquire().")},
    {"__exit__", (PyCFunction)(void (*)(void))semaphore_exit, METH_FASTCALL,
     PyDoc_STR("__exit__($self, /, *args)\n"
               "--\n\n"
               "As release().")},
    {"rawlink", semaphore_rawlink, METH_O, semaphore_rawlink_doc},
    {"unlink", semaphore_unlink, METH_O, semaphore_unlink_doc},
    {"_at_fork_reinit", semaphore_reinit, METH_NOARGS, semaphore_reinit_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef semaphore_getset[] = {
    {"counter", semaphore_get_counter, semaphore_set_counter,
     PyDoc_STR("How often it can be acquired now."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef semaphore_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(semaphoreobject, weakreflist),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(semaphore_doc,
             "Semaphore(value=1, hub=None)\n"
             "--\n\n"
             "A counter that acquire() takes from and release() adds to; at "
             "0 the former\nwaits.  hub is ignored.");

static PyType_Slot semaphore_slots[] = {
    {Py_tp_doc, (void *)semaphore_doc},
    {Py_tp_new, semaphore_new},
    {Py_tp_init, semaphore_init},
    {Py_tp_traverse, semaphore_traverse},
    {Py_tp_clear, semaphore_clear},
    {Py_tp_dealloc, semaphore_dealloc},
    {Py_tp_repr, semaphore_repr},
    {Py_tp_methods, semaphore_methods},
    {Py_tp_getset, semaphore_getset},
    {Py_tp_members, semaphore_members},
    {0, NULL},
};

static PyType_Spec semaphore_spec = {
    .name = "celadon.lock.Semaphore",
    .basicsize = sizeof(semaphoreobject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = semaphore_slots,
};

/* ---- BoundedSemaphore */

static PyMemberDef bounded_members[] = {
    {"_initial_value", T_PYSSIZET, offsetof(semaphoreobject, bound), READONLY,
     NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(bounded_doc,
             "BoundedSemaphore(value=1, hub=None)\n"
             "--\n\n"
             "A Semaphore that may not be released more often than it was "
             "acquired.");

static PyType_Slot bounded_slots[] = {
    {Py_tp_doc, (void *)bounded_doc},
    {Py_tp_init, bounded_init},
    {Py_tp_members, bounded_members},
    {0, NULL},
};

static PyType_Spec bounded_spec = {
    .name = "celadon.lock.BoundedSemaphore",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = bounded_slots,
};

int
semaphore_register(PyObject *module, struct celext_state *state)
{
    PyTypeObject *bounded = NULL;

    if (celext_add_type(module, &state->semaphore_type, &semaphore_spec,
                        NULL) < 0 ||
        celext_add_type(module, &bounded, &bounded_spec,
                        (PyObject *)state->semaphore_type) < 0) {
        Py_XDECREF((PyObject *)bounded);
        return -1;
    }
    Py_DECREF((PyObject *)bounded);
    return 0;
}
