/* SPDX-License-Identifier: MIT */
/*
 * Greenlet, a greenlet that others can wait for, and starting it from C.
 *
 * Threads: with the GIL.
 */
#ifndef CELEXT_TASK_H
#define CELEXT_TASK_H

#include "ext/greenlet.h"
#include "ext/hub.h"

/*
 * Invariants: ready => it has ended (or will never run what it was made for)
 * and value and exception are final; waiting => its start timer is in the
 * heap and its glet is held.
 */
struct taskobject {
    PyGreenlet base;
    PyObject *run;       /* owned; what to call; NULL: the method _run */
    PyObject *args;      /* owned; a tuple */
    PyObject *kwargs;    /* owned; a dict or NULL */
    PyObject *value;     /* owned; the result, or NULL */
    PyObject *exception; /* owned; the instance it died of, or NULL */
    PyObject *traceback; /* owned; the exception's when it died, or NULL */
    PyObject *links;     /* owned; list of (kind, callable), or NULL */
    struct cel__link waiters; /* waits of those who join */
    struct cel__timer timer;  /* start_later() */
    bool started;             /* start() was called */
    bool waiting;             /* for the timer */
    bool begun;               /* it runs, or has run */
    bool ready;
};

/* Whether it has not run yet, and so has not to be asked to end.  Under its
   guard, which it takes as it begins: a state that is about to change is as
   good as one that is not. */
static inline bool
task_is_unstarted(const struct taskobject *self)
{
    return !self->begun && self->base.glet->state == GLET_UNSTARTED;
}

/* The calling thread's hub; NULL with an exception. */
static inline struct hub *
task_hub(struct taskobject *self)
{
    return hub_get(celext_state_of(Py_TYPE((PyObject *)self)));
}

/* It has ended with `value` (stolen), or, where NULL, with the exception that
   is set. */
void task_done(struct hub *hub, struct taskobject *self, PyObject *value);

/* One that has not run yet ends with `exc` (stolen), without running. */
void task_end_unstarted(struct hub *hub, struct taskobject *self,
                        PyObject *exc);

/* Let the hub call the links. */
void tasklink_notify(struct hub *hub, struct taskobject *self);

/* Methods of Greenlet. */
PyObject *task_join(PyObject *op, PyObject *args, PyObject *kwargs);
PyObject *task_get(PyObject *op, PyObject *args, PyObject *kwargs);
PyObject *task_kill(PyObject *op, PyObject *args, PyObject *kwargs);
PyObject *task_throw(PyObject *op, PyObject *args);
PyObject *tasklink_raw(PyObject *op, PyObject *func);
PyObject *tasklink_add(PyObject *op, PyObject *func);
PyObject *tasklink_value(PyObject *op, PyObject *func);
PyObject *tasklink_exception(PyObject *op, PyObject *func);
PyObject *tasklink_remove(PyObject *op, PyObject *func);
PyObject *tasklink_remove_all(PyObject *op, PyObject *unused);
PyObject *tasklink_any(PyObject *op, PyObject *unused);
PyObject *tasklink_run(PyObject *op, PyObject *unused);

/*
 * Start a Greenlet that calls args[0](*args[1:], **keywords): the arguments of
 * a vectorcall.  New, or NULL with an exception.  Does not suspend.
 */
PyObject *celext_spawn(struct hub *hub, PyObject *const *args,
                       Py_ssize_t nargs, PyObject *names);

/*
 * Start a raw greenlet, child of the hub, that calls func(*args, **kwargs);
 * `args` and `kwargs` (may be NULL) are stolen.  New, or NULL with an
 * exception.  Does not suspend.
 */
PyObject *celext_spawn_call(struct hub *hub, PyObject *func, PyObject *args,
                            PyObject *kwargs);

#endif
