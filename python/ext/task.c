/* SPDX-License-Identifier: MIT */
/*
 * Greenlet: a greenlet that the hub runs and that others can wait for.
 *
 * Here it is made, started and ended.  Who joins is in an intrusive list and
 * is woken when it ends (taskwait.c); links, calls to be made at its end, run
 * in the hub after that (tasklink.c).
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_task.py
 */
#include "ext/task.h"

#include "ext/compat.h"
#include "ext/farewell.h"
#include "ext/greenlet.h"
#include "ext/guard.h"

/* ---- making */

static PyObject *
task_make(PyTypeObject *type, struct hub *hub)
{
    struct taskobject *self = (struct taskobject *)type->tp_alloc(type, 0);

    if (self == NULL) {
        return NULL;
    }
    cel__list_init(&self->waiters);
    cel__heap_node_init(&self->timer.node);
    if (glet_new(&self->base, hub->glet->self) == NULL) {
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    return (PyObject *)self;
}

static PyObject *task_main(struct glet *glet);

static PyObject *
task_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    struct hub *hub = hub_get(celext_state_of(type));
    if (hub == NULL) {
        return NULL;
    }
    if (PyType_HasFeature(type, Py_TPFLAGS_IS_ABSTRACT)) {
        /* Which refuses it. */
        return PyBaseObject_Type.tp_new(type, hub->state->empty_tuple, NULL);
    }
    PyObject *self = task_make(type, hub);
    if (self != NULL) {
        ((PyGreenlet *)self)->glet->main = task_main;
        ((struct taskobject *)self)->args = Py_NewRef(hub->state->empty_tuple);
    }
    return self;
}

static int
task_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    celext_guard(op);
    struct taskobject *self = (struct taskobject *)op;
    Py_ssize_t count = PyTuple_GET_SIZE(args);
    PyObject *named = NULL;
    PyObject *keywords = NULL;

    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0) {
        keywords = PyDict_Copy(kwargs);
        if (keywords == NULL) {
            return -1;
        }
        named = PyDict_GetItemString(keywords, "run");
        if (named != NULL && count == 0) {
            Py_INCREF(named);
            (void)PyDict_DelItemString(keywords, "run");
        }
        else {
            named = NULL;
        }
    }
    PyObject *run = named != NULL ? named
                    : count > 0   ? Py_NewRef(PyTuple_GET_ITEM(args, 0))
                                  : NULL;
    PyObject *rest = PyTuple_GetSlice(args, 1, count);
    if (rest == NULL) {
        goto fail;
    }
    if (run == Py_None) {
        Py_CLEAR(run);
    }
    if (run != NULL && !PyCallable_Check(run)) {
        PyErr_Format(PyExc_TypeError,
                     "The run argument or self._run must be callable, not %R",
                     run);
        Py_DECREF(rest);
        goto fail;
    }
    Py_XSETREF(self->run, run);
    Py_XSETREF(self->args, rest);
    Py_XSETREF(self->kwargs, keywords);
    return 0;

fail:
    Py_XDECREF(run);
    Py_XDECREF(keywords);
    return -1;
}

static int
task_traverse(PyObject *op, visitproc visit, void *arg)
{
    struct taskobject *self = (struct taskobject *)op;

    Py_VISIT(self->run);
    Py_VISIT(self->args);
    Py_VISIT(self->kwargs);
    Py_VISIT(self->value);
    Py_VISIT(self->exception);
    Py_VISIT(self->traceback);
    Py_VISIT(self->links);
    return greenlet_traverse(op, visit, arg);
}

static int
task_clear(PyObject *op)
{
    struct taskobject *self = (struct taskobject *)op;

    Py_CLEAR(self->run);
    Py_CLEAR(self->args);
    Py_CLEAR(self->kwargs);
    Py_CLEAR(self->value);
    Py_CLEAR(self->exception);
    Py_CLEAR(self->traceback);
    Py_CLEAR(self->links);
    return greenlet_clear(op);
}

static void
task_dealloc(PyObject *op)
{
    struct taskobject *self = (struct taskobject *)op;

    if (greenlet_resurrect(op)) {
        return;
    }
    PyObject_GC_UnTrack(op);
    Py_CLEAR(self->run);
    Py_CLEAR(self->args);
    Py_CLEAR(self->kwargs);
    Py_CLEAR(self->value);
    Py_CLEAR(self->exception);
    Py_CLEAR(self->traceback);
    Py_CLEAR(self->links);
    PyObject_GC_Track(op);
    greenlet_dealloc(op);
}

