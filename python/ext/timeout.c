/* SPDX-License-Identifier: MIT */
/*
 * Timeout: an exception that is raised in the greenlet that started it.
 *
 * The timer is in the object, so starting one allocates nothing and stopping
 * one is an unlink.  When it fires the exception joins the greenlet's pending
 * ones and the greenlet is woken; no Python runs there, so the reference that
 * an armed timeout has to itself is dropped later, by whoever runs next.
 *
 * Threads: with the GIL; the thread that started it.
 *
 * Tests: tests/python/test_timeout.py
 */
#include "ext/timeout.h"

#include "ext/greenlet.h"

/* Invariants: armed => the timer is in the heap of hub's worker and the
   object owns a reference to itself; target != NULL => it was started and not
   yet stopped. */
struct timeoutobject {
    PyBaseExceptionObject base;
    struct cel__timer timer;
    struct hub *hub;            /* where it was started; NULL: never */
    PyGreenlet *target;         /* owned while pending */
    PyObject *seconds;          /* owned; a number or None */
    PyObject *exception;        /* owned; what to raise: None: itself */
    PyObject *thrown;           /* owned; the instance that is raised; NULL:
                                   itself, or it was not started */
    struct timeoutobject *next; /* in hub->fired */
    bool armed;
    bool unref; /* nobody needs to wait for it */
    /* By another thread, which cannot get at the timer: it fires for nothing,
       or is stopped when it is next started. */
    atomic_bool cancelled;
};
typedef struct timeoutobject timeoutobject;

/* What is raised. */
static PyObject *
raised_by(timeoutobject *self)
{
    return self->thrown != NULL ? self->thrown : (PyObject *)self;
}

static void
fire(struct cel__timer *timer)
{
    timeoutobject *self = cel__container(timer, timeoutobject, timer);
    struct hub *hub = self->hub;

    self->armed = false;
    hub->worker->nexpected += self->unref;
    if (!atomic_load(&self->cancelled)) {
        (void)hub_throw_later(self->target->glet, raised_by(self));
    }
    self->next = hub->fired;
    hub->fired = self;
    hub_litter(hub);
}

void
timeout_drop_fired(struct hub *hub)
{
    while (hub->fired != NULL) {
        timeoutobject *self = hub->fired;
        hub->fired = self->next;
        Py_DECREF((PyObject *)self);
    }
}

/* Stop it, and take back what was not yet raised. */
static void
stop(timeoutobject *self)
{
    if (self->target != NULL && !hub_is_ours(self->hub)) {
        atomic_store(&self->cancelled, true);
        return;
    }
    if (self->armed) {
        self->armed = false;
        self->hub->worker->nexpected += self->unref;
        cel__timer_stop(self->hub->worker, &self->timer);
        Py_DECREF((PyObject *)self);
    }
    else if (self->target != NULL) {
        hub_throw_cancel(self->target->glet, raised_by(self));
    }
    Py_CLEAR(self->target);
    Py_CLEAR(self->thrown);
}

/*
 * Make the instance to raise: when the timer fires no Python may run.
 * Returns 0, or -1 with an exception.
 */
static int
make_thrown(timeoutobject *self)
{
    PyObject *exception = self->exception;

    if (exception != NULL && PyExceptionClass_Check(exception)) {
        PyObject *thrown = PyObject_CallNoArgs(exception);
        if (thrown == NULL) {
            return -1;
        }
        Py_XSETREF(self->thrown, thrown);
    }
    else if (exception != NULL && PyExceptionInstance_Check(exception)) {
        Py_XSETREF(self->thrown, Py_NewRef(exception));
    }
    return 0;
}

static bool
is_pending(timeoutobject *self)
{
    return self->armed && !atomic_load(&self->cancelled);
}

/* Returns 0, or -1 with an exception: it is started. */
static int
check_stopped(timeoutobject *self)
{
    if (is_pending(self)) {
        PyErr_Format(PyExc_AssertionError,
                     "%R is already started; to restart it, cancel it first",
                     self);
        return -1;
    }
    return 0;
}

