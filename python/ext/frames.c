/* SPDX-License-Identifier: MIT */
/*
 * What the frames of a suspended greenlet own, for the cyclic collector.
 *
 * The only file that includes CPython's internal headers, and what it knows of
 * a version is here: where a frame keeps its local variables and how much of
 * its evaluation stack can be trusted.
 *
 *   3.11 to 3.13  stacktop is -1 while a frame's eval loop runs; its stack
 *                 pointer is in a register then.  Known are the local
 *                 variables and, where the frame is in a switch(), what is
 *                 below its arguments.  Where it has called a Python function
 *                 stacktop is the true top.  Before 3.11.2 it also is one in
 *                 a frame that is being cleared, whose locals are gone one by
 *                 one (gh-99729).
 *   from 3.14     stackpointer is stored before every call that may escape;
 *                 references borrowed from the frame's own locals are tagged.
 *                 As _PyGC_VisitFrameStack() does, which 3.15 exports, but for
 *                 those: it shows them to all but the count of references.
 *
 * Frames of finished functions are visited by their frame objects: only what
 * the thread owns is ours.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_frames.py, torture_greenlet.py
 */
#define Py_BUILD_CORE_MODULE 1

#include "ext/frames.h"

#if PY_VERSION_HEX >= 0x030E0000
#include <internal/pycore_code.h>
#include <internal/pycore_gc.h>
#include <internal/pycore_interpframe.h>
#include <internal/pycore_stackref.h>
#else
#include <internal/pycore_frame.h>
#include <internal/pycore_gc.h>
#endif

typedef struct _PyInterpreterFrame frame_t;

#if PY_VERSION_HEX >= 0x030E0000

static inline PyCodeObject *
code_of(const frame_t *frame)
{
    PyObject *code = PyStackRef_AsPyObjectBorrow(frame->f_executable);

    return (PyCodeObject *)code;
}

/* The object of which `ref` owns a reference, or NULL. */
static inline PyObject *
owned_by(_PyStackRef ref)
{
    if (PyStackRef_IsNull(ref) || PyStackRef_IsTaggedInt(ref) ||
        !PyStackRef_RefcountOnObject(ref)) {
        return NULL;
    }
    return PyStackRef_AsPyObjectBorrow(ref);
}

static int
visit_slots(frame_t *frame, Py_ssize_t count, visitproc visit, void *arg)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_VISIT(owned_by(frame->localsplus[i]));
    }
    return 0;
}

static PyObject *
take_slot(frame_t *frame, Py_ssize_t i)
{
    PyObject *object = owned_by(frame->localsplus[i]);

    frame->localsplus[i] = PyStackRef_NULL;
    return object;
}

static int
visit_function(frame_t *frame, visitproc visit, void *arg)
{
    Py_VISIT(owned_by(frame->f_funcobj));
    return 0;
}

#else

static inline PyCodeObject *
code_of(const frame_t *frame)
{
#if PY_VERSION_HEX >= 0x030D0000
    return (PyCodeObject *)frame->f_executable;
#else
    return frame->f_code;
#endif
}

static int
visit_slots(frame_t *frame, Py_ssize_t count, visitproc visit, void *arg)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_VISIT(frame->localsplus[i]);
    }
    return 0;
}

static PyObject *
take_slot(frame_t *frame, Py_ssize_t i)
{
    PyObject *object = frame->localsplus[i];

    frame->localsplus[i] = NULL;
    return object;
}

static int
visit_function(frame_t *frame, visitproc visit, void *arg)
{
#if PY_VERSION_HEX >= 0x030C0000
    Py_VISIT(frame->f_funcobj);
#else
    Py_VISIT((PyObject *)frame->f_func);
#endif
    return 0;
}

#endif

#if PY_VERSION_HEX >= 0x030E0000
#define STACK_AT offsetof(frame_t, stackpointer)
#else
#define STACK_AT 0
#endif

/* What this was compiled for.  Volatile, as pystate.c's, and for the same
   test. */
static const volatile struct {
    char mark[16];
    uint64_t previous;
    uint64_t locals;
    uint64_t owner;
    uint64_t stack; /* 0: before 3.14 */
} compiled = {
    .mark = "celadon frames:",
    .previous = offsetof(frame_t, previous),
    .locals = offsetof(frame_t, localsplus),
    .owner = offsetof(frame_t, owner),
    .stack = STACK_AT,
};

bool
frames_known(const uint64_t *offsets)
{
    return offsets[1] == compiled.previous && offsets[4] == compiled.locals &&
           offsets[5] == compiled.owner &&
           (compiled.stack == 0 || offsets[6] == compiled.stack);
}

/* Whether `frame` is being cleared; `newer` is the one it called, or NULL. */
static inline bool
is_dying(const frame_t *frame, const frame_t *newer)
{
#if PY_VERSION_HEX >= 0x030C0000
    (void)frame;
    (void)newer;
    return false;
#else
    return Py_Version < 0x030B0200 && frame->stacktop >= 0 &&
           (newer == NULL || newer->is_entry);
#endif
}