/* ---- running, and the end */

/* It starts before its time, or never.  Another thread's timer fires all the
   same, and starts what ends at once. */
static void
stop_waiting(struct taskobject *self)
{
    if (self->waiting && hub_is_ours(self->base.glet->hub)) {
        self->waiting = false;
        cel__timer_stop(self->base.glet->hub->worker, &self->timer);
    }
}

void
task_done(struct hub *hub, struct taskobject *self, PyObject *value)
{
    celext_guard(self);
    struct cel__link *link;

    if (value == NULL) {
        PyObject *exc = celext_take_raised();
        if (PyErr_GivenExceptionMatches(exc, hub->state->greenlet_exit)) {
            value = exc;
        }
        else {
            self->exception = Py_NewRef(exc);
            self->traceback = PyException_GetTraceback(exc);
            celext_raise(exc);
            hub_report(hub, (PyObject *)self);
        }
    }
    self->value = value;
    self->ready = true;
    Py_CLEAR(self->run);
    Py_XSETREF(self->args, Py_NewRef(hub->state->empty_tuple));
    Py_CLEAR(self->kwargs);
    while ((link = cel__list_first(&self->waiters)) != NULL) {
        cel__wait_finish(cel__container(link, struct cel__wait, link), 0);
    }
    if (self->links != NULL) {
        tasklink_notify(hub, self);
    }
}

void
task_end_unstarted(struct hub *hub, struct taskobject *self, PyObject *exc)
{
    bool waited = self->waiting;

    stop_waiting(self);
    bool stopped = waited && !self->waiting;
    celext_raise(exc);
    task_done(hub, self, NULL);
    if (stopped) {
        greenlet_let_go(&self->base);
    }
    if (!self->base.glet->held) {
        self->base.glet->state = GLET_FINISHED;
    }
    /* Else it is in the run queue, and ends as soon as it runs. */
}

/* Call what it was made for. */
static PyObject *
call(struct taskobject *self)
{
    PyObject *run = Py_XNewRef(self->run);

    if (run == NULL) {
        run = PyObject_GetAttrString((PyObject *)self, "_run");
    }
    if (run == NULL) {
        return NULL;
    }
    PyObject *args = Py_NewRef(self->args);
    PyObject *kwargs = Py_XNewRef(self->kwargs);
    PyObject *result = PyObject_Call(run, args, kwargs);
    Py_DECREF(args);
    Py_XDECREF(kwargs);
    Py_DECREF(run);
    return result;
}

/* It runs now.  Returns false where it was killed before its turn came. */
static bool
begin(struct taskobject *self)
{
    celext_guard(self);

    stop_waiting(self);
    self->begun = true;
    return !self->ready;
}

/* What runs on its stack. */
static PyObject *
task_main(struct glet *glet)
{
    struct taskobject *self = (struct taskobject *)glet->self;

    if (!begin(self)) {
        PyErr_Clear(); /* it has ended of another one */
    }
    else {
        task_done(glet->hub, self, PyErr_Occurred() ? NULL : call(self));
    }
    return Py_NewRef(Py_None);
}

/* ---- starting */

PyDoc_STRVAR(task_start_doc, "start($self, /)\n"
                             "--\n\n"
                             "Let it run in its turn.  Does not suspend.");

static PyObject *
task_start(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    struct taskobject *self = (struct taskobject *)op;
    struct hub *hub = task_hub(self);

    (void)unused;
    if (hub == NULL) {
        return NULL;
    }
    if (!self->started && !self->ready &&
        self->base.glet->state == GLET_UNSTARTED) {
        if (greenlet_schedule(hub, &self->base) < 0) {
            return NULL;
        }
        self->started = true;
    }
    Py_RETURN_NONE;
}

static void
time_to_start(struct cel__timer *timer)
{
    struct taskobject *self = cel__container(timer, struct taskobject, timer);

    self->waiting = false;
    cel__coro_start(&self->base.glet->coro);
}

PyDoc_STRVAR(task_start_later_doc,
             "start_later($self, seconds, /)\n"
             "--\n\n"
             "Let it run after so many seconds.  Does not suspend.");

