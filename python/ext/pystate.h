/* SPDX-License-Identifier: MIT */
/*
 * The fields of CPython's thread state that belong to a greenlet.
 *
 * A greenlet saves them before it switches away and loads them when it runs
 * again; nobody touches another's.  Here are the fields that every supported
 * version has; pystate_3XX.h, the only place that knows a version, adds its
 * own as struct pystate_own with these functions, each inline:
 *
 *   pystate_own_save(ts, own)         before switching away
 *   pystate_own_load(ts, own, stack)  after switching back; stack->low is
 *                                     NULL on the thread's own stack
 *   pystate_own_begin(ts, own, stack) on a new stack: the state of a thread
 *                                     that has not called anything
 *   pystate_own_end(ts, own)          finished: drop what save() may hold
 *   pystate_own_swap_frame(ts, own)   exchange the thread's frames for those
 *                                     saved in `own`, and back
 *   pystate_own_nesting(ts)           how deep the trashcan is nested; -1:
 *                                     the version does not say
 *   pystate_own_frame(own)            the topmost frame that is saved
 *   PYSTATE_STACK                     bytes of C stack a greenlet, by default
 *
 * Which field is switched, which stays with the thread, and why: each version
 * has the list with the CPython source it mirrors.
 *
 * Threads: with the GIL, the hub's thread.
 */
#ifndef CELEXT_PYSTATE_H
#define CELEXT_PYSTATE_H

#include "ext/state.h"

#include "base/check.h"
#include "coro/stack.h"

/*
 * The data stack (frames of Python functions) of a greenlet: its root chunk
 * lies above its C stack and grows up.  A root chunk is never popped or freed
 * by CPython (Python/pystate.c, push_chunk), so it may be ours; a greenlet
 * would else cost an mmap and an munmap of 16 KiB, 7 us.  64 KiB: CPython's
 * own chunk of 16 KiB thrashes where a leaf call in a loop crosses its end
 * (7 us a call; greenlet-and-cpython, 2).
 */
#define PYSTATE_TAIL ((size_t)64 * 1024)

#if PY_VERSION_HEX < 0x030B0000
#error "celadon needs CPython 3.11 or newer"
#elif PY_VERSION_HEX < 0x030C0000
#include "ext/pystate_311.h"
#elif PY_VERSION_HEX < 0x030D0000
#include "ext/pystate_312.h"
#elif PY_VERSION_HEX < 0x030E0000
#include "ext/pystate_313.h"
#elif PY_VERSION_HEX < 0x030F0000
#include "ext/pystate_314.h"
#elif PY_VERSION_HEX < 0x03100000
#include "ext/pystate_315.h"
#else
#error "this CPython is newer than this celadon: look for a newer celadon"
#endif

#ifdef Py_GIL_DISABLED
/* Python/critical_section.c: let go of all sections of the thread, which its
   list then marks as inactive, and take the topmost again. */
PyAPI_FUNC(void) _PyCriticalSection_SuspendAll(PyThreadState *ts);
PyAPI_FUNC(void) _PyCriticalSection_Resume(PyThreadState *ts);
#endif

struct pystate {
    _PyStackChunk *chunk;       /* newest chunk of the data stack */
    PyObject **top;             /* where the next frame goes */
    PyObject **limit;           /* end of that chunk */
    _PyErr_StackItem *exc_info; /* top of the handled exceptions */
    PyObject *context;          /* contextvars; owned */
    struct pystate_own own;     /* the version's */
    _PyErr_StackItem exc;       /* bottom of the handled exceptions */
    _PyStackChunk *root;        /* the chunk above our stack */
#ifdef Py_GIL_DISABLED
    uintptr_t sections; /* suspended critical sections, on our stack */
#endif
};

/*
 * Critical sections are a list on the C stack: each stack has its own.  Who
 * switches away lets go of its objects, as a thread that blocks does; to keep
 * them would stop all other greenlets of the thread, and with them itself.
 */
