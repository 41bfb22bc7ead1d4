/* SPDX-License-Identifier: MIT */
/*
 * AsyncResult: a value, or an exception, that is to come.
 *
 * Threads: any; guarded (guard.h).
 *
 * Tests: tests/python/test_result.py
 */
#include "ext/args.h"
#include "ext/compat.h"
#include "ext/guard.h"
#include "ext/links.h"
#include "ext/waitq.h"

#include <structmember.h>

/* Invariants: at most one of value and raised is not NULL; it is ready when
   one is not. */
typedef struct {
    PyObject_HEAD
    PyObject *weakreflist;
    PyObject *value;     /* owned */
    PyObject *exception; /* owned; what set_exception() was given, or NULL */
    PyObject *raised;    /* owned; what get() raises, nearly always the same */
    PyObject *traceback; /* owned; what each raising begins with, or NULL */
    struct waitq waiters;
    struct links *links; /* owned; NULL: there never was one */
} resultobject;

static bool
is_ready(const resultobject *self)
{
    return self->value != NULL || self->raised != NULL;
}

static PyObject *
result_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (!args_none(type, args, kwargs)) {
        return NULL;
    }
    resultobject *self = (resultobject *)type->tp_alloc(type, 0);
    if (self != NULL) {
        waitq_init(&self->waiters);
    }
    return (PyObject *)self;
}

static int
result_traverse(PyObject *op, visitproc visit, void *arg)
{
    resultobject *self = (resultobject *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->value);
    Py_VISIT(self->exception);
    Py_VISIT(self->raised);
    Py_VISIT(self->traceback);
    return links_traverse(self->links, visit, arg);
}

static int
result_clear(PyObject *op)
{
    resultobject *self = (resultobject *)op;

    Py_CLEAR(self->value);
    Py_CLEAR(self->exception);
    Py_CLEAR(self->raised);
    Py_CLEAR(self->traceback);
    links_free(&self->links);
    return 0;
}

static void
result_dealloc(PyObject *op)
{
    celext_dealloc(op, result_clear);
}

static PyObject *
result_repr(PyObject *op)
{
    celext_guard(op);
    resultobject *self = (resultobject *)op;
    const char *name = Py_TYPE(op)->tp_name;

    if (self->value != NULL) {
        return PyUnicode_FromFormat("<%s at %p: value %R>", name, op,
                                    self->value);
    }
    if (self->raised != NULL) {
        return PyUnicode_FromFormat("<%s at %p: exception %R>", name, op,
                                    self->raised);
    }
    return PyUnicode_FromFormat("<%s at %p: pending>", name, op);
}

/*
 * Store one outcome in the place of what there is, if anything, and tell all
 * who wait: references to the value, or to an exception, what to raise and
 * its traceback; what is not given is NULL.
 */
static void
store(resultobject *self, PyObject *value, PyObject *exception,
      PyObject *raised, PyObject *traceback)
{
    PyObject *old[] = {self->value, self->exception, self->raised,
                       self->traceback};

    self->value = Py_XNewRef(value);
    self->exception = Py_XNewRef(exception);
    self->raised = Py_XNewRef(raised);
    self->traceback = Py_XNewRef(traceback);
    waitq_wake_all(&self->waiters);
    links_fire(self->links, (PyObject *)self);
    /* Last: this may run any Python code. */
    for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++) {
        Py_XDECREF(old[i]);
    }
}

PyDoc_STRVAR(result_set_doc, "set($self, /, value=None)\n"
                             "--\n\n"
                             "Store the value and wake all who wait for it.");

static PyObject *
result_set(PyObject *op, PyObject *const *values, Py_ssize_t count,
           PyObject *names)
{
    celext_guard(op);
    static const char *const known[] = {"value", NULL};
    PyObject *value = NULL;

    if (celext_arguments("set", known, values, count, names, &value) < 0) {
        return NULL;
    }
    store((resultobject *)op, value == NULL ? Py_None : value, NULL, NULL,
          NULL);
    Py_RETURN_NONE;
}

/* Store `exception`; `exc_info` (may be NULL or None) is a tuple of type,
   value and traceback, to be raised instead. */
