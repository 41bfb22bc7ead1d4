/* SPDX-License-Identifier: MIT */
/*
 * asyncio's running loop and task, by the functions of its C half.
 *
 * The fields themselves are in the internal part of the thread state, whose
 * offsets change within a minor version.  None of the calls makes an object
 * that the collector tracks, so nothing else runs in them.
 *
 * Threads: with the GIL, the hub's thread.
 */
#include "ext/pystate_loop.h"

/* Since 3.14 the task is the thread's; before, it is the loop's. */
static bool
has_task(void)
{
    return Py_Version >= 0x030E0000;
}

/* Call _asyncio.NAME(*args).  Returns what it does, new; NULL where asyncio
   is not in use or the call failed, which is reported. */
static PyObject *
call_asyncio(const char *name, PyObject *const *args, size_t nargs)
{
    PyObject *key = PyUnicode_InternFromString("_asyncio");
    PyObject *module = key == NULL ? NULL : PyImport_GetModule(key);
    PyObject *function = NULL;
    PyObject *result = NULL;

    if (module != NULL) {
        function = PyObject_GetAttrString(module, name);
    }
    if (function != NULL) {
        result = PyObject_Vectorcall(function, args, nargs, NULL);
    }
    if (PyErr_Occurred()) {
        PyErr_WriteUnraisable(function);
    }
    Py_XDECREF(function);
    Py_XDECREF(module);
    Py_XDECREF(key);
    return result;
}

/* Make `task` (borrowed) the running one of `loop`; returns the one before,
   new, or NULL. */
static PyObject *
swap_task(PyObject *loop, PyObject *task)
{
    PyObject *args[] = {loop, task};

    return call_asyncio("_swap_current_task", args, 2);
}

static void
set_loop(PyObject *loop)
{
    Py_XDECREF(call_asyncio("_set_running_loop", &loop, 1));
}

void
pystate_loop_put_away(PyThreadState *ts, struct pystate_loop *away)
{
    away->finalizer = ts->async_gen_finalizer;
    ts->async_gen_firstiter = NULL;
    ts->async_gen_finalizer = NULL;
    away->task = NULL;
    away->loop = call_asyncio("_get_running_loop", NULL, 0);
    if (away->loop == Py_None) {
        Py_CLEAR(away->loop); /* trio's, or one of the user's making */
    }
    if (away->loop == NULL) {
        return;
    }
    if (has_task()) {
        away->task = swap_task(away->loop, Py_None);
    }
    set_loop(Py_None);
}

void
pystate_loop_restore(PyThreadState *ts, struct pystate_loop *away)
{
    PyObject *firstiter = ts->async_gen_firstiter;
    PyObject *finalizer = ts->async_gen_finalizer;

    ts->async_gen_firstiter = away->firstiter;
    ts->async_gen_finalizer = away->finalizer;
    if (away->loop != NULL) {
        set_loop(away->loop);
    }
    if (away->task != NULL && away->task != Py_None) {
        Py_XDECREF(swap_task(away->loop, away->task));
    }
    Py_XDECREF(away->loop);
    Py_XDECREF(away->task);
    Py_XDECREF(firstiter);
    Py_XDECREF(finalizer);
}
