/* SPDX-License-Identifier: MIT */
/*
 * CPython 3.15.  See pystate_since_314.h.
 *
 * The chain of frames ends at the thread's base_frame, where profilers expect
 * it to.  last_profiled_frame caches a frame for them and is dropped at each
 * switch (gh-151613).  jit_exit is transient and stays with the thread.
 *
 * When sys.monitoring gets a tool, a profiler for one, CPython instruments
 * what it finds on the stacks, and takes it for granted where an exception
 * leaves a frame (Python/instrumentation.c; gen.throw() does it by hand, too:
 * Python/ceval.c).  What was suspended then is instrumented when it returns.
 */
#ifndef CELEXT_PYSTATE_315_H
#define CELEXT_PYSTATE_315_H

/* Among the debug offsets, see pystate.c. */
#define PYSTATE_OF_INTERP 16
#define PYSTATE_CHUNK_AT  10
#define PYSTATE_FRAME_AT  17

static inline struct _PyInterpreterFrame *
pystate_own_bottom(PyThreadState *ts)
{
    return ts->base_frame;
}

static inline void
pystate_own_switched(PyThreadState *ts)
{
    ts->last_profiled_frame = NULL;
    ts->last_profiled_frame_seq++;
}

/* In frames.c. */
void pystate_own_instrument(PyThreadState *ts);

#include "ext/pystate_since_314.h"

#endif