static int
start(timeoutobject *self)
{
    cel_time deadline;

    if (check_stopped(self) < 0) {
        return -1;
    }
    stop(self);
    if (self->seconds == NULL || self->seconds == Py_None) {
        return 0;
    }
    struct hub *hub = hub_get(celext_state_of(Py_TYPE((PyObject *)self)));
    if (hub == NULL || celext_deadline(self->seconds, &deadline) < 0) {
        return -1;
    }
    /* Making it may run anything. */
    if (make_thrown(self) < 0 || check_stopped(self) < 0) {
        return -1;
    }
    if (self->target != NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this Timeout belongs to another thread");
        return -1;
    }
    self->hub = hub;
    atomic_store(&self->cancelled, false);
    self->timer.fire = fire;
    cel__heap_node_init(&self->timer.node);
    if (cel__timer_start(hub->worker, &self->timer, deadline) < 0) {
        Py_CLEAR(self->thrown);
        PyErr_NoMemory();
        return -1;
    }
    self->target = (PyGreenlet *)Py_NewRef((PyObject *)hub_current(hub)->self);
    self->armed = true;
    hub->worker->nexpected -= self->unref;
    Py_INCREF((PyObject *)self);
    return 0;
}

static int
timeout_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"seconds",  "exception", "ref",
                            "priority", "_one_shot", NULL};
    timeoutobject *self = (timeoutobject *)op;
    PyObject *seconds = Py_None;
    PyObject *exception = Py_None;
    PyObject *priority;
    int ref = 1;
    int one_shot;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOpOp:Timeout", names,
                                     &seconds, &exception, &ref, &priority,
                                     &one_shot)) {
        return -1;
    }
    stop(self);
    Py_XSETREF(self->seconds, Py_NewRef(seconds));
    Py_XSETREF(self->exception, Py_NewRef(exception));
    self->unref = !ref;
    return 0;
}

static int
timeout_traverse(PyObject *op, visitproc visit, void *arg)
{
    timeoutobject *self = (timeoutobject *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT((PyObject *)self->target);
    Py_VISIT(self->seconds);
    Py_VISIT(self->exception);
    Py_VISIT(self->thrown);
    return ((PyTypeObject *)PyExc_BaseException)->tp_traverse(op, visit, arg);
}

static int
timeout_clear(PyObject *op)
{
    timeoutobject *self = (timeoutobject *)op;

    Py_CLEAR(self->target);
    Py_CLEAR(self->seconds);
    Py_CLEAR(self->exception);
    Py_CLEAR(self->thrown);
    return ((PyTypeObject *)PyExc_BaseException)->tp_clear(op);
}

static void
timeout_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    (void)timeout_clear(op);
    /* The base untracks what it frees. */
    PyObject_GC_Track(op);
    ((PyTypeObject *)PyExc_BaseException)->tp_dealloc(op);
    Py_DECREF(type);
}

PyDoc_STRVAR(timeout_start_doc,
             "start($self, /)\n"
             "--\n\n"
             "Arm it for the calling greenlet.  Does not suspend.");

static PyObject *
timeout_start(PyObject *op, PyObject *unused)
{
    (void)unused;
    if (start((timeoutobject *)op) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(timeout_cancel_doc,
             "cancel($self, /)\n"
             "--\n\n"
             "Disarm it; what it has not yet raised it will not raise.");

static PyObject *
timeout_cancel(PyObject *op, PyObject *unused)
{
    (void)unused;
    stop((timeoutobject *)op);
    Py_RETURN_NONE;
}

static PyObject *
timeout_enter(PyObject *op, PyObject *unused)
{
    timeoutobject *self = (timeoutobject *)op;

    (void)unused;
    if (!is_pending(self) && start(self) < 0) {
        return NULL;
    }
    return Py_NewRef(op);
}

static PyObject *
timeout_exit(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    timeoutobject *self = (timeoutobject *)op;

    stop(self);
    return PyBool_FromLong(nargs >= 2 && args[1] == op &&
                           self->exception == Py_False);
}

PyDoc_STRVAR(timeout_start_new_doc,
             "start_new($type, /, timeout=None, exception=None, ref=True)\n"
             "--\n\n"
             "Make one of timeout seconds and start it; a Timeout given as "
             "timeout is started\nunless it is already, and returned.");

static PyObject *
timeout_start_new(PyObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"timeout", "exception", "ref", NULL};
    PyObject *seconds = Py_None;
    PyObject *exception = Py_None;
    int ref = 1;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOp:start_new", names,
                                     &seconds, &exception, &ref)) {
        return NULL;
    }
    struct celext_state *state = celext_state_of((PyTypeObject *)type);
    PyObject *self;
    if (PyObject_TypeCheck(seconds, state->timeout_type)) {
        self = Py_NewRef(seconds);
    }
    else {
        self = PyObject_CallFunction(type, "OOO", seconds, exception,
                                     ref ? Py_True : Py_False);
    }
    if (self != NULL && !is_pending((timeoutobject *)self) &&
        start((timeoutobject *)self) < 0) {
        Py_CLEAR(self);
    }
    return self;
}

