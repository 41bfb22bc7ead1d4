/* SPDX-License-Identifier: MIT */
/*
 * CPython 3.11.  See pystate.h for what is asked of this file.
 *
 * Mirrors struct _ts in Include/cpython/pystate.h.  Switched: cframe (it lives
 * on the C stack, and the current frame in it), the recursion depth, the depth
 * of tracing, the nesting of the trashcan.  Left with the thread: the trace
 * and profile functions, trash_delete_later, everything by thread identity.
 *
 * cframe->use_tracing says whether this eval loop calls the trace function; it
 * is computed anew at each load, for settrace() may have come meanwhile
 * (Python/pystate.c, _PyThreadState_UpdateTracingState).
 */
#ifndef CELEXT_PYSTATE_311_H
#define CELEXT_PYSTATE_311_H

/* One counter serves Python and C recursion, a thousand levels by default, and
   nothing asks how much stack is left.  A level of sorted() with a key that
   calls sorted() takes 5 KiB, one of ctypes 2.5 KiB, of other calls up to 1
   KiB: 2.5 MiB to the RecursionError.  What is not touched costs nothing, but
   for page tables: 2 KiB more a greenlet than stacks of 1 MiB would. */
#define PYSTATE_STACK ((size_t)4 * 1024 * 1024)

struct pystate_own {
    _PyCFrame *cframe;
    int depth; /* recursion_limit - recursion_remaining */
    int tracing;
    int nesting; /* of the trashcan */
    _PyCFrame base;
};

static inline void
pystate_own_save(PyThreadState *ts, struct pystate_own *own)
{
    own->cframe = ts->cframe;
    own->depth = ts->recursion_limit - ts->recursion_remaining;
    own->tracing = ts->tracing;
    own->nesting = ts->trash_delete_nesting;
}

static inline void
pystate_own_trace(PyThreadState *ts)
{
    bool use = ts->tracing == 0 &&
               (ts->c_tracefunc != NULL || ts->c_profilefunc != NULL);

    ts->cframe->use_tracing = use ? 255 : 0;
}

static inline void
pystate_own_load(PyThreadState *ts, struct pystate_own *own,
                 const struct cel__stack *stack)
{
    (void)stack;
    ts->cframe = own->cframe;
    ts->recursion_remaining = ts->recursion_limit - own->depth;
    ts->tracing = own->tracing;
    ts->trash_delete_nesting = own->nesting;
    pystate_own_trace(ts);
}

static inline void
pystate_own_begin(PyThreadState *ts, struct pystate_own *own,
                  const struct cel__stack *stack)
{
    (void)stack;
    own->base.current_frame = NULL;
    own->base.previous = &ts->root_cframe;
    ts->cframe = &own->base;
    ts->recursion_remaining = ts->recursion_limit;
    ts->tracing = 0;
    ts->trash_delete_nesting = 0;
    pystate_own_trace(ts);
}

static inline void
pystate_own_end(PyThreadState *ts, struct pystate_own *own)
{
    (void)own;
    ts->cframe = &ts->root_cframe;
}

static inline void
pystate_own_swap_frame(PyThreadState *ts, struct pystate_own *own)
{
    _PyCFrame *cframe = ts->cframe;

    ts->cframe = own->cframe;
    own->cframe = cframe;
}

static inline int
pystate_own_nesting(const PyThreadState *ts)
{
    return ts->trash_delete_nesting;
}

static inline struct _PyInterpreterFrame *
pystate_own_frame(const struct pystate_own *own)
{
    return own->cframe->current_frame;
}

#endif