static int
store_exception(resultobject *self, PyObject *exception, PyObject *exc_info)
{
    PyObject *raised = exception;
    PyObject *traceback = Py_None;

    if (exc_info != NULL && exc_info != Py_None) {
        int given = PyObject_IsTrue(exc_info);
        if (given < 0) {
            return -1;
        }
        if (given) {
            PyObject *type;
            if (!PyTuple_Check(exc_info)) {
                PyErr_SetString(PyExc_TypeError,
                                "exc_info must be a tuple of three");
                return -1;
            }
            if (!PyArg_ParseTuple(exc_info, "OOO:set_exception", &type,
                                  &raised, &traceback)) {
                return -1;
            }
        }
    }
    store(self, NULL, exception, raised, traceback);
    return 0;
}

PyDoc_STRVAR(result_set_exception_doc,
             "set_exception($self, /, exception, exc_info=None)\n"
             "--\n\n"
             "Store an exception, to be raised by get(), and wake all.\n\n"
             "exc_info is as sys.exc_info() returns it.");

static PyObject *
result_set_exception(PyObject *op, PyObject *const *values, Py_ssize_t count,
                     PyObject *names)
{
    celext_guard(op);
    static const char *const known[] = {"exception", "exc_info", NULL};
    PyObject *given[2] = {NULL, NULL};

    if (celext_arguments("set_exception", known, values, count, names, given) <
        0) {
        return NULL;
    }
    if (given[0] == NULL) {
        PyErr_SetString(PyExc_TypeError, "set_exception() needs an exception");
        return NULL;
    }
    if (store_exception((resultobject *)op, given[0], given[1]) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* The stored value, new, or NULL with the stored exception. */
static PyObject *
deliver(resultobject *self)
{
    if (self->value != NULL) {
        return Py_NewRef(self->value);
    }
    PyObject *raised = self->raised;
    if (PyExceptionInstance_Check(raised)) {
        /* Each raising begins anew, else the tracebacks would add up. */
        if (PyException_SetTraceback(raised, self->traceback) < 0) {
            return NULL;
        }
        celext_raise(Py_NewRef(raised));
    }
    else if (PyExceptionClass_Check(raised)) {
        PyErr_SetNone(raised);
    }
    else {
        PyErr_Format(PyExc_TypeError,
                     "exceptions must derive from BaseException, not %R",
                     raised);
    }
    return NULL;
}

/* Wait until it is ready.  Returns 1, 0 (too late) or -1. */
static int
await_it(resultobject *self, cel_time deadline)
{
    struct waiter me = {.turn = 0};

    if (is_ready(self)) {
        return 1;
    }
    if (deadline == CEL_AT_ONCE) {
        return waitq_spin() < 0 ? -1 : is_ready(self);
    }
    struct hub *hub = hub_get(celext_state_of(Py_TYPE((PyObject *)self)));
    if (hub == NULL) {
        return -1;
    }
    return waitq_wait(&self->waiters, &me, hub, deadline, "AsyncResult");
}

/* Raise Timeout(timeout); `timeout` may be NULL. */
static void
raise_timeout(PyObject *op, PyObject *timeout)
{
    struct celext_state *state = celext_state_of(Py_TYPE(op));

    if (state == NULL) {
        return;
    }
    PyObject *type = (PyObject *)state->timeout_type;
    PyObject *exc = timeout == NULL ? PyObject_CallNoArgs(type)
                                    : PyObject_CallOneArg(type, timeout);

    if (exc != NULL) {
        PyErr_SetObject(type, exc);
        Py_DECREF(exc);
    }
}

static PyObject *
get(PyObject *op, cel_time deadline, PyObject *timeout)
{
    resultobject *self = (resultobject *)op;
    int code = await_it(self, deadline);

    if (code < 0) {
        return NULL;
    }
    if (code == 0) {
        raise_timeout(op, timeout);
        return NULL;
    }
    return deliver(self);
}

PyDoc_STRVAR(result_get_doc,
             "get($self, /, block=True, timeout=None)\n"
             "--\n\n"
             "The value, once there is one, or raise the exception.\n\n"
             "Suspends.  Raises Timeout if there is none in time.");

static PyObject *
result_get(PyObject *op, PyObject *const *values, Py_ssize_t count,
           PyObject *names)
{
    celext_guard(op);
    struct args args = {values, count, names};
    cel_time deadline;
    PyObject *timeout;

    if (args_blocking("get", "block", &args, &deadline, &timeout) < 0) {
        return NULL;
    }
    return get(op, deadline, timeout);
}

PyDoc_STRVAR(result_get_nowait_doc,
             "get_nowait($self, /)\n"
             "--\n\n"
             "As get(), but raises Timeout rather than wait.");

static PyObject *
result_get_nowait(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    (void)unused;
    return get(op, CEL_AT_ONCE, NULL);
}

PyDoc_STRVAR(result_result_doc, "result($self, /, timeout=None)\n"
                                "--\n\n"
                                "As get(timeout=timeout): for code that "
                                "expects a concurrent.futures.Future.");

static PyObject *
result_result(PyObject *op, PyObject *const *values, Py_ssize_t count,
              PyObject *names)
{
    celext_guard(op);
    struct args args = {values, count, names};
    cel_time deadline;

    if (args_timeout("result", &args, &deadline) < 0) {
        return NULL;
    }
    return get(op, deadline, count + (names != NULL) > 0 ? values[0] : NULL);
}

PyDoc_STRVAR(result_wait_doc,
             "wait($self, /, timeout=None)\n"
             "--\n\n"
             "Wait until there is a value or an exception.\n\n"
             "Suspends.  Returns the value; None too after timeout seconds, "
             "or where there is an exception.");

static PyObject *
result_wait(PyObject *op, PyObject *const *values, Py_ssize_t count,
            PyObject *names)
{
    celext_guard(op);
    resultobject *self = (resultobject *)op;
    struct args args = {values, count, names};
    cel_time deadline;

    if (args_timeout("wait", &args, &deadline) < 0 ||
        await_it(self, deadline) < 0) {
        return NULL;
    }
    return Py_NewRef(self->value == NULL ? Py_None : self->value);
}

PyDoc_STRVAR(result_ready_doc, "ready($self, /)\n"
                               "--\n\n"
                               "Whether there is a value or an exception.");

static PyObject *
result_ready(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    (void)unused;
    return PyBool_FromLong(is_ready((resultobject *)op));
}

PyDoc_STRVAR(result_successful_doc, "successful($self, /)\n"
                                    "--\n\n"
                                    "Whether there is a value.");

static PyObject *
result_successful(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    (void)unused;
    return PyBool_FromLong(((resultobject *)op)->value != NULL);
}

PyDoc_STRVAR(result_cancel_doc,
             "cancel($self, /)\n"
             "--\n\n"
             "False: it cannot be cancelled.  For code that expects a "
             "Future.");
PyDoc_STRVAR(result_cancelled_doc,
             "cancelled($self, /)\n"
             "--\n\n"
             "False: it cannot be cancelled.  For code that expects a "
             "Future.");

static PyObject *
result_cancel(PyObject *op, PyObject *unused)
{
    (void)op;
    (void)unused;
    Py_RETURN_FALSE;
}

/* Called as a link: take over how `source` has ended. */
static PyObject *
result_call(PyObject *op, PyObject *args, PyObject *kwargs)
{
    celext_guard(op);
    static char *known[] = {"source", NULL};
    resultobject *self = (resultobject *)op;
    PyObject *source;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:AsyncResult", known,
                                     &source)) {
        return NULL;
    }
    PyObject *answer = PyObject_CallMethod(source, "successful", NULL);
    int successful = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    if (successful < 0) {
        return NULL;
    }
    if (successful) {
        PyObject *value = PyObject_GetAttrString(source, "value");
        if (value == NULL) {
            return NULL;
        }
        store(self, value, NULL, NULL, NULL);
        Py_DECREF(value);
        Py_RETURN_NONE;
    }
    PyObject *exception = PyObject_GetAttrString(source, "exception");
    if (exception == NULL) {
        return NULL;
    }
    PyObject *exc_info = PyObject_GetAttrString(source, "exc_info");
    if (exc_info == NULL) {
        PyErr_Clear();
    }
    int err = store_exception(self, exception, exc_info);
    Py_XDECREF(exc_info);
    Py_DECREF(exception);
    return err < 0 ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(result_rawlink_doc,
             "rawlink($self, callback, /)\n"
             "--\n\n"
             "Let callback(result) be called in the hub, once, when it is "
             "ready.");

static PyObject *
result_rawlink(PyObject *op, PyObject *callback)
{
    celext_guard(op);
    resultobject *self = (resultobject *)op;

    return links_add(&self->links, op, callback, NULL, is_ready(self));
}

PyDoc_STRVAR(result_unlink_doc, "unlink($self, callback, /)\n"
                                "--\n\n"
                                "Undo rawlink(callback).");

static PyObject *
result_unlink(PyObject *op, PyObject *callback)
{
    celext_guard(op);
    return links_remove(((resultobject *)op)->links, callback);
}

static PyObject *
result_get_value(PyObject *op, void *unused)
{
    celext_guard(op);
    PyObject *value = ((resultobject *)op)->value;

    (void)unused;
    return Py_NewRef(value == NULL ? Py_None : value);
}

static PyObject *
result_get_exception(PyObject *op, void *unused)
{
    celext_guard(op);
    PyObject *exception = ((resultobject *)op)->exception;

    (void)unused;
    return Py_NewRef(exception == NULL ? Py_None : exception);
}

static PyObject *
result_get_exc_info(PyObject *op, void *unused)
{
    celext_guard(op);
    resultobject *self = (resultobject *)op;

    (void)unused;
    if (self->raised == NULL) {
        return PyTuple_New(0);
    }
    PyObject *type = (PyObject *)Py_TYPE(self->raised);
    return PyTuple_Pack(3, type, self->raised, self->traceback);
}

static PyMethodDef result_methods[] = {
    {"set", (PyCFunction)(void (*)(void))result_set,
     METH_FASTCALL | METH_KEYWORDS, result_set_doc},
    {"set_result", (PyCFunction)(void (*)(void))result_set,
     METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("set_result($self, /, value=None)\n"
               "--\n\n"
               "As set().")},
    {"set_exception", (PyCFunction)(void (*)(void))result_set_exception,
     METH_FASTCALL | METH_KEYWORDS, result_set_exception_doc},
    {"get", (PyCFunction)(void (*)(void))result_get,
     METH_FASTCALL | METH_KEYWORDS, result_get_doc},
    {"get_nowait", result_get_nowait, METH_NOARGS, result_get_nowait_doc},
    {"result", (PyCFunction)(void (*)(void))result_result,
     METH_FASTCALL | METH_KEYWORDS, result_result_doc},
    {"wait", (PyCFunction)(void (*)(void))result_wait,
     METH_FASTCALL | METH_KEYWORDS, result_wait_doc},
    {"ready", result_ready, METH_NOARGS, result_ready_doc},
    {"done", result_ready, METH_NOARGS,
     PyDoc_STR("done($self, /)\n"
               "--\n\n"
               "As ready().")},
    {"successful", result_successful, METH_NOARGS, result_successful_doc},
    {"cancel", result_cancel, METH_NOARGS, result_cancel_doc},
    {"cancelled", result_cancel, METH_NOARGS, result_cancelled_doc},
    {"rawlink", result_rawlink, METH_O, result_rawlink_doc},
    {"unlink", result_unlink, METH_O, result_unlink_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef result_getset[] = {
    {"value", result_get_value, NULL,
     PyDoc_STR("The value, or None where there is none."), NULL},
    {"exception", result_get_exception, NULL,
     PyDoc_STR("The exception, or None where there is none."), NULL},
    {"exc_info", result_get_exc_info, NULL,
     PyDoc_STR("Type, value and traceback of the exception, or ()."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef result_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(resultobject, weakreflist),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(result_doc,
             "AsyncResult()\n"
             "--\n\n"
             "A value or an exception that is to come, for any number of "
             "greenlets.");

static PyType_Slot result_slots[] = {
    {Py_tp_doc, (void *)result_doc},
    {Py_tp_new, result_new},
    {Py_tp_traverse, result_traverse},
    {Py_tp_clear, result_clear},
    {Py_tp_dealloc, result_dealloc},
    {Py_tp_repr, result_repr},
    {Py_tp_call, result_call},
    {Py_tp_methods, result_methods},
    {Py_tp_getset, result_getset},
    {Py_tp_members, result_members},
    {0, NULL},
};

static PyType_Spec result_spec = {
    .name = "celadon.event.AsyncResult",
    .basicsize = sizeof(resultobject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = result_slots,
};

int
result_register(PyObject *module, struct celext_state *state)
{
    return celext_add_type(module, &state->result_type, &result_spec, NULL);
}
