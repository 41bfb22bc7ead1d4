/* SPDX-License-Identifier: MIT */
/*
 * What the frames of a suspended greenlet own, for the cyclic collector.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_frames.py, torture_greenlet.py
 */
#ifndef CELEXT_FRAMES_H
#define CELEXT_FRAMES_H

#include "ext/greenlet.h"

/*
 * Whether the collector may see what the frames of `glet`, which is suspended
 * by hand, own.  Not where one is a generator's: who finds that in garbage
 * closes it first, which a generator that runs complains about.
 */
bool frames_collectable(const struct glet *glet);

/*
 * Visit what the frames of `glet`, which is suspended by hand, own: at most
 * that, for a visit too many would free what is in use.  What is only on its C
 * stack is not seen, and up to 3.13 nor is what a frame that has called C has
 * on its evaluation stack, but for the call of switch(): cycles through those
 * are not collected.
 * Returns 0, or what `visit` returned.
 */
int frames_visit(struct glet *glet, visitproc visit, void *arg);

/* As frames_visit(), but only the local variables: what frames_drop() drops,
   for a greenlet that will never run again. */
int frames_visit_locals(struct glet *glet, visitproc visit, void *arg);

/* Drop the local variables of a greenlet that will never run again, for its
   thread has ended.  May run any Python code. */
void frames_drop_locals(struct glet *glet);

/*
 * Whether frames are laid out as they were where this was compiled: `offsets`
 * are the running interpreter's debug offsets of a frame (size, previous,
 * executable, instr_ptr, localsplus, owner and, from 3.14, stackpointer).
 */
bool frames_known(const uint64_t *offsets);

/* Let CPython call the finalizer of `op` a second time. */
void frames_forget_finalized(PyObject *op);

#endif
