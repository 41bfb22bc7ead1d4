/* SPDX-License-Identifier: MIT */
/*
 * Python callables that block, called on a thread of the pool.
 *
 * Threads: with the GIL.
 */
#ifndef CELEXT_OFFLOAD_H
#define CELEXT_OFFLOAD_H

#include "ext/state.h"

/*
 * callable(*args, **kwargs) on a thread, while the other greenlets run; where
 * the caller can't wait (in the hub), or there is no thread to be had, it is
 * called on the spot.  `kwargs` may be NULL.
 *
 * Suspends.  A caller that is killed or timed out leaves at once; the call
 * then runs to its end without it.  Returns the result, new, or NULL with
 * the call's exception or what ended the wait.
 */
PyObject *offload_call(struct celext_state *state, PyObject *callable,
                       PyObject *args, PyObject *kwargs);

/* How many threads of the pool have a Python thread state.  They wake nobody
   but who waits for their call, and that is counted as expected. */
int offload_states(void);

#endif
