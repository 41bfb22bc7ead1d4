/* SPDX-License-Identifier: MIT */
/*
 * Looking at a greenlet: whether it is dead, its frame, its context, its
 * repr().  Slots and getters of the greenlet type.
 *
 * Threads: with the GIL; free-threaded any, and one that is not the
 * greenlet's own is told what was true a moment ago.
 */
#ifndef CELEXT_LOOK_H
#define CELEXT_LOOK_H

#include "ext/greenlet.h"

PyObject *look_dead(PyObject *op, void *unused);

/* Its topmost frame while it is suspended, else None. */
PyObject *look_frame(PyObject *op, void *unused);

/* Its contextvars.Context or None; ValueError where it runs in another
   thread. */
PyObject *look_context(PyObject *op, void *unused);
int look_set_context(PyObject *op, PyObject *value, void *unused);

/* Bytes of C stack in use while it is suspended, else 0. */
PyObject *look_stack_saved(PyObject *op, void *unused);

PyObject *look_repr(PyObject *op);

/* Whether it has started and not finished. */
int look_bool(PyObject *op);

#endif
