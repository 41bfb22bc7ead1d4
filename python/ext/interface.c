/* SPDX-License-Identifier: MIT */
/*
 * What greenlet's module has besides its type: counters and switches.
 *
 * Cleaning up.  A thread that ends kills what is suspended in it, at once and
 * in any case; nothing of that is optional here.  The switch turns on and off
 * whether the processor time of it is measured.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_greenlet_face.py
 */
#include <time.h>

#include "ext/compat.h"
#include "ext/hub.h"
#include "ext/pystate.h"

static PyObject *
set_thread_local(PyObject *module, PyObject *args)
{
    PyObject *key;
    PyObject *value;
    PyObject *dict = PyThreadState_GetDict();

    (void)module;
    if (!PyArg_UnpackTuple(args, "set_thread_local", 2, 2, &key, &value)) {
        return NULL;
    }
    if (dict == NULL) {
        return PyErr_NoMemory();
    }
    if (PyDict_SetItem(dict, key, value) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
get_pending_cleanup_count(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyLong_FromSsize_t(hub_totals.ending);
}

static PyObject *
get_total_main_greenlets(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyLong_FromSsize_t(hub_totals.made);
}

static PyObject *
enable_optional_cleanup(PyObject *module, PyObject *flag)
{
    int truth = PyObject_IsTrue(flag);

    (void)module;
    if (truth < 0) {
        return NULL;
    }
    if (truth == 0) {
        hub_totals.clocks = 0;
    }
    hub_totals.timed = truth;
    Py_RETURN_NONE;
}

static PyObject *
get_clocks(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    if (!hub_totals.timed) {
        Py_RETURN_NONE;
    }
    return PyLong_FromLong(hub_totals.clocks);
}

static PyObject *
get_tstate_trash_delete_nesting(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyLong_FromLong(pystate_own_nesting(PyThreadState_Get()));
}

/* Only where there is such a thing. */
static PyMethodDef nesting_methods[] = {
    {"get_tstate_trash_delete_nesting", get_tstate_trash_delete_nesting,
     METH_NOARGS,
     PyDoc_STR("get_tstate_trash_delete_nesting($module, /)\n--\n\n"
               "How deep CPython's trashcan is nested.")},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef interface_methods[] = {
    {"set_thread_local", set_thread_local, METH_VARARGS,
     PyDoc_STR("set_thread_local($module, key, value, /)\n--\n\n"
               "Keep value in the dictionary of the thread's state.")},
    {"get_pending_cleanup_count", get_pending_cleanup_count, METH_NOARGS,
     PyDoc_STR("get_pending_cleanup_count($module, /)\n--\n\n"
               "How many threads are just ending their greenlets.")},
    {"get_total_main_greenlets", get_total_main_greenlets, METH_NOARGS,
     PyDoc_STR("get_total_main_greenlets($module, /)\n--\n\n"
               "How many main greenlets there are, of threads that have ended "
               "as well.")},
    {"enable_optional_cleanup", enable_optional_cleanup, METH_O,
     PyDoc_STR("enable_optional_cleanup($module, flag, /)\n--\n\n"
               "Whether the processor time is measured in which ending "
               "threads clean up.\n\nThey do in any case.")},
    {"get_clocks_used_doing_optional_cleanup", get_clocks, METH_NOARGS,
     PyDoc_STR("get_clocks_used_doing_optional_cleanup($module, /)\n--\n\n"
               "The processor time, in CLOCKS_PER_SEC, in which ending "
               "threads cleaned up;\nNone where it is not measured.")},
    {NULL, NULL, 0, NULL},
};

int
interface_register(PyObject *module, struct celext_state *state)
{
    static const char *const true_of_us[] = {
        "GREENLET_USE_GC",
        "GREENLET_USE_TRACING",
        "GREENLET_USE_CONTEXT_VARS",
        "GREENLET_USE_STANDARD_THREADING",
    };
    int err = PyModule_AddFunctions(module, interface_methods);

    (void)state;
    if (err == 0 && pystate_own_nesting(PyThreadState_Get()) >= 0) {
        err = PyModule_AddFunctions(module, nesting_methods);
    }
    for (size_t i = 0;
         err == 0 && i < sizeof(true_of_us) / sizeof(*true_of_us); i++) {
        err = PyModule_AddIntConstant(module, true_of_us[i], 1);
    }
    return err < 0 ? -1
                   : PyModule_AddIntConstant(module, "CLOCKS_PER_SEC",
                                             CLOCKS_PER_SEC);
}