#if PY_VERSION_HEX >= 0x030E0000

/* How many slots of `frame`, locals and stack, are in use. */
static Py_ssize_t
count_slots(const struct glet *glet, const frame_t *frame)
{
    (void)glet;
    return frame->stackpointer - frame->localsplus;
}

#else

/*
 * The slots up to and with the arguments of the switch() that the frame on top
 * has called, -1 where they are not on its stack.  CPython passes them where
 * they are, behind the callable and, of a method, the greenlet.  Whoever calls
 * on with them may put something else in front for as long (vectorcall's
 * offset), which is told by the callable.
 */
static Py_ssize_t
count_passed(const struct glet *glet, const frame_t *frame)
{
    const PyCodeObject *code = code_of(frame);
    PyObject *const *base = frame->localsplus + code->co_nlocalsplus;
    uintptr_t args = (uintptr_t)glet->args;

    if (args < (uintptr_t)(base + 2) ||
        (uintptr_t)glet->args_end > (uintptr_t)(base + code->co_stacksize)) {
        return -1;
    }
    PyObject *callable = glet->args[-2];
    if (callable == NULL) {
        callable = glet->args[-1];
    }
    if (callable == NULL || !greenlet_is_switch(callable)) {
        return -1;
    }
    return glet->args_end - frame->localsplus;
}

static Py_ssize_t
count_slots(const struct glet *glet, const frame_t *frame)
{
    Py_ssize_t count = -1;

    if (frame == pystate_own_frame(&glet->ps.own)) {
        count = count_passed(glet, frame);
    }
    if (count < 0) {
        count = frame->stacktop;
    }
    return count < 0 ? code_of(frame)->co_nlocalsplus : count;
}

#endif

/* The next frame of ours from `frame` on, older and older, that may be looked
   at; `*newer` is the one above it.  NULL: no more. */
static frame_t *
find_frame(frame_t *frame, const frame_t **newer)
{
    while (frame != NULL && (frame->owner != FRAME_OWNED_BY_THREAD ||
                             is_dying(frame, *newer))) {
        *newer = frame;
        frame = frame->previous;
    }
    return frame;
}

bool
frames_collectable(const struct glet *glet)
{
    const frame_t *frame = pystate_own_frame(&glet->ps.own);

    while (frame != NULL && frame->owner != FRAME_OWNED_BY_GENERATOR) {
        frame = frame->previous;
    }
    return frame == NULL;
}

int
frames_visit(struct glet *glet, visitproc visit, void *arg)
{
    const frame_t *newer = NULL;
    frame_t *frame = find_frame(pystate_own_frame(&glet->ps.own), &newer);

    while (frame != NULL) {
        Py_VISIT((PyObject *)frame->frame_obj);
        Py_VISIT(frame->f_locals);
        int err = visit_function(frame, visit, arg);
        if (err == 0) {
            err = visit_slots(frame, count_slots(glet, frame), visit, arg);
        }
        if (err != 0) {
            return err;
        }
        newer = frame;
        frame = find_frame(frame->previous, &newer);
    }
    return 0;
}

int
frames_visit_locals(struct glet *glet, visitproc visit, void *arg)
{
    const frame_t *newer = NULL;
    frame_t *frame = find_frame(pystate_own_frame(&glet->ps.own), &newer);

    while (frame != NULL) {
        int err = visit_slots(frame, code_of(frame)->co_nlocalsplus, visit,
                              arg);
        if (err != 0) {
            return err;
        }
        newer = frame;
        frame = find_frame(frame->previous, &newer);
    }
    return 0;
}

void
frames_drop_locals(struct glet *glet)
{
    const frame_t *newer = NULL;
    frame_t *frame = find_frame(pystate_own_frame(&glet->ps.own), &newer);

    while (frame != NULL) {
        for (Py_ssize_t i = 0; i < code_of(frame)->co_nlocalsplus; i++) {
            PyObject *local = take_slot(frame, i);
            Py_XDECREF(local);
        }
        newer = frame;
        frame = find_frame(frame->previous, &newer);
    }
}

#if PY_VERSION_HEX >= 0x030F0000

void
pystate_own_instrument(PyThreadState *ts)
{
    frame_t *frame = ts->current_frame;

    for (; frame != NULL; frame = frame->previous) {
        if (frame->owner < FRAME_OWNED_BY_INTERPRETER &&
            _Py_Instrument(code_of(frame), ts->interp) < 0) {
            PyErr_Clear(); /* no memory: its tools miss something */
        }
    }
}

#endif

void
frames_forget_finalized(PyObject *op)
{
#if PY_VERSION_HEX >= 0x030D0000
    _PyGC_CLEAR_FINALIZED(op);
#else
    _Py_AS_GC(op)->_gc_prev &= ~(uintptr_t)_PyGC_PREV_MASK_FINALIZED;
#endif
}
