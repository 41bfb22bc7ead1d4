/* SPDX-License-Identifier: MIT */
/*
 * Hub, the type of the hub's greenlet, and Callback, its unit of work.
 *
 * Hub has what only C can do; celadon/hub.py makes the class users see of it
 * (errors, printing, names).
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_hub.py
 */
#include "ext/hubtype.h"

#include "ext/compat.h"
#include "ext/guard.h"
#include "ext/hub.h"

/* Invariants: armed => this object owns a reference to itself and its call
   is in the run queue or due. */
typedef struct {
    PyObject_HEAD
    struct hub_call call;
    PyObject *main; /* owned; the main greenlet, which keeps call.hub */
    PyObject *func; /* owned; NULL once run or stopped */
    PyObject *args; /* owned; a tuple */
    bool armed;
} callbackobject;

static int
callback_traverse(PyObject *op, visitproc visit, void *arg)
{
    callbackobject *self = (callbackobject *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->main);
    Py_VISIT(self->func);
    Py_VISIT(self->args);
    return 0;
}

static int
callback_clear(PyObject *op)
{
    callbackobject *self = (callbackobject *)op;

    Py_CLEAR(self->func);
    Py_CLEAR(self->args);
    return 0;
}

static void
callback_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    (void)callback_clear(op);
    Py_XDECREF(((callbackobject *)op)->main);
    type->tp_free(op);
    Py_DECREF(type);
}

/* Take out what to call; NULL: it was stopped. */
static PyObject *
disarm(callbackobject *self, PyObject **args)
{
    celext_guard(self);
    PyObject *func = self->func;

    *args = self->args;
    self->func = NULL;
    self->args = NULL;
    self->armed = false;
    hub_call_fini(&self->call);
    return func;
}

/* Its turn has come, in the hub greenlet. */
static void
callback_run(struct hub_call *call)
{
    callbackobject *self = cel__container(call, callbackobject, call);
    struct hub *hub = call->hub;
    PyObject *args;
    PyObject *func = disarm(self, &args);

    if (func != NULL) {
        PyObject *result = PyObject_Call(func, args, NULL);
        if (result == NULL) {
            hub_report(hub, (PyObject *)self);
        }
        Py_XDECREF(result);
        Py_DECREF(func);
        Py_DECREF(args);
    }
    Py_DECREF(self);
}