static PyObject *
task_start_later(PyObject *op, PyObject *seconds)
{
    celext_guard(op);
    struct taskobject *self = (struct taskobject *)op;
    struct hub *hub = task_hub(self);
    cel_time when;

    if (hub == NULL || celext_deadline(seconds, &when) < 0) {
        return NULL;
    }
    if (self->started || self->ready ||
        self->base.glet->state != GLET_UNSTARTED) {
        Py_RETURN_NONE;
    }
    if (greenlet_hold(hub, &self->base) < 0) {
        return NULL;
    }
    self->timer.fire = time_to_start;
    if (cel__timer_start(hub->worker, &self->timer, when) < 0) {
        greenlet_let_go(&self->base);
        return PyErr_NoMemory();
    }
    self->waiting = true;
    self->started = true;
    Py_RETURN_NONE;
}

static PyObject *
task_spawn_of(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *self = PyObject_Call((PyObject *)type, args, kwargs);
    PyObject *done = self == NULL ? NULL : task_start(self, NULL);

    if (done == NULL) {
        Py_CLEAR(self);
    }
    Py_XDECREF(done);
    return self;
}

PyDoc_STRVAR(task_spawn_doc,
             "spawn($type, run, /, *args, **kwargs)\n"
             "--\n\n"
             "Make one that will call run(*args, **kwargs), and start it.  "
             "Does not suspend.");

static PyObject *
task_spawn(PyObject *type, PyObject *args, PyObject *kwargs)
{
    return task_spawn_of((PyTypeObject *)type, args, kwargs);
}

PyDoc_STRVAR(task_spawn_later_doc,
             "spawn_later($type, seconds, run, /, *args, **kwargs)\n"
             "--\n\n"
             "As spawn(), but start it after so many seconds.");

static PyObject *
task_spawn_later(PyObject *type, PyObject *args, PyObject *kwargs)
{
    if (PyTuple_GET_SIZE(args) < 1) {
        PyErr_SetString(PyExc_TypeError, "spawn_later() needs the seconds");
        return NULL;
    }
    PyObject *rest = PyTuple_GetSlice(args, 1, PyTuple_GET_SIZE(args));
    if (rest == NULL) {
        return NULL;
    }
    PyObject *self = PyObject_Call(type, rest, kwargs);
    Py_DECREF(rest);
    PyObject *done = self == NULL
                         ? NULL
                         : task_start_later(self, PyTuple_GET_ITEM(args, 0));
    if (done == NULL) {
        Py_CLEAR(self);
    }
    Py_XDECREF(done);
    return self;
}

PyObject *
celext_spawn(struct hub *hub, PyObject *const *args, Py_ssize_t nargs,
             PyObject *names)
{
    if (nargs < 1 || !PyCallable_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "spawn() needs a callable first");
        return NULL;
    }
    PyTypeObject *type = (PyTypeObject *)hub->state->task_class;
    struct taskobject *self = (struct taskobject *)task_make(type, hub);
    if (self == NULL) {
        return NULL;
    }
    self->base.glet->main = task_main;
    self->run = Py_NewRef(args[0]);
    if (nargs == 1) {
        self->args = Py_NewRef(hub->state->empty_tuple);
    }
    else {
        self->args = PyTuple_New(nargs - 1);
        for (Py_ssize_t i = 1; self->args != NULL && i < nargs; i++) {
            PyTuple_SET_ITEM(self->args, i - 1, Py_NewRef(args[i]));
        }
    }
    if (names != NULL && PyTuple_GET_SIZE(names) > 0) {
        self->kwargs = PyDict_New();
        for (Py_ssize_t i = 0;
             self->kwargs != NULL && i < PyTuple_GET_SIZE(names); i++) {
            if (PyDict_SetItem(self->kwargs, PyTuple_GET_ITEM(names, i),
                               args[nargs + i]) < 0) {
                Py_CLEAR(self->kwargs);
            }
        }
    }
    if (self->args == NULL || PyErr_Occurred() ||
        greenlet_schedule(hub, &self->base) < 0) {
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    self->started = true;
    return (PyObject *)self;
}

