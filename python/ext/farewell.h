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

/*
 * Whether `glet` is the event loop of another package, or the greenlet of one:
 * it takes GreenletExit for what a callback raised and goes on, maybe for
 * ever.  Its thread ends without it, as all do with the package greenlet.
 */
bool farewell_spares(const struct glet *glet);

/* Kill those whom other threads dropped.  May run any Python code. */
void farewell_doomed(struct hub *hub);

/* For tp_traverse: what a suspended greenlet owns by its stack. */
int farewell_traverse(PyGreenlet *self, visitproc visit, void *arg);

/* For tp_clear: drop what one holds that can never run again.  Any other
   that is suspended needs them. */
void farewell_clear(PyGreenlet *self);

/* The object of `glet` is gone and its stack is not: where its thread has
   ended, drop what it refers to.  May run any Python code. */
void farewell_orphan(struct glet *glet);

/* tp_finalize of every greenlet type. */
void greenlet_finalize(PyObject *op);

/* The first thing of every tp_dealloc: whether `op` lives on. */
bool greenlet_resurrect(PyObject *op);

#endif
