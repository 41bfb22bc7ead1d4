/* SPDX-License-Identifier: MIT */
/*
 * Switching by hand: who is reached, what is handed over, tracing.
 *
 * Threads: with the GIL, the hub's thread.
 */
#ifndef CELEXT_SWITCH_H
#define CELEXT_SWITCH_H

#include "ext/greenlet.h"

/*
 * The greenlet that a switch to `first` reaches: itself, or the nearest parent
 * that has not finished; ACTIVE, or UNSTARTED and with its `run` looked up.
 * May run any Python code.  New, or NULL with an exception.
 */
PyGreenlet *switch_target(struct hub *hub, PyGreenlet *first);

/* GreenletExit ends a greenlet as if it had returned it: take it out of `*exc`
   (may be NULL).  New, or NULL where it is none. */
PyObject *switch_exit(struct hub *hub, PyObject **exc);

/* Call the trace function for a switch to the current greenlet from the one
   in hub->leaving.  `*exc` is what was thrown, or NULL; it may be replaced. */
void switch_trace(struct hub *hub, PyObject **exc);

/* The first thing after a switch by hand; may run any Python code. */
static inline void
switch_arrive(struct hub *hub, PyObject **exc)
{
    if (cel__unlikely(hub->tracefunc != NULL)) {
        switch_trace(hub, exc);
    }
    hub_tidy(hub);
}

#endif