PyObject *
celext_spawn_call(struct hub *hub, PyObject *func, PyObject *args,
                  PyObject *kwargs)
{
    PyTypeObject *type = hub->state->greenlet_type;
    PyGreenlet *self = (PyGreenlet *)type->tp_alloc(type, 0);

    if (self == NULL || args == NULL ||
        glet_new(self, hub->glet->self) == NULL) {
        Py_XDECREF(args);
        Py_XDECREF(kwargs);
        Py_XDECREF((PyObject *)self);
        return NULL;
    }
    self->glet->run = Py_NewRef(func);
    self->glet->value = args;
    self->glet->kwargs = kwargs;
    if (greenlet_schedule(hub, self) < 0) {
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    return (PyObject *)self;
}

/* ---- looking at it */

static PyObject *
task_is_ready(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    (void)unused;
    return PyBool_FromLong(((struct taskobject *)op)->ready);
}

static PyObject *
task_successful(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    struct taskobject *self = (struct taskobject *)op;

    (void)unused;
    return PyBool_FromLong(self->ready && self->exception == NULL);
}

static PyObject *
task_get_started(PyObject *op, void *unused)
{
    celext_guard(op);
    struct taskobject *self = (struct taskobject *)op;

    (void)unused;
    return PyBool_FromLong((self->started && !self->ready) ||
                           self->base.glet->state == GLET_ACTIVE);
}

static PyObject *
task_get_dead(PyObject *op, void *unused)
{
    celext_guard(op);
    struct taskobject *self = (struct taskobject *)op;

    (void)unused;
    return PyBool_FromLong(self->ready ||
                           self->base.glet->state == GLET_FINISHED);
}

static PyObject *
task_get_value(PyObject *op, void *unused)
{
    celext_guard(op);
    struct taskobject *self = (struct taskobject *)op;

    (void)unused;
    return Py_NewRef(self->value == NULL ? Py_None : self->value);
}

static PyObject *
task_get_exception(PyObject *op, void *unused)
{
    celext_guard(op);
    struct taskobject *self = (struct taskobject *)op;

    (void)unused;
    return Py_NewRef(self->exception == NULL ? Py_None : self->exception);
}

static PyObject *
task_get_args(PyObject *op, void *unused)
{
    celext_guard(op);
    struct taskobject *self = (struct taskobject *)op;

    (void)unused;
    return Py_NewRef(self->args == NULL ? Py_None : self->args);
}

static PyObject *
task_get_exc_info(PyObject *op, void *unused)
{
    celext_guard(op);
    struct taskobject *self = (struct taskobject *)op;
    PyObject *exc = self->exception;

    (void)unused;
    if (exc == NULL) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue("(OOO)", Py_TYPE(exc), exc,
                         self->traceback == NULL ? Py_None : self->traceback);
}

/* The function it was given; where a subclass defines _run() that is found
   first. */
static PyObject *
task_get_run(PyObject *op, void *unused)
{
    celext_guard(op);
    struct taskobject *self = (struct taskobject *)op;

    (void)unused;
    if (self->run == NULL) {
        if (self->ready) {
            Py_RETURN_NONE;
        }
        PyErr_SetString(PyExc_AttributeError, "_run");
        return NULL;
    }
    return Py_NewRef(self->run);
}

static int
task_set_run(PyObject *op, PyObject *value, void *unused)
{
    celext_guard(op);
    struct taskobject *self = (struct taskobject *)op;

    (void)unused;
    Py_XSETREF(self->run, Py_XNewRef(value));
    return 0;
}

static PyObject *
task_get_kwargs(PyObject *op, void *unused)
{
    celext_guard(op);
    struct taskobject *self = (struct taskobject *)op;

    (void)unused;
    if (self->kwargs == NULL) {
        self->kwargs = PyDict_New();
        if (self->kwargs == NULL) {
            return NULL;
        }
    }
    return Py_NewRef(self->kwargs);
}

static int
task_bool(PyObject *op)
{
    celext_guard(op);
    struct taskobject *self = (struct taskobject *)op;

    return (self->started && !self->ready) ||
           self->base.glet->state == GLET_ACTIVE;
}

static PyObject *
task_enter(PyObject *op, PyObject *unused)
{
    PyObject *started = task_start(op, unused);

    if (started == NULL) {
        return NULL;
    }
    Py_DECREF(started);
    return Py_NewRef(op);
}

static PyObject *
task_exit(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    const char *method = nargs > 0 && args[0] != Py_None ? "kill" : "join";

    return PyObject_CallMethod(op, method, NULL);
}

PyDoc_STRVAR(task_join_doc,
             "join($self, /, timeout=None)\n"
             "--\n\n"
             "Wait until it has ended or timeout seconds have passed.  "
             "Suspends.");

PyDoc_STRVAR(task_get_doc,
             "get($self, /, block=True, timeout=None)\n"
             "--\n\n"
             "Its result, or its exception raised.\n\n"
             "Suspends until there is one.  Raises Timeout where it has not "
             "ended by then.");

PyDoc_STRVAR(task_kill_doc,
             "kill($self, /, exception=GreenletExit, block=True, "
             "timeout=None)\n"
             "--\n\n"
             "Raise exception in it, at the call in which it waits; wait for "
             "its end.\n\n"
             "Suspends where block is true.  Does nothing to one that has "
             "ended.");

PyDoc_STRVAR(task_throw_doc,
             "throw($self, typ=GreenletExit, val=None, tb=None, /)\n"
             "--\n\n"
             "As greenlet.throw(); one that has not started ends at once.");

static PyMethodDef task_methods[] = {
    {"start", task_start, METH_NOARGS, task_start_doc},
    {"start_later", task_start_later, METH_O, task_start_later_doc},
    {"spawn", (PyCFunction)(void (*)(void))task_spawn,
     METH_VARARGS | METH_KEYWORDS | METH_CLASS, task_spawn_doc},
    {"spawn_later", (PyCFunction)(void (*)(void))task_spawn_later,
     METH_VARARGS | METH_KEYWORDS | METH_CLASS, task_spawn_later_doc},
    {"join", (PyCFunction)(void (*)(void))task_join,
     METH_VARARGS | METH_KEYWORDS, task_join_doc},
    {"get", (PyCFunction)(void (*)(void))task_get,
     METH_VARARGS | METH_KEYWORDS, task_get_doc},
    {"kill", (PyCFunction)(void (*)(void))task_kill,
     METH_VARARGS | METH_KEYWORDS, task_kill_doc},
    {"throw", task_throw, METH_VARARGS, task_throw_doc},
    {"rawlink", tasklink_raw, METH_O,
     PyDoc_STR("Call callback(self) in the hub when it ends.")},
    {"link", tasklink_add, METH_O,
     PyDoc_STR("Call callback(self) in a greenlet when it ends.")},
    {"link_value", tasklink_value, METH_O,
     PyDoc_STR("As link(), if it ends without an error.")},
    {"link_exception", tasklink_exception, METH_O,
     PyDoc_STR("As link(), if it ends with an error.")},
    {"unlink", tasklink_remove, METH_O, PyDoc_STR("Take a link back.")},
    {"unlink_all", tasklink_remove_all, METH_NOARGS,
     PyDoc_STR("Take every link back.")},
    {"has_links", tasklink_any, METH_NOARGS,
     PyDoc_STR("Whether somebody waits for its end.")},
    {"_notify", tasklink_run, METH_NOARGS, NULL},
    {"ready", task_is_ready, METH_NOARGS, PyDoc_STR("Whether it has ended.")},
    {"successful", task_successful, METH_NOARGS,
     PyDoc_STR("Whether it has ended without an error.")},
    {"__enter__", task_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))task_exit, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef task_getset[] = {
    {"started", task_get_started, NULL,
     PyDoc_STR("Whether it was started and has not ended."), NULL},
    {"dead", task_get_dead, NULL, PyDoc_STR("Whether it has ended."), NULL},
    {"value", task_get_value, NULL, PyDoc_STR("Its result, or None."), NULL},
    {"exception", task_get_exception, NULL,
     PyDoc_STR("The exception it died of, or None."), NULL},
    {"args", task_get_args, NULL,
     PyDoc_STR("The arguments it is called with."), NULL},
    {"exc_info", task_get_exc_info, NULL,
     PyDoc_STR("What it died of, as sys.exc_info() has it."), NULL},
    {"_run", task_get_run, task_set_run, PyDoc_STR("What it calls."), NULL},
    {"kwargs", task_get_kwargs, NULL,
     PyDoc_STR("The keywords it is called with."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(task_doc,
             "Greenlet(run=None, *args, **kwargs)\n"
             "--\n\n"
             "A greenlet that the hub runs.  Subclasses may define _run() "
             "instead of giving run.");

static PyType_Slot task_slots[] = {
    {Py_tp_doc, (void *)task_doc},   {Py_tp_new, task_new},
    {Py_tp_init, task_init},         {Py_tp_dealloc, task_dealloc},
    {Py_tp_traverse, task_traverse}, {Py_tp_clear, task_clear},
    {Py_nb_bool, task_bool},         {Py_tp_methods, task_methods},
    {Py_tp_getset, task_getset},     {0, NULL},
};

static PyType_Spec task_spec = {
    .name = "celadon._core.Greenlet",
    .basicsize = sizeof(struct taskobject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = task_slots,
};

int
task_register(PyObject *module, struct celext_state *state)
{
    if (celext_add_type(module, &state->task_type, &task_spec,
                        (PyObject *)state->greenlet_type) < 0) {
        return -1;
    }
    state->task_class = Py_NewRef((PyObject *)state->task_type);
    return 0;
}
