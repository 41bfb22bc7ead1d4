/* SPDX-License-Identifier: MIT */
/*
 * lock: the stand-in for _thread.lock.
 *
 * Anybody may release it.  The waiters are woken in order, but who runs first
 * gets it (see waitq.h).  A lock that is always free still leaves the others
 * their turn: each taking counts as a call that did not wait.
 *
 * RLock is made of the same memory and methods; what it adds is in rlock.c.
 *
 * Threads: any, guarded (guard.h); OS threads wait for each other too.
 *
 * Tests: tests/python/test_lock.py
 */
#include "ext/lock.h"

#include <structmember.h>

#include "ext/args.h"

PyObject *
lock_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (!args_none(type, args, kwargs)) {
        return NULL;
    }
    lockobject *self = (lockobject *)type->tp_alloc(type, 0);
    if (self != NULL) {
        waitq_init(&self->waiters);
    }
    return (PyObject *)self;
}

int
lock_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    return 0;
}

void
lock_dealloc(PyObject *op)
{
    celext_dealloc(op, NULL);
}

static PyObject *
lock_repr(PyObject *op)
{
    celext_guard(op);
    return PyUnicode_FromFormat("<%s %s object at %p>",
                                ((lockobject *)op)->count > 0 ? "locked"
                                                              : "unlocked",
                                Py_TYPE(op)->tp_name, op);
}

static int
is_free(PyObject *op)
{
    return ((lockobject *)op)->count == 0;
}

int
lock_await(lockobject *self, cel_time deadline, const char *what)
{
    PyObject *op = (PyObject *)self;

    if (cel__unlikely(waitq_spin() < 0)) {
        return -1;
    }
    if (cel__likely(is_free(op)) || deadline == CEL_AT_ONCE) {
        return is_free(op);
    }
    return waitq_wait_for(&self->waiters, is_free, op, deadline, what);
}

void
lock_set_free(lockobject *self)
{
    self->owner = 0;
    self->count = 0;
    waitq_wake(&self->waiters);
}

static int
take(lockobject *self, cel_time deadline)
{
    if (self->again) {
        return rlock_take(self, deadline);
    }
    int code = lock_await(self, deadline, "Lock");
    if (code > 0) {
        self->count = 1;
    }
    return code;
}

static int
give(lockobject *self)
{
    if (self->again) {
        return rlock_give(self);
    }
    if (self->count == 0) {
        PyErr_SetString(PyExc_RuntimeError, "release unlocked lock");
        return -1;
    }
    lock_set_free(self);
    return 0;
}

PyDoc_STRVAR(
    lock_acquire_doc,
    "acquire($self, /, blocking=True, timeout=-1)\n"
    "--\n\n"
    "Lock the lock, waiting at most timeout seconds; -1: for ever.\n\n"
    "Suspends.  Returns whether it was locked.");

PyObject *
lock_acquire(PyObject *op, PyObject *const *values, Py_ssize_t count,
             PyObject *names)
{
    celext_guard(op);
    struct args args = {values, count, names};
    cel_time deadline;

    if (args_lock(&args, &deadline) < 0) {
        return NULL;
    }
    int code = take((lockobject *)op, deadline);
    return code < 0 ? NULL : PyBool_FromLong(code);
}

PyObject *
lock_enter(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    (void)unused;
    return take((lockobject *)op, CEL_FOREVER) < 0 ? NULL : Py_NewRef(Py_True);
}

PyDoc_STRVAR(lock_release_doc,
             "release($self, /)\n"
             "--\n\n"
             "Unlock the lock, which another may have locked, and wake one "
             "who waits.");

PyObject *
lock_release(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    (void)unused;
    return give((lockobject *)op) < 0 ? NULL : Py_NewRef(Py_None);
}

PyObject *
lock_exit(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    celext_guard(op);
    (void)args;
    (void)nargs;
    return give((lockobject *)op) < 0 ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(lock_locked_doc, "locked($self, /)\n"
                              "--\n\n"
                              "Whether somebody has locked it.");

PyObject *
lock_locked(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    (void)unused;
    return PyBool_FromLong(((lockobject *)op)->count > 0);
}

PyDoc_STRVAR(lock_reinit_doc, "_at_fork_reinit($self, /)\n"
                              "--\n\n"
                              "In a child process: as if it were new.");

PyObject *
lock_reinit(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    lockobject *self = (lockobject *)op;

    (void)unused;
    waitq_forget(&self->waiters);
    lock_set_free(self);
    Py_RETURN_NONE;
}

static PyMethodDef lock_methods[] = {
    {"acquire", (PyCFunction)(void (*)(void))lock_acquire,
     METH_FASTCALL | METH_KEYWORDS, lock_acquire_doc},
    {"acquire_lock", (PyCFunction)(void (*)(void))lock_acquire,
     METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("acquire_lock($self, /, blocking=True, timeout=-1)\n"
               "--\n\n"
               "As acquire().")},
    {"release", lock_release, METH_NOARGS, lock_release_doc},
    {"release_lock", lock_release, METH_NOARGS,
     PyDoc_STR("release_lock($self, /)\n"
               "--\n\n"
               "As release().")},
    {"locked", lock_locked, METH_NOARGS, lock_locked_doc},
    {"locked_lock", lock_locked, METH_NOARGS,
     PyDoc_STR("locked_lock($self, /)\n"
               "--\n\n"
               "As locked().")},
    {"__enter__", lock_enter, METH_NOARGS,
     PyDoc_STR("__enter__($self, /)\n"
               "--\n\n"
               "As acquire().")},
    {"__exit__", (PyCFunction)(void (*)(void))lock_exit, METH_FASTCALL,
     PyDoc_STR("__exit__($self, /, *args)\n"
               "--\n\n"
               "As release().")},
    {"_at_fork_reinit", lock_reinit, METH_NOARGS, lock_reinit_doc},
    {NULL, NULL, 0, NULL},
};

PyMemberDef lock_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(lockobject, weakreflist),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(lock_doc, "lock()\n"
                       "--\n\n"
                       "A lock that lets other greenlets run while one waits "
                       "for it.");

static PyType_Slot lock_slots[] = {
    {Py_tp_doc, (void *)lock_doc},   {Py_tp_new, lock_new},
    {Py_tp_traverse, lock_traverse}, {Py_tp_dealloc, lock_dealloc},
    {Py_tp_repr, lock_repr},         {Py_tp_methods, lock_methods},
    {Py_tp_members, lock_members},   {0, NULL},
};

static PyType_Spec lock_spec = {
    .name = "celadon.thread.lock",
    .basicsize = sizeof(lockobject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = lock_slots,
};

int
lock_register(PyObject *module, struct celext_state *state)
{
    return celext_add_type(module, &state->lock_type, &lock_spec, NULL);
}
