/* SPDX-License-Identifier: MIT */
/*
 * What lock and RLock have in common: their memory and their methods.
 *
 * Threads: any; guarded (guard.h).
 */
#ifndef CELEXT_LOCK_H
#define CELEXT_LOCK_H

#include "ext/waitq.h"

/* Invariant: owner != 0 => count > 0. */
typedef struct {
    PyObject_HEAD
    PyObject *weakreflist;
    struct waitq waiters;
    uint64_t owner; /* of an RLock: the id of the owner's coroutine, never
                       used again; of a lock always 0 */
    size_t count;   /* how often it is taken; of a lock at most once */
    bool again;     /* an RLock: its owner may take it again */
} lockobject;

/*
 * Wait until nobody has it, for whoever is to take it; the taking is the
 * caller's.  Suspends.  Returns 1, 0 (too late) or -1 with an exception.
 */
int lock_await(lockobject *self, cel_time deadline, const char *what);

/* Let it be free, and wake who waits.  Cannot fail. */
void lock_set_free(lockobject *self);

/* RLock's way to take it, as lock_await(), and to give it back once: 0, or -1
   with RuntimeError. */
int rlock_take(lockobject *self, cel_time deadline);
int rlock_give(lockobject *self);

/* Methods and slots of both. */
PyObject *lock_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
int lock_traverse(PyObject *op, visitproc visit, void *arg);
void lock_dealloc(PyObject *op);
PyObject *lock_acquire(PyObject *op, PyObject *const *values, Py_ssize_t count,
                       PyObject *names);
PyObject *lock_enter(PyObject *op, PyObject *unused);
PyObject *lock_release(PyObject *op, PyObject *unused);
PyObject *lock_exit(PyObject *op, PyObject *const *args, Py_ssize_t nargs);
PyObject *lock_locked(PyObject *op, PyObject *unused);
PyObject *lock_reinit(PyObject *op, PyObject *unused);
extern PyMemberDef lock_members[];

#endif
