/* SPDX-License-Identifier: MIT */
/*
 * Who runs: the identity that patched `_thread` and `threading` go by.
 *
 * A greenlet is known by the address of its object, the main greenlet and
 * the hub by the identity of their OS thread; so identities made before
 * patching stay right, and asking makes no hub.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_threading.py
 */
#include "ext/greenlet.h"
#include "ext/hub.h"

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

static PyMethodDef thread_functions[] = {
    {"get_ident", thread_get_ident, METH_NOARGS, thread_get_ident_doc},
    {NULL, NULL, 0, NULL},
};

int
thread_register(PyObject *module, struct celext_state *state)
{
    (void)state;
    return PyModule_AddFunctions(module, thread_functions);
}
