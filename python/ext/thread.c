/* SPDX-License-Identifier: MIT */
/*
 * What patched `_thread` and `threading` need of the engine.
 *
 * A greenlet is known by the address of its object, the main greenlet and
 * the hub by the identity of their OS thread; so identities made before
 * patching stay right, and asking makes no hub.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_threading.py, test_fork.py
 */
#include "ext/compat.h"
#include "ext/greenlet.h"
#include "ext/hub.h"
#include "os/forsake.h"

PyDoc_STRVAR(thread_get_ident_doc,
             "get_ident($module, /)\n"
             "--\n\n"
             "A number that no other living thread or greenlet has.");

static PyObject *
thread_get_ident(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    struct cel__worker *worker = cel__worker();

    if (worker != NULL && worker->embedder != NULL) {
        const struct glet *me = hub_current(worker->embedder);
        if (!me->is_main && !me->is_hub) {
            return PyLong_FromVoidPtr(me->self);
        }
    }
    return PyLong_FromUnsignedLong(PyThread_get_thread_ident());
}

PyDoc_STRVAR(thread_failed_doc,
             "thread_failed($module, function, exc, /)\n"
             "--\n\n"
             "Tell sys.unraisablehook that a thread which began with function "
             "ended in exc.");

static PyObject *
thread_failed(PyObject *module, PyObject *args)
{
    PyObject *function;
    PyObject *exc;

    (void)module;
    if (!PyArg_ParseTuple(args, "OO!:thread_failed", &function,
                          PyExc_BaseException, &exc)) {
        return NULL;
    }
    celext_raise(Py_NewRef(exc));
    celext_thread_failed(function);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(thread_forsake_others_doc,
             "forsake_others($module, /)\n"
             "--\n\n"
             "In a child after fork: let no other greenlet of this thread "
             "run again.\n\n"
             "Those that have switched to another by hand stay: they are "
             "part of what runs.");

static PyObject *
thread_forsake_others(PyObject *module, PyObject *unused)
{
    struct cel__worker *worker = cel__worker();

    (void)module;
    (void)unused;
    if (worker != NULL && worker->embedder != NULL) {
        const struct hub *hub = worker->embedder;
        cel__forsake_others(worker, &hub->glet->coro);
    }
    Py_RETURN_NONE;
}

static PyMethodDef thread_functions[] = {
    {"forsake_others", thread_forsake_others, METH_NOARGS,
     thread_forsake_others_doc},
    {"get_ident", thread_get_ident, METH_NOARGS, thread_get_ident_doc},
    {"thread_failed", thread_failed, METH_VARARGS, thread_failed_doc},
    {NULL, NULL, 0, NULL},
};

int
thread_register(PyObject *module, struct celext_state *state)
{
    (void)state;
    return PyModule_AddFunctions(module, thread_functions);
}
