/* SPDX-License-Identifier: MIT */
/*
 * Arguments of methods called by vectorcall.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_lock.py, test_event.py
 */
#include "ext/args.h"

/* CPython's threading.TIMEOUT_MAX: microseconds in 63 bits. */
#define TIMEOUT_MAX 9223372036.0

/* Whether anything was given at all. */
static inline bool
nothing(const struct args *args)
{
    return args->count == 0 && args->names == NULL;
}

int
args_timeout(const char *function, const struct args *args, cel_time *deadline)
{
    static const char *const known[] = {"timeout", NULL};
    PyObject *timeout = NULL;

    *deadline = CEL_FOREVER;
    if (nothing(args)) {
        return 0;
    }
    if (celext_arguments(function, known, args->values, args->count,
                         args->names, &timeout) < 0) {
        return -1;
    }
    return celext_deadline(timeout, deadline);
}

int
args_blocking(const char *function, const char *blocking,
              const struct args *args, cel_time *deadline, PyObject **timeout)
{
    const char *const known[] = {blocking, "timeout", NULL};
    PyObject *given[2] = {NULL, NULL};

    *deadline = CEL_FOREVER;
    *timeout = NULL;
    if (nothing(args)) {
        return 0;
    }
    if (celext_arguments(function, known, args->values, args->count,
                         args->names, given) < 0) {
        return -1;
    }
    int blocks = given[0] == NULL ? 1 : PyObject_IsTrue(given[0]);
    if (blocks <= 0) {
        *deadline = CEL_AT_ONCE;
        return blocks;
    }
    *timeout = given[1];
    return celext_deadline(given[1], deadline);
}

int
args_lock(const struct args *args, cel_time *deadline)
{
    static const char *const known[] = {"blocking", "timeout", NULL};
    PyObject *given[2] = {NULL, NULL};
    double seconds = -1;

    *deadline = CEL_FOREVER;
    if (nothing(args)) {
        return 0;
    }
    if (celext_arguments("acquire", known, args->values, args->count,
                         args->names, given) < 0) {
        return -1;
    }
    int blocking = given[0] == NULL ? 1 : PyObject_IsTrue(given[0]);
    if (given[1] != NULL) {
        seconds = PyFloat_AsDouble(given[1]);
    }
    if (blocking < 0 || (seconds == -1 && PyErr_Occurred())) {
        return -1;
    }
    if (!blocking) {
        *deadline = CEL_AT_ONCE;
        if (seconds != -1) {
            PyErr_SetString(PyExc_ValueError,
                            "can't specify a timeout for a non-blocking call");
            return -1;
        }
        return 0;
    }
    if (seconds == -1) {
        return 0;
    }
    if (seconds < 0) {
        PyErr_SetString(PyExc_ValueError,
                        "timeout value must be a non-negative number");
        return -1;
    }
    if (seconds > TIMEOUT_MAX) {
        PyErr_SetString(PyExc_OverflowError, "timeout value is too large");
        return -1;
    }
    return celext_deadline(given[1], deadline);
}

bool
args_none(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (type->tp_init != PyBaseObject_Type.tp_init ||
        (PyTuple_GET_SIZE(args) == 0 &&
         (kwargs == NULL || PyDict_GET_SIZE(kwargs) == 0))) {
        return true;
    }
    PyErr_Format(PyExc_TypeError, "%.200s() takes no arguments",
                 type->tp_name);
    return false;
}
