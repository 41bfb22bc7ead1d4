/* SPDX-License-Identifier: MIT */
/*
 * RLock: a lock that its owner, a greenlet, may take again.
 *
 * The stand-in for _thread.RLock, with the private methods that
 * threading.Condition uses.
 *
 * Threads: any; guarded (guard.h).
 *
 * Tests: tests/python/test_lock.py
 */
#include "ext/compat.h"
#include "ext/guard.h"
#include "ext/lock.h"

static PyObject *
rlock_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    lockobject *self = (lockobject *)type->tp_alloc(type, 0);

    (void)args;
    (void)kwargs;
    if (self != NULL) {
        waitq_init(&self->waiters);
        self->again = true;
    }
    return (PyObject *)self;
}

static int
rlock_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *known[] = {"hub", NULL};
    PyObject *hub; /* nothing is bound to a hub */

    (void)op;
    return PyArg_ParseTupleAndKeywords(args, kwargs, "|O:RLock", known, &hub)
               ? 0
               : -1;
}

static PyObject *
rlock_repr(PyObject *op)
{
    celext_guard(op);
    lockobject *self = (lockobject *)op;

    return PyUnicode_FromFormat(
        "<%s %s object owner=%llu count=%zu at %p>",
        self->count > 0 ? "locked" : "unlocked", Py_TYPE(op)->tp_name,
        (unsigned long long)self->owner, self->count, op);
}

/* Who runs now; 0 with an exception where that cannot be said. */
static inline uint64_t
whoami(PyObject *op)
{
    struct cel__worker *worker = cel__worker();

    if (cel__unlikely(worker == NULL)) {
        struct hub *hub = hub_make(celext_state_of(Py_TYPE(op)));
        if (hub == NULL) {
            return 0;
        }
        worker = hub->worker;
    }
    return worker->current->id;
}

int
rlock_take(lockobject *self, cel_time deadline)
{
    uint64_t me = whoami((PyObject *)self);

    if (me == 0) {
        return -1;
    }
    if (self->owner == me) {
        if (self->count == SIZE_MAX) {
            PyErr_SetString(PyExc_OverflowError,
                            "Internal lock count overflowed");
            return -1;
        }
        self->count++;
        return 1;
    }
    int code = lock_await(self, deadline, "RLock");
    if (code > 0) {
        self->owner = me;
        self->count = 1;
    }
    return code;
}

/* Whether the one who runs is the owner; else -1 with an exception. */
static int
check_owner(lockobject *self)
{
    uint64_t me = whoami((PyObject *)self);

    if (me == 0) {
        return -1;
    }
    if (self->owner != me) {
        PyErr_SetString(PyExc_RuntimeError, "cannot release un-acquired lock");
        return -1;
    }
    return 0;
}

int
rlock_give(lockobject *self)
{
    if (check_owner(self) < 0) {
        return -1;
    }
    if (self->count > 1) {
        self->count--;
    }
    else {
        lock_set_free(self);
    }
    return 0;
}

PyDoc_STRVAR(rlock_acquire_doc,
             "acquire($self, /, blocking=True, timeout=-1)\n"
             "--\n\n"
             "Take the lock, once more if it is one's own, waiting at most "
             "timeout seconds;\n-1: for ever.\n\n"
             "Suspends.  Returns whether it was taken.");

PyDoc_STRVAR(rlock_release_doc,
             "release($self, /)\n"
             "--\n\n"
             "Give the lock back once; after the last time it is free.");

PyDoc_STRVAR(rlock_is_owned_doc, "_is_owned($self, /)\n"
                                 "--\n\n"
                                 "Whether the calling greenlet has it.");

static PyObject *
rlock_is_owned(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    uint64_t me = whoami(op);

    (void)unused;
    if (me == 0) {
        return NULL;
    }
    return PyBool_FromLong(((lockobject *)op)->owner == me);
}

PyDoc_STRVAR(rlock_recursion_count_doc,
             "_recursion_count($self, /)\n"
             "--\n\n"
             "How often the calling greenlet has taken it.");

static PyObject *
rlock_recursion_count(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    lockobject *self = (lockobject *)op;
    uint64_t me = whoami(op);

    (void)unused;
    if (me == 0) {
        return NULL;
    }
    return PyLong_FromSize_t(self->owner == me ? self->count : 0);
}

