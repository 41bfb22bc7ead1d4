/* SPDX-License-Identifier: MIT */
/*
 * What stands in for the GIL in free-threaded builds; nothing where there is
 * one.
 *
 * An object that threads share is guarded: each of its methods begins with
 * celext_guard(op), and until the block ends no other thread is in another of
 * them.  That is CPython's critical section.  Like the GIL it is given up
 * where the thread blocks or the greenlet switches away, and taken again
 * before the next line runs; so what a method may rely on is the same in both
 * builds, and no two guards can lock each other out.
 *
 * struct celext_mutex is for what belongs to no one object: held over a few
 * lines that run no Python, never over a switch, and no guard is entered
 * while it is held.
 *
 * Threads: attached to the interpreter.
 */
#ifndef CELEXT_GUARD_H
#define CELEXT_GUARD_H

#include "ext/state.h"

#include "celadon/base.h"

#ifdef Py_GIL_DISABLED

/* Whether threads run at the same time: for a plain `if`. */
#define CELEXT_FREE_THREADED true

#if PY_VERSION_HEX >= 0x030E0000
#error "celadon supports no free-threaded CPython but 3.13 yet"
#endif

/* Not entered where the innermost section is this object's already: CPython
   3.13 would give that one up and take it again, by the kernel. */
struct celext_guarded {
    PyCriticalSection section;
    bool entered;
};

static inline void
celext_guard_enter(struct celext_guarded *guarded, PyObject *op)
{
    uintptr_t innermost = PyThreadState_GetUnchecked()->critical_section;
    const PyCriticalSection *section = (const PyCriticalSection *)innermost;

    /* The two low bits say what kind it is: 0 is a plain one, not given up. */
    guarded->entered = innermost == 0 || (innermost & 3) != 0 ||
                       section->_cs_mutex != &op->ob_mutex;
    if (guarded->entered) {
        PyCriticalSection_Begin(&guarded->section, op);
    }
}

static inline void
celext_guard_leave(struct celext_guarded *guarded)
{
    if (guarded->entered) {
        PyCriticalSection_End(&guarded->section);
    }
}

/* Guard `op` until the end of the block; once a block. */
#define celext_guard(op)                                                      \
    struct celext_guarded celext_guarded                                      \
        __attribute__((cleanup(celext_guard_leave)));                         \
    celext_guard_enter(&celext_guarded, (PyObject *)(op))

struct celext_mutex {
    PyMutex mutex;
};

static inline void
celext_lock(struct celext_mutex *mutex)
{
    PyMutex_Lock(&mutex->mutex);
}

static inline void
celext_unlock(struct celext_mutex *mutex)
{
    PyMutex_Unlock(&mutex->mutex);
}

#else

#define CELEXT_FREE_THREADED false

#define celext_guard(op) ((void)(op))

struct celext_mutex {
    char unused; /* a struct must not be empty */
};

static inline void
celext_lock(struct celext_mutex *mutex)
{
    (void)mutex;
}

static inline void
celext_unlock(struct celext_mutex *mutex)
{
    (void)mutex;
}

#endif

#endif
