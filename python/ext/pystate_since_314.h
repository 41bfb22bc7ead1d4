/* SPDX-License-Identifier: MIT */
/*
 * What CPython 3.14 and 3.15 have in common.  See pystate.h for what is asked
 * of them; each of their headers includes this one after
 *
 *   pystate_own_bottom(ts)    where a new chain of frames ends
 *   pystate_own_switched(ts)  another chain is the thread's from now on
 *   pystate_own_instrument(ts)  tools of sys.monitoring came or went meanwhile
 *
 * Mirrors struct _ts in Include/cpython/pystate.h.  Recursion in C is bounded
 * by the stack's addresses, which must be those of the stack we are on: on a
 * foreign stack destructors of containers would be put off for ever
 * (Objects/object.c, _Py_Dealloc).
 *
 * current_executor: a suspended frame may return into JIT code that only this
 * field keeps alive (Include/internal/pycore_optimizer.h), so it is held by a
 * reference while the greenlet is suspended; without one every run of the
 * reference's jit.py crashed.
 */
#ifndef CELEXT_PYSTATE_SINCE_314_H
#define CELEXT_PYSTATE_SINCE_314_H

#ifdef Py_GIL_DISABLED
#error "celadon does not support free-threaded builds yet"
#endif

#define PYSTATE_STACK ((size_t)512 * 1024)

struct pystate_own {
    struct _PyInterpreterFrame *frame;
    PyObject *executor; /* current_executor; a reference while suspended */
    int depth;          /* py_recursion_limit - py_recursion_remaining */
    int tracing;
    int event;         /* what_event */
    uintptr_t version; /* of sys.monitoring's tools, see pystate_own_tools() */
};

/* What eval_breaker says of them, above its eight bits of events. */
static inline uintptr_t
pystate_own_tools(const PyThreadState *ts)
{
    return ts->eval_breaker >> 8;
}

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
pystate_own_save(PyThreadState *ts, struct pystate_own *own)
{
    own->frame = ts->current_frame;
    own->executor = Py_XNewRef(ts->current_executor);
    own->depth = ts->py_recursion_limit - ts->py_recursion_remaining;
    own->tracing = ts->tracing;
    own->event = ts->what_event;
    own->version = pystate_own_tools(ts);
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
    pystate_own_switched(ts);
    pystate_own_protect(ts, stack);
    if (cel__unlikely(own->version != pystate_own_tools(ts))) {
        pystate_own_instrument(ts);
    }
    Py_CLEAR(own->executor);
}

static inline void
pystate_own_begin(PyThreadState *ts, struct pystate_own *own,
                  const struct cel__stack *stack)
{
    own->executor = NULL;
    ts->current_frame = pystate_own_bottom(ts);
    ts->current_executor = NULL;
    ts->py_recursion_remaining = ts->py_recursion_limit;
    ts->tracing = 0;
    ts->what_event = -1;
    pystate_own_switched(ts);
    pystate_own_protect(ts, stack);
}

static inline void
pystate_own_end(PyThreadState *ts, struct pystate_own *own)
{
    (void)own;
    ts->current_frame = pystate_own_bottom(ts);
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

static inline struct _PyInterpreterFrame *
pystate_own_frame(const struct pystate_own *own)
{
    return own->frame;
}

#endif
