/* SPDX-License-Identifier: MIT */
/*
 * CPython 3.13.  See pystate.h for what is asked of this file.
 *
 * Mirrors struct _ts in Include/cpython/pystate.h.  The cframe is gone: the
 * current frame is a field.  The trashcan goes by c_recursion_remaining.
 * previous_executor belongs to the experimental JIT.
 *
 * Free-threaded: critical_section is in pystate.h.  No reference in a frame is
 * deferred, so the collector need not know of suspended ones; what could be
 * deferred is immortal as soon as there is a second thread
 * (Python/gc_free_threading.c).
 */
#ifndef CELEXT_PYSTATE_313_H
#define CELEXT_PYSTATE_313_H

/* Among the debug offsets, see pystate.c. */
#define PYSTATE_OF_INTERP 13
#define PYSTATE_CHUNK_AT  7
#define PYSTATE_FRAME_AT  9

/* For both see pystate_312.h. */
#define PYSTATE_STACK   ((size_t)6 * 1024 * 1024)
#define PYSTATE_C_LEVEL 700

struct pystate_own {
    struct _PyInterpreterFrame *frame;
    PyObject *executor; /* previous_executor */
    int depth;          /* py_recursion_limit - py_recursion_remaining */
    int c_left;         /* c_recursion_remaining */
    int tracing;
    int event; /* what_event */
};

static inline void
pystate_own_save(PyThreadState *ts, struct pystate_own *own)
{
    own->frame = ts->current_frame;
    own->executor = ts->previous_executor;
    own->depth = ts->py_recursion_limit - ts->py_recursion_remaining;
    own->c_left = ts->c_recursion_remaining;
    own->tracing = ts->tracing;
    own->event = ts->what_event;
}

static inline void
pystate_own_load(PyThreadState *ts, struct pystate_own *own,
                 const struct cel__stack *stack)
{
    (void)stack;
    ts->current_frame = own->frame;
    ts->previous_executor = own->executor;
    ts->py_recursion_remaining = ts->py_recursion_limit - own->depth;
    ts->c_recursion_remaining = own->c_left;
    ts->tracing = own->tracing;
    ts->what_event = own->event;
}

static inline void
pystate_own_begin(PyThreadState *ts, struct pystate_own *own,
                  const struct cel__stack *stack)
{
    (void)own;
    ts->current_frame = NULL;
    ts->previous_executor = NULL;
    ts->py_recursion_remaining = ts->py_recursion_limit;
    ts->c_recursion_remaining = (int)((stack->top - stack->low) /
                                      PYSTATE_C_LEVEL);
    ts->tracing = 0;
    ts->what_event = -1;
}

static inline void
pystate_own_end(PyThreadState *ts, struct pystate_own *own)
{
    (void)own;
    ts->current_frame = NULL;
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
