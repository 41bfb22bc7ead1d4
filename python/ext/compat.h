/* SPDX-License-Identifier: MIT */
/*
 * Public CPython calls that not every supported version has.
 *
 * Threads: with the GIL.
 */
#ifndef CELEXT_COMPAT_H
#define CELEXT_COMPAT_H

#include "ext/state.h"

/* The exception that is set, as a normalised instance with its traceback,
   new; none is set after.  NULL where none was. */
static inline PyObject *
celext_take_raised(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type;
    PyObject *value;
    PyObject *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    if (type == NULL) {
        return NULL;
    }
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) {
        (void)PyException_SetTraceback(value, traceback);
        Py_DECREF(traceback);
    }
    Py_DECREF(type);
    return value;
#endif
}

/* Raise the instance `exc` with the traceback it has; stolen. */
static inline void
celext_raise(PyObject *exc)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(exc);
#else
    PyErr_Restore(Py_NewRef(Py_TYPE(exc)), exc, PyException_GetTraceback(exc));
#endif
}

/* Whether the interpreter is going down. */
static inline bool
celext_finalizing(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    return Py_IsFinalizing();
#else
    return _Py_IsFinalizing();
#endif
}

/* PyObject_GenericGetAttr() and PyObject_GenericSetAttr() of an object whose
   dict now is `dict`: what stands at tp_dictoffset, or, where threads may each
   have another, what they must go by instead. */
#ifdef Py_GIL_DISABLED
PyAPI_FUNC(PyObject *)
    _PyObject_GenericGetAttrWithDict(PyObject *op, PyObject *name,
                                     PyObject *dict, int suppress);
PyAPI_FUNC(int)
    _PyObject_GenericSetAttrWithDict(PyObject *op, PyObject *name,
                                     PyObject *value, PyObject *dict);
#endif

static inline PyObject *
celext_get_attr(PyObject *op, PyObject *name, PyObject *dict)
{
#ifdef Py_GIL_DISABLED
    return _PyObject_GenericGetAttrWithDict(op, name, dict, 0);
#else
    (void)dict;
    return PyObject_GenericGetAttr(op, name);
#endif
}

static inline int
celext_set_attr(PyObject *op, PyObject *name, PyObject *value, PyObject *dict)
{
#ifdef Py_GIL_DISABLED
    return _PyObject_GenericSetAttrWithDict(op, name, value, dict);
#else
    (void)dict;
    return PyObject_GenericSetAttr(op, name, value);
#endif
}

/* Report the exception that is set as the end of a thread that began with
   `function`; none is set after. */
static inline void
celext_thread_failed(PyObject *function)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyErr_FormatUnraisable("Exception ignored in thread started by %R",
                           function);
#else
    _PyErr_WriteUnraisableMsg("in thread started by", function);
#endif
}

/* The module slot that says that threads may run at the same time (3.13). */
#ifdef Py_GIL_DISABLED
#define CELEXT_NO_GIL {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#else
#define CELEXT_NO_GIL
#endif

/* The module slot that refuses subinterpreters: a hub belongs to an OS thread,
   which may not have two.  From 3.12 on there is a word for it. */
#if PY_VERSION_HEX >= 0x030C0000
#define CELEXT_ONE_INTERPRETER                                                \
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#else
#define CELEXT_ONE_INTERPRETER
#endif

#endif