static inline void
pystate_leave_sections(PyThreadState *ts, struct pystate *state)
{
#ifdef Py_GIL_DISABLED
    if (cel__unlikely(ts->critical_section != 0)) {
        _PyCriticalSection_SuspendAll(ts);
    }
    state->sections = ts->critical_section;
    ts->critical_section = 0;
#else
    (void)ts;
    (void)state;
#endif
}

/* May block, but never suspends. */
static inline void
pystate_enter_sections(PyThreadState *ts, const struct pystate *state)
{
#ifdef Py_GIL_DISABLED
    cel__assert(ts->critical_section == 0);
    if (cel__unlikely(state->sections != 0)) {
        ts->critical_section = state->sections;
        _PyCriticalSection_Resume(ts);
    }
#else
    (void)ts;
    (void)state;
#endif
}

static inline void
pystate_save(PyThreadState *ts, struct pystate *state)
{
    pystate_leave_sections(ts, state);
    state->chunk = ts->datastack_chunk;
    state->top = ts->datastack_top;
    state->limit = ts->datastack_limit;
    state->exc_info = ts->exc_info;
    state->context = ts->context;
    pystate_own_save(ts, &state->own);
}

static inline void
pystate_load(PyThreadState *ts, struct pystate *state,
             const struct cel__stack *stack)
{
    ts->datastack_chunk = state->chunk;
    ts->datastack_top = state->top;
    ts->datastack_limit = state->limit;
    ts->exc_info = state->exc_info;
    ts->context = state->context;
    ts->context_ver++;
    pystate_own_load(ts, &state->own, stack);
    pystate_enter_sections(ts, state);
}

/* The first thing on a new stack; `context` is stolen, may be NULL. */
static inline void
pystate_begin(PyThreadState *ts, struct pystate *state,
              const struct cel__stack *stack, PyObject *context)
{
    _PyStackChunk *root = (_PyStackChunk *)(void *)stack->top;

    root->previous = NULL;
    root->size = (size_t)(stack->end - stack->top);
    root->top = 0;
    state->root = root;
    state->exc.exc_value = NULL;
    state->exc.previous_item = NULL;
    ts->datastack_chunk = root;
    /* data[0] stays unused: a frame there would look like the chunk's first,
       whose end pops the chunk. */
    ts->datastack_top = &root->data[1];
    ts->datastack_limit = (PyObject **)(void *)stack->end;
    ts->exc_info = &state->exc;
    ts->context = context;
    ts->context_ver++;
    pystate_own_begin(ts, &state->own, stack);
}

/* Free chunks of the data stack that came after `root`, from `chunk` on. */
static inline void
pystate_free_chunks(_PyStackChunk *chunk, const _PyStackChunk *root)
{
    PyObjectArenaAllocator arena;

    if (cel__likely(chunk == root)) {
        return;
    }
    PyObject_GetArenaAllocator(&arena);
    while (chunk != NULL && chunk != root) {
        _PyStackChunk *previous = chunk->previous;
        arena.free(arena.ctx, chunk, chunk->size);
        chunk = previous;
    }
}

/* The last thing on a stack, once no Python runs there any more. */
static inline void
pystate_end(PyThreadState *ts, struct pystate *state)
{
    pystate_free_chunks(ts->datastack_chunk, state->root);
    ts->datastack_chunk = state->root;
    pystate_own_end(ts, &state->own);
}

/*
 * Refuse an interpreter whose thread state is not the one this was compiled
 * for.  Returns 0, or -1 with ImportError.
 */
int pystate_check(void);

/* Whether switching works in this interpreter, tried on a stack made for it.
   false: it does not, or with MemoryError it could not be tried. */
bool pystate_trial(void);

/* The topmost frame object of a suspended greenlet, new, or NULL. */
static inline PyObject *
pystate_frame(PyThreadState *ts, struct pystate *state)
{
    /* Making a frame object may start the collector, which must not look at
       the wrong frames. */
    int collecting = PyGC_Disable();
    pystate_own_swap_frame(ts, &state->own);
    PyObject *frame = (PyObject *)PyThreadState_GetFrame(ts);
    pystate_own_swap_frame(ts, &state->own);
    if (collecting) {
        PyGC_Enable();
    }
    return frame;
}

#endif
