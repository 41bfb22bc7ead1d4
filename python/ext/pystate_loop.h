/* SPDX-License-Identifier: MIT */
/*
 * The event loop of asyncio that a thread runs, and the greenlet that runs it.
 *
 * asyncio keeps its running loop and task by thread, and tells by them whether
 * a call comes from the loop's own thread: then it wakes nobody up.  While the
 * greenlet that runs a loop waits, others run in the thread, threads of a
 * patched program among them; to these the loop is another thread's.  So it is
 * put away for the wait.  Greenlets that switch by hand share it, as they
 * share all of their thread: greenlet's users rely on that.
 *
 * Whoever runs a loop is known by the hooks for asynchronous generators, which
 * every loop sets (asyncio, uvloop, trio) and which go with it.
 *
 * Threads: with the GIL, the hub's thread.
 *
 * Tests: tests/python/test_asyncio.py
 */
#ifndef CELEXT_PYSTATE_LOOP_H
#define CELEXT_PYSTATE_LOOP_H

#include "ext/state.h"

#include "base/check.h"

/* What was put away; each owned, or NULL. */
struct pystate_loop {
    PyObject *firstiter; /* the hook; NULL: no loop is run */
    PyObject *finalizer;
    PyObject *loop;
    PyObject *task;
};

/* What the two below do where there is a loop. */
void pystate_loop_put_away(PyThreadState *ts, struct pystate_loop *away);
void pystate_loop_restore(PyThreadState *ts, struct pystate_loop *away);

/* Before a wait, with no exception set. */
static inline void
pystate_loop_leave(PyThreadState *ts, struct pystate_loop *away)
{
    away->firstiter = ts->async_gen_firstiter;
    if (cel__unlikely(away->firstiter != NULL)) {
        pystate_loop_put_away(ts, away);
    }
}

/* After it, with no exception set. */
static inline void
pystate_loop_enter(PyThreadState *ts, struct pystate_loop *away)
{
    if (cel__unlikely(away->firstiter != NULL)) {
        pystate_loop_restore(ts, away);
    }
}

#endif
