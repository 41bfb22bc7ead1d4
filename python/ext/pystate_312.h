/* SPDX-License-Identifier: MIT */
/*
 * CPython 3.12.  See pystate.h for what is asked of this file.
 *
 * Mirrors struct _ts in Include/cpython/pystate.h.  As 3.11, but recursion in
 * C has a counter of its own, and tracing is sys.monitoring's affair: only
 * the depth of tracing is left.
 */
#ifndef CELEXT_PYSTATE_312_H
#define CELEXT_PYSTATE_312_H

/* Nothing asks how much stack is left, and the counter of C recursion counts
   small levels (repr() of nested lists: 0.5 KiB) and large ones (sorted() with
   a key that calls sorted(): 5 KiB, 7 where Python was built without
   optimisation) alike.  The latter call Python, so there are at most a
   thousand by default.  The parser counts by itself and takes 0.8 MiB. */
#define PYSTATE_STACK ((size_t)6 * 1024 * 1024)

/* C stack that a small level of C recursion may take; CPython reckons 8 MiB
   for C_RECURSION_LIMIT levels of about this size. */
#define PYSTATE_C_LEVEL 700

struct pystate_own {
    _PyCFrame *cframe;
    int depth;  /* py_recursion_limit - py_recursion_remaining */
    int c_left; /* c_recursion_remaining */
    int tracing;
    int event;   /* what_event */
    int nesting; /* of the trashcan */
    _PyCFrame base;
};

static inline void
pystate_own_save(PyThreadState *ts, struct pystate_own *own)
{
    own->cframe = ts->cframe;
    own->depth = ts->py_recursion_limit - ts->py_recursion_remaining;
    own->c_left = ts->c_recursion_remaining;
    own->tracing = ts->tracing;
    own->event = ts->what_event;
    own->nesting = ts->trash.delete_nesting;
}

static inline void
pystate_own_load(PyThreadState *ts, struct pystate_own *own,
                 const struct cel__stack *stack)
{
    (void)stack;
    ts->cframe = own->cframe;
    ts->py_recursion_remaining = ts->py_recursion_limit - own->depth;
    ts->c_recursion_remaining = own->c_left;
    ts->tracing = own->tracing;
    ts->what_event = own->event;
    ts->trash.delete_nesting = own->nesting;
}

static inline void
pystate_own_begin(PyThreadState *ts, struct pystate_own *own,
                  const struct cel__stack *stack)
{
    own->base.current_frame = NULL;
    own->base.previous = &ts->root_cframe;
    ts->cframe = &own->base;
    ts->py_recursion_remaining = ts->py_recursion_limit;
    ts->c_recursion_remaining = (int)((stack->top - stack->low) /
                                      PYSTATE_C_LEVEL);
    ts->tracing = 0;
    ts->what_event = -1;
    ts->trash.delete_nesting = 0;
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
    return ts->trash.delete_nesting;
}

static inline struct _PyInterpreterFrame *
pystate_own_frame(const struct pystate_own *own)
{
    return own->cframe->current_frame;
}

#endif