PyDoc_STRVAR(rlock_release_save_doc,
             "_release_save($self, /)\n"
             "--\n\n"
             "Give it up entirely; returns what _acquire_restore() takes.");

static PyObject *
rlock_release_save(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    lockobject *self = (lockobject *)op;

    (void)unused;
    if (check_owner(self) < 0) {
        return NULL;
    }
    PyObject *saved = Py_BuildValue("(nK)", (Py_ssize_t)self->count,
                                    (unsigned long long)self->owner);
    if (saved != NULL) {
        lock_set_free(self);
    }
    return saved;
}

PyDoc_STRVAR(rlock_acquire_restore_doc,
             "_acquire_restore($self, state, /)\n"
             "--\n\n"
             "Take it again as often as before _release_save().\n\n"
             "Suspends.  An exception that comes meanwhile is raised once it "
             "is taken.");

static PyObject *
rlock_acquire_restore(PyObject *op, PyObject *state)
{
    celext_guard(op);
    lockobject *self = (lockobject *)op;
    Py_ssize_t count;
    PyObject *owner;

    if (!PyTuple_Check(state) ||
        !PyArg_ParseTuple(state, "nO:_acquire_restore", &count, &owner)) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_TypeError,
                            "_acquire_restore() needs a tuple");
        }
        return NULL;
    }
    PyObject *deferred = NULL;
    if (rlock_take(self, CEL_FOREVER) < 0) {
        /* The caller is in a `with` block that will release it, so a kill
           has to wait.  The second one must not: the lock may be lost. */
        deferred = celext_take_raised();
        if (rlock_take(self, CEL_FOREVER) < 0) {
            Py_XDECREF(deferred);
            return NULL;
        }
    }
    self->count = (size_t)count;
    if (deferred != NULL) {
        celext_raise(deferred);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef rlock_methods[] = {
    {"acquire", (PyCFunction)(void (*)(void))lock_acquire,
     METH_FASTCALL | METH_KEYWORDS, rlock_acquire_doc},
    {"release", lock_release, METH_NOARGS, rlock_release_doc},
    {"locked", lock_locked, METH_NOARGS,
     PyDoc_STR("locked($self, /)\n"
               "--\n\n"
               "Whether somebody has taken it.")},
    {"__enter__", lock_enter, METH_NOARGS,
     PyDoc_STR("__enter__($self, /)\n"
               "--\n\n"
               "As acquire().")},
    {"__exit__", (PyCFunction)(void (*)(void))lock_exit, METH_FASTCALL,
     PyDoc_STR("__exit__($self, /, *args)\n"
               "--\n\n"
               "As release().")},
    {"_is_owned", rlock_is_owned, METH_NOARGS, rlock_is_owned_doc},
    {"_recursion_count", rlock_recursion_count, METH_NOARGS,
     rlock_recursion_count_doc},
    {"_release_save", rlock_release_save, METH_NOARGS, rlock_release_save_doc},
    {"_acquire_restore", rlock_acquire_restore, METH_O,
     rlock_acquire_restore_doc},
    {"_at_fork_reinit", lock_reinit, METH_NOARGS,
     PyDoc_STR("_at_fork_reinit($self, /)\n"
               "--\n\n"
               "In a child process: as if it were new.")},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(rlock_doc, "RLock(hub=None)\n"
                        "--\n\n"
                        "A lock that the greenlet which has it may take "
                        "again.  hub is ignored.");

static PyType_Slot rlock_slots[] = {
    {Py_tp_doc, (void *)rlock_doc},
    {Py_tp_new, rlock_new},
    {Py_tp_init, rlock_init},
    {Py_tp_traverse, lock_traverse},
    {Py_tp_dealloc, lock_dealloc},
    {Py_tp_repr, rlock_repr},
    {Py_tp_methods, rlock_methods},
    {Py_tp_members, lock_members},
    {0, NULL},
};

static PyType_Spec rlock_spec = {
    .name = "celadon.lock.RLock",
    .basicsize = sizeof(lockobject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = rlock_slots,
};

int
rlock_register(PyObject *module, struct celext_state *state)
{
    return celext_add_type(module, &state->rlock_type, &rlock_spec, NULL);
}
