/* SPDX-License-Identifier: MIT */
/*
 * The death of suspended greenlets.
 *
 * Threads: with the GIL.
 */
#ifndef CELEXT_FAREWELL_H
#define CELEXT_FAREWELL_H

#include "ext/greenlet.h"

/*
 * Throw GreenletExit into `self`, which is ACTIVE, suspended and of this
 * thread; what it ends with comes to the caller, an error is reported.
 * Suspends.  Returns whether it has finished.
 */
bool glet_kill(struct hub *hub, PyGreenlet *self);

/* Kill those whom other threads dropped.  May run any Python code. */
void farewell_doomed(struct hub *hub);

/* tp_finalize of every greenlet type. */
void greenlet_finalize(PyObject *op);

/* The first thing of every tp_dealloc: whether `op` lives on. */
bool greenlet_resurrect(PyObject *op);

#endif
