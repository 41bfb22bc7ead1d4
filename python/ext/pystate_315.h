/* SPDX-License-Identifier: MIT */
/*
 * CPython 3.15.  See pystate.h for what is asked of this file.
 *
 * Mirrors struct _ts in Include/cpython/pystate.h.  As 3.14, and: the chain
 * of frames ends at the thread's base_frame, where profilers expect it to;
 * last_profiled_frame caches a frame for them and is dropped at each switch
 * (gh-151613).  jit_exit is transient and stays with the thread.
 */
#ifndef CELEXT_PYSTATE_315_H
#define CELEXT_PYSTATE_315_H

#ifdef Py_GIL_DISABLED
#error "celadon does not support free-threaded builds yet"
#endif

#define PYSTATE_STACK ((size_t)512 * 1024)

struct pystate_own {
    struct _PyInterpreterFrame *frame;
    PyObject *executor; /* current_executor; a reference while suspended */
    int depth;          /* py_recursion_limit - py_recursion_remaining */
    int tracing;
    int event; /* what_event */
};

static inline void
pystate_own_protect(PyThreadState *ts, const struct cel__stack *stack)
{
    if (stack->low == NULL) {
        PyUnstable_ThreadState_ResetStackProtection(ts);
    }
    else {
        /* Fails only for stacks below 48 KiB, which ours never are. */
        (void)PyUnstable_ThreadState_SetStackProtection(
            ts, stack->low, (size_t)(stack->top - stack->low));
    }
}

static inline void
pystate_own_unprofile(PyThreadState *ts)
{
    ts->last_profiled_frame = NULL;
    ts->last_profiled_frame_seq++;
}

static inline void
pystate_own_save(PyThreadState *ts, struct pystate_own *own)
{
    own->frame = ts->current_frame;
    own->executor = Py_XNewRef(ts->current_executor);
    own->depth = ts->py_recursion_limit - ts->py_recursion_remaining;
    own->tracing = ts->tracing;
    own->event = ts->what_event;
}

static inline void
pystate_own_load(PyThreadState *ts, struct pystate_own *own,
                 const struct cel__stack *stack)
{
    ts->current_frame = own->frame;
    ts->current_executor = own->executor;
    ts->py_recursion_remaining = ts->py_recursion_limit - own->depth;
    ts->tracing = own->tracing;
    ts->what_event = own->event;
    pystate_own_unprofile(ts);
    pystate_own_protect(ts, stack);
    Py_CLEAR(own->executor);
}

static inline void
pystate_own_begin(PyThreadState *ts, struct pystate_own *own,
                  const struct cel__stack *stack)
{
    own->executor = NULL;
    ts->current_frame = ts->base_frame;
    ts->current_executor = NULL;
    ts->py_recursion_remaining = ts->py_recursion_limit;
    ts->tracing = 0;
    ts->what_event = -1;
    pystate_own_unprofile(ts);
    pystate_own_protect(ts, stack);
}

static inline void
pystate_own_end(PyThreadState *ts, struct pystate_own *own)
{
    (void)own;
    ts->current_frame = ts->base_frame;
}

static inline void
pystate_own_swap_frame(PyThreadState *ts, struct pystate_own *own)
{
    struct _PyInterpreterFrame *frame = ts->current_frame;

    ts->current_frame = own->frame;
    own->frame = frame;
}

static inline int
pystate_own_nesting(const PyThreadState *ts)
{
    (void)ts;
    return -1;
}

#endif