PyObject *
hub_run_callback(struct hub *hub, PyObject *callable, PyObject *args)
{
    PyTypeObject *type = hub->state->callback_type;
    callbackobject *self = (callbackobject *)type->tp_alloc(type, 0);

    if (self == NULL) {
        return NULL;
    }
    if (hub_call_init(hub, &self->call, callback_run) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    self->main = Py_NewRef((PyObject *)hub->main->self);
    self->func = Py_NewRef(callable);
    self->args = Py_NewRef(args);
    self->armed = true;
    Py_INCREF(self);
    hub_call_queue(&self->call);
    return (PyObject *)self;
}

PyDoc_STRVAR(callback_stop_doc, "stop($self, /)\n"
                                "--\n\n"
                                "Take the callback back if it has not run.");

static PyObject *
callback_stop(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    callbackobject *self = (callbackobject *)op;

    (void)unused;
    if (self->armed && !hub_is_ours(self->call.hub)) {
        (void)callback_clear(op); /* its thread will have nothing to call */
    }
    else if (self->armed) {
        self->armed = false;
        hub_call_fini(&self->call);
        (void)callback_clear(op);
        Py_DECREF(self);
    }
    Py_RETURN_NONE;
}

static PyObject *
callback_get_pending(PyObject *op, void *unused)
{
    celext_guard(op);
    callbackobject *self = (callbackobject *)op;

    (void)unused;
    return PyBool_FromLong(self->armed && self->func != NULL);
}

static PyObject *
callback_get_callback(PyObject *op, void *unused)
{
    celext_guard(op);
    PyObject *func = ((callbackobject *)op)->func;

    (void)unused;
    return Py_NewRef(func == NULL ? Py_None : func);
}

static PyObject *
callback_get_args(PyObject *op, void *unused)
{
    celext_guard(op);
    PyObject *args = ((callbackobject *)op)->args;

    (void)unused;
    return Py_NewRef(args == NULL ? Py_None : args);
}

static int
callback_bool(PyObject *op)
{
    celext_guard(op);
    return ((callbackobject *)op)->func != NULL;
}

static PyMethodDef callback_methods[] = {
    {"stop", callback_stop, METH_NOARGS, callback_stop_doc},
    {"close", callback_stop, METH_NOARGS, callback_stop_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef callback_getset[] = {
    {"pending", callback_get_pending, NULL,
     PyDoc_STR("Whether it waits for its turn."), NULL},
    {"callback", callback_get_callback, NULL,
     PyDoc_STR("What will be called, or None."), NULL},
    {"args", callback_get_args, NULL,
     PyDoc_STR("What it will be called with, or None."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot callback_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("A call the hub will make.")},
    {Py_tp_dealloc, callback_dealloc},
    {Py_tp_traverse, callback_traverse},
    {Py_tp_clear, callback_clear},
    {Py_tp_methods, callback_methods},
    {Py_tp_getset, callback_getset},
    {Py_nb_bool, callback_bool},
    {0, NULL},
};

static PyType_Spec callback_spec = {
    .name = "celadon._core.Callback",
    .basicsize = sizeof(callbackobject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = callback_slots,
};

/* ---- Hub */

/* The hub that `self` is the greenlet of, if it is this thread's. */
static struct hub *
hub_of(PyObject *self)
{
    struct hub *hub = ((PyGreenlet *)self)->glet->hub;

    if (hub == NULL || hub->worker != cel__worker()) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this hub belongs to another thread");
        return NULL;
    }
    return hub;
}

PyDoc_STRVAR(hub_run_callback_doc,
             "run_callback($self, func, /, *args)\n"
             "--\n\n"
             "Call func(*args) in the hub, in the order of the run queue.\n\n"
             "Does not suspend.  Returns an object whose stop() takes it "
             "back.");

static PyObject *
hubtype_run_callback(PyObject *self, PyObject *args)
{
    struct hub *hub = hub_of(self);

    if (hub == NULL) {
        return NULL;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(args);
    if (count < 1 || !PyCallable_Check(PyTuple_GET_ITEM(args, 0))) {
        PyErr_SetString(PyExc_TypeError,
                        "run_callback() needs a callable first");
        return NULL;
    }
    PyObject *rest = PyTuple_GetSlice(args, 1, count);
    if (rest == NULL) {
        return NULL;
    }
    PyObject *callback = hub_run_callback(hub, PyTuple_GET_ITEM(args, 0),
                                          rest);
    Py_DECREF(rest);
    return callback;
}

PyDoc_STRVAR(hub_switch_doc,
             "switch($self, /)\n"
             "--\n\n"
             "Wait until somebody switches back to the calling greenlet.\n\n"
             "Suspends.  Returns what was handed over.");

static PyObject *
hubtype_switch(PyObject *self, PyObject *unused)
{
    struct hub *hub = hub_of(self);

    (void)unused;
    if (hub == NULL) {
        return NULL;
    }
    return hub_switch_out(hub);
}

PyDoc_STRVAR(hub_wait_fd_doc,
             "wait_fd($self, fd, events, timeout=None, /)\n"
             "--\n\n"
             "Wait until fd is ready for one of events (as select.poll's).\n\n"
             "Suspends.  Returns what it is ready for; 0 after timeout "
             "seconds.");

static PyObject *
hubtype_wait_fd(PyObject *self, PyObject *args)
{
    int fd;
    unsigned int events;
    PyObject *timeout = Py_None;
    cel_time deadline;
    int64_t result;
    struct hub *hub = hub_of(self);

    if (hub == NULL ||
        !PyArg_ParseTuple(args, "iI|O:wait_fd", &fd, &events, &timeout) ||
        celext_deadline(timeout, &deadline) < 0 ||
        !hub_await_fd(hub, fd, events, deadline, "wait_fd", &result)) {
        return NULL;
    }
    if (result == -ETIMEDOUT) {
        return PyLong_FromLong(0);
    }
    return result < 0 ? celext_oserror(result) : PyLong_FromLongLong(result);
}

PyDoc_STRVAR(hub_throw_main_doc,
             "throw_main($self, exc, /)\n"
             "--\n\n"
             "Let the exception exc be raised in the main greenlet, in its "
             "turn.  Does not suspend.");

static PyObject *
hubtype_throw_main(PyObject *self, PyObject *exc)
{
    struct hub *hub = hub_of(self);

    if (hub == NULL) {
        return NULL;
    }
    if (!PyExceptionInstance_Check(exc)) {
        PyErr_SetString(PyExc_TypeError,
                        "throw_main() needs an exception instance");
        return NULL;
    }
    if (hub_throw_later(hub->main, exc) < 0) {
        return PyErr_NoMemory();
    }
    Py_RETURN_NONE;
}

/* The hub behind an attribute of `self`; NULL with an exception: it ended. */
static struct hub *
living_hub(PyObject *self)
{
    struct hub *hub = ((PyGreenlet *)self)->glet->hub;

    if (hub == NULL || hub->finished) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this hub has ended with its thread");
        return NULL;
    }
    return hub;
}

static PyObject *
hubtype_get_backend(PyObject *self, void *unused)
{
    const struct hub *hub = living_hub(self);

    (void)unused;
    return hub == NULL ? NULL
                       : PyUnicode_FromString(hub->worker->loop.backend->name);
}

static PyObject *
hubtype_get_main(PyObject *self, void *unused)
{
    const struct hub *hub = living_hub(self);

    (void)unused;
    return hub == NULL ? NULL : Py_NewRef((PyObject *)hub->main->self);
}

static PyObject *
hubtype_get_switches(PyObject *self, void *unused)
{
    const struct hub *hub = living_hub(self);

    (void)unused;
    return hub == NULL ? NULL
                       : PyLong_FromUnsignedLongLong(hub->worker->nswitch);
}

static PyMethodDef hub_methods[] = {
    {"run_callback", hubtype_run_callback, METH_VARARGS, hub_run_callback_doc},
    {"switch", hubtype_switch, METH_NOARGS, hub_switch_doc},
    {"wait_fd", hubtype_wait_fd, METH_VARARGS, hub_wait_fd_doc},
    {"throw_main", hubtype_throw_main, METH_O, hub_throw_main_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef hub_getset[] = {
    {"backend", hubtype_get_backend, NULL,
     PyDoc_STR("The name of the event loop's backend."), NULL},
    {"main", hubtype_get_main, NULL, PyDoc_STR("The thread's main greenlet."),
     NULL},
    {"switches", hubtype_get_switches, NULL,
     PyDoc_STR("Greenlet switches so far."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot hub_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR(
                    "The greenlet that runs callbacks and reports errors.")},
    {Py_tp_methods, hub_methods},
    {Py_tp_getset, hub_getset},
    {0, NULL},
};

static PyType_Spec hub_spec = {
    .name = "celadon._core.Hub",
    .basicsize = sizeof(PyGreenlet),
    /* Collected as its base is: the flag comes with traverse and clear. */
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = hub_slots,
};

PyObject *
hubtype_new(struct hub *hub, PyGreenlet *main)
{
    PyTypeObject *type = (PyTypeObject *)hub->state->hub_class;
    PyGreenlet *self = (PyGreenlet *)type->tp_alloc(type, 0);

    if (self == NULL) {
        return NULL;
    }
    if (glet_new(self, main) == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    self->glet->hub = hub;
    return (PyObject *)self;
}

void
hub_report(struct hub *hub, PyObject *context)
{
    PyObject *exc = celext_take_raised();
    PyObject *self = (PyObject *)hub->glet->self;
    PyObject *traceback = PyException_GetTraceback(exc);

    PyObject *result = PyObject_CallMethod(
        self, "handle_error", "OOOO", context == NULL ? Py_None : context,
        Py_TYPE(exc), exc, traceback == NULL ? Py_None : traceback);
    Py_XDECREF(traceback);
    if (result == NULL) {
        /* No handler, or it failed: at least the first error is shown. */
        PyErr_Clear();
        celext_raise(exc);
        PyErr_WriteUnraisable(context);
        return;
    }
    Py_DECREF(result);
    Py_DECREF(exc);
}

int
hub_register(PyObject *module, struct celext_state *state)
{
    if (celext_add_type(module, &state->callback_type, &callback_spec, NULL) <
            0 ||
        celext_add_type(module, &state->hub_type, &hub_spec,
                        (PyObject *)state->greenlet_type) < 0) {
        return -1;
    }
    state->hub_class = Py_NewRef((PyObject *)state->hub_type);
    return 0;
}