static PyObject *
timeout_str(PyObject *op)
{
    timeoutobject *self = (timeoutobject *)op;

    if (self->seconds == NULL || self->seconds == Py_None) {
        return PyUnicode_FromString("");
    }
    PyObject *one = PyLong_FromLong(1);
    int single = one == NULL
                     ? -1
                     : PyObject_RichCompareBool(self->seconds, one, Py_EQ);
    Py_XDECREF(one);
    if (single < 0) {
        return NULL;
    }
    const char *plural = single ? "" : "s";
    if (self->exception == Py_False) {
        return PyUnicode_FromFormat("%S second%s (silent)", self->seconds,
                                    plural);
    }
    if (self->exception == Py_None || self->exception == NULL) {
        return PyUnicode_FromFormat("%S second%s", self->seconds, plural);
    }
    return PyUnicode_FromFormat("%S second%s: %S", self->seconds, plural,
                                self->exception);
}

static PyObject *
timeout_repr(PyObject *op)
{
    timeoutobject *self = (timeoutobject *)op;
    const char *pending = is_pending(self) ? " pending" : "";

    if (self->exception == NULL || self->exception == Py_None) {
        return PyUnicode_FromFormat(
            "<%s at %p seconds=%S%s>", Py_TYPE(op)->tp_name, op,
            self->seconds == NULL ? Py_None : self->seconds, pending);
    }
    return PyUnicode_FromFormat("<%s at %p seconds=%S exception=%R%s>",
                                Py_TYPE(op)->tp_name, op, self->seconds,
                                self->exception, pending);
}

static PyObject *
timeout_get_pending(PyObject *op, void *unused)
{
    timeoutobject *self = (timeoutobject *)op;

    (void)unused;
    return PyBool_FromLong(is_pending(self));
}

static PyMethodDef timeout_methods[] = {
    {"start", timeout_start, METH_NOARGS, timeout_start_doc},
    {"cancel", timeout_cancel, METH_NOARGS, timeout_cancel_doc},
    {"close", timeout_cancel, METH_NOARGS, timeout_cancel_doc},
    {"__enter__", timeout_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))timeout_exit, METH_FASTCALL,
     NULL},
    {"start_new", (PyCFunction)(void (*)(void))timeout_start_new,
     METH_VARARGS | METH_KEYWORDS | METH_CLASS, timeout_start_new_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef timeout_getset[] = {
    {"pending", timeout_get_pending, NULL, PyDoc_STR("Whether it is armed."),
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef timeout_members[] = {
    {"seconds", T_OBJECT, offsetof(timeoutobject, seconds), 0,
     PyDoc_STR("The number of seconds, or None: it never fires.")},
    {"exception", T_OBJECT, offsetof(timeoutobject, exception), 0,
     PyDoc_STR("What is raised: None: the timeout itself; False: itself, "
               "and the\nwith statement swallows it.")},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(timeout_doc,
             "Timeout(seconds=None, exception=None, ref=True, priority=-1)\n"
             "--\n\n"
             "Raise exception, by default itself, in the greenlet that "
             "started it, after\nseconds seconds, at the call in which it "
             "waits then.");

static PyType_Slot timeout_slots[] = {
    {Py_tp_doc, (void *)timeout_doc},
    {Py_tp_init, timeout_init},
    {Py_tp_dealloc, timeout_dealloc},
    {Py_tp_traverse, timeout_traverse},
    {Py_tp_clear, timeout_clear},
    {Py_tp_str, timeout_str},
    {Py_tp_repr, timeout_repr},
    {Py_tp_methods, timeout_methods},
    {Py_tp_getset, timeout_getset},
    {Py_tp_members, timeout_members},
    {0, NULL},
};

static PyType_Spec timeout_spec = {
    .name = "celadon._core.Timeout",
    .basicsize = sizeof(timeoutobject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = timeout_slots,
};

int
timeout_register(PyObject *module, struct celext_state *state)
{
    return celext_add_type(module, &state->timeout_type, &timeout_spec,
                           PyExc_BaseException);
}
