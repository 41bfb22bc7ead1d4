/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a Greenlet's end, and bringing it about: join(), get(), kill().
 *
 * Threads: with the GIL, any: the hubs of who waits and of who is waited for
 * may be two.
 *
 * Tests: tests/python/test_task.py
 */
#include "ext/task.h"

#include "ext/compat.h"
#include "ext/guard.h"

/* Wait for the end.  Returns 1, 0 (deadline) or -1 with an exception. */
static int
await_end(struct taskobject *self, cel_time deadline)
{
    struct hub *hub = task_hub(self);
    struct cel__wait wait;

    if (self->ready) {
        return 1;
    }
    if (hub == NULL) {
        return -1;
    }
    if (hub_current(hub)->self == &self->base) {
        PyErr_SetString(PyExc_RuntimeError,
                        "cannot join the current greenlet");
        return -1;
    }
    cel__wait_init(&wait, hub->worker->current);
    cel__list_append(&self->waiters, &wait.link);
    return hub_wait(hub, &wait, deadline, "join");
}

PyObject *
task_join(PyObject *op, PyObject *args, PyObject *kwargs)
{
    celext_guard(op);
    static char *names[] = {"timeout", NULL};
    PyObject *timeout = Py_None;
    cel_time deadline;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:join", names,
                                     &timeout) ||
        celext_deadline(timeout, &deadline) < 0 ||
        await_end((struct taskobject *)op, deadline) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
task_get(PyObject *op, PyObject *args, PyObject *kwargs)
{
    celext_guard(op);
    static char *names[] = {"block", "timeout", NULL};
    struct taskobject *self = (struct taskobject *)op;
    PyObject *timeout = Py_None;
    int block = 1;
    cel_time deadline;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|pO:get", names, &block,
                                     &timeout) ||
        celext_deadline(timeout, &deadline) < 0) {
        return NULL;
    }
    int ended = self->ready ? 1 : block ? await_end(self, deadline) : 0;
    if (ended < 0) {
        return NULL;
    }
    if (ended == 0) {
        struct celext_state *state = celext_state_of(Py_TYPE(op));
        PyObject *exc = PyObject_CallOneArg((PyObject *)state->timeout_type,
                                            block ? timeout : Py_None);
        if (exc != NULL) {
            celext_raise(exc);
        }
        return NULL;
    }
    if (self->exception != NULL) {
        /* The traceback of the first time, however often it is raised. */
        (void)PyException_SetTraceback(self->exception, self->traceback == NULL
                                                            ? Py_None
                                                            : self->traceback);
        celext_raise(Py_NewRef(self->exception));
        return NULL;
    }
    return Py_NewRef(self->value == NULL ? Py_None : self->value);
}

/* ---- killing it */

/* `exception` as an instance, new. */
static PyObject *
as_instance(PyObject *exception)
{
    if (PyExceptionInstance_Check(exception)) {
        return Py_NewRef(exception);
    }
    if (PyExceptionClass_Check(exception)) {
        return PyObject_CallNoArgs(exception);
    }
    PyErr_Format(PyExc_TypeError,
                 "exceptions must be classes, or instances, not %s",
                 Py_TYPE(exception)->tp_name);
    return NULL;
}

PyObject *
task_kill(PyObject *op, PyObject *args, PyObject *kwargs)
{
    celext_guard(op);
    static char *names[] = {"exception", "block", "timeout", NULL};
    struct taskobject *self = (struct taskobject *)op;
    struct hub *hub = task_hub(self);
    PyObject *exception = hub == NULL ? NULL : hub->state->greenlet_exit;
    PyObject *timeout = Py_None;
    int block = 1;
    cel_time deadline;

    if (hub == NULL ||
        !PyArg_ParseTupleAndKeywords(args, kwargs, "|OpO:kill", names,
                                     &exception, &block, &timeout) ||
        celext_deadline(timeout, &deadline) < 0) {
        return NULL;
    }
    if (self->ready) {
        Py_RETURN_NONE;
    }
    PyObject *exc = as_instance(exception);
    if (exc == NULL) {
        return NULL;
    }
    if (block && hub_current(hub)->self == &self->base) {
        celext_raise(exc);
        return NULL;
    }
    if (task_is_unstarted(self)) {
        task_end_unstarted(hub, self, exc);
        Py_RETURN_NONE;
    }
    int err = hub_throw_later(self->base.glet, exc);
    Py_DECREF(exc);
    if (err < 0) {
        return PyErr_NoMemory();
    }
    if (block && await_end(self, deadline) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* End one that has not run yet with args[0].  Returns whether that was to be
   done, or -1 with an exception. */
static int
throw_unstarted(struct hub *hub, struct taskobject *self, PyObject *args)
{
    celext_guard(self);
    PyObject *exception = PyTuple_GET_SIZE(args) > 0
                              ? PyTuple_GET_ITEM(args, 0)
                              : hub->state->greenlet_exit;

    if (!task_is_unstarted(self) || self->ready) {
        return 0;
    }
    PyObject *exc = as_instance(exception);
    if (exc == NULL) {
        return -1;
    }
    task_end_unstarted(hub, self, exc);
    return 1;
}

PyObject *
task_throw(PyObject *op, PyObject *args)
{
    struct taskobject *self = (struct taskobject *)op;
    struct hub *hub = task_hub(self);

    if (hub == NULL) {
        return NULL;
    }
    int thrown = throw_unstarted(hub, self, args);
    if (thrown != 0) {
        return thrown < 0 ? NULL : Py_NewRef(Py_None);
    }
    PyObject *base = PyObject_GetAttrString(
        (PyObject *)hub->state->greenlet_type, "throw");
    PyObject *method = base == NULL
                           ? NULL
                           : Py_TYPE(base)->tp_descr_get(base, op, NULL);
    PyObject *result = method == NULL ? NULL
                                      : PyObject_Call(method, args, NULL);
    Py_XDECREF(base);
    Py_XDECREF(method);
    return result;
}
