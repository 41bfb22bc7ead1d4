/* SPDX-License-Identifier: MIT */
/*
 * Arguments of methods called by vectorcall, one function a signature shape.
 *
 * Threads: with the GIL.
 */
#ifndef CELEXT_ARGS_H
#define CELEXT_ARGS_H

#include "ext/hub.h"

/* What a call was given, as METH_FASTCALL | METH_KEYWORDS brings it. */
struct args {
    PyObject *const *values;
    Py_ssize_t count; /* by position */
    PyObject *names;  /* of the values behind those, or NULL */
};

/* (timeout=None).  Returns 0, or -1 with an exception. */
int args_timeout(const char *function, const struct args *args,
                 cel_time *deadline);

/*
 * (blocking=True, timeout=None), where `blocking` may have another name; not
 * blocking is CEL_AT_ONCE.  `*timeout` is what was given, borrowed, or NULL.
 * Returns 0, or -1 with an exception.
 */
int args_blocking(const char *function, const char *blocking,
                  const struct args *args, cel_time *deadline,
                  PyObject **timeout);

/*
 * (blocking=True, timeout=-1) as _thread.lock.acquire() has it, with its
 * errors; not blocking is CEL_AT_ONCE.  Returns 0, or -1 with an exception.
 */
int args_lock(const struct args *args, cel_time *deadline);

/* Whether `type`, if it has no __init__ of its own, is made without
   arguments; else false with TypeError. */
bool args_none(PyTypeObject *type, PyObject *args, PyObject *kwargs);

#endif
