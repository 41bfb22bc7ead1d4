/* SPDX-License-Identifier: MIT */
/*
 * Starting greenlets from C.
 *
 * Threads: with the GIL.
 */
#ifndef CELEXT_TASK_H
#define CELEXT_TASK_H

#include "ext/hub.h"

/*
 * Start a Greenlet that calls args[0](*args[1:], **keywords): the arguments of
 * a vectorcall.  New, or NULL with an exception.  Does not suspend.
 */
PyObject *celext_spawn(struct hub *hub, PyObject *const *args,
                       Py_ssize_t nargs, PyObject *names);

/*
 * Start a raw greenlet, child of the hub, that calls func(*args, **kwargs);
 * `args` and `kwargs` (may be NULL) are stolen.  New, or NULL with an
 * exception.  Does not suspend.
 */
PyObject *celext_spawn_call(struct hub *hub, PyObject *func, PyObject *args,
                            PyObject *kwargs);

#endif
