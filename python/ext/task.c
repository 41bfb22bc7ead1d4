/* SPDX-License-Identifier: MIT */
/*
 * Greenlet: a greenlet that the hub runs and that others can wait for.
 *
 * Who joins is in an intrusive list and is woken when it ends; links (calls
 * to be made at its end) run in the hub after that.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_task.py
 */
#include "ext/task.h"

#include "ext/compat.h"
#include "ext/greenlet.h"

/* What a link wants to be called for. */
enum link_kind {
    LINK_RAW,
    LINK_ANY,
    LINK_VALUE,
    LINK_EXCEPTION
};

/*
 * Invariants: ready => it has ended (or will never start) and value and
 * exception are final; waiting => its start timer is in the heap.
 */
typedef struct {
    PyGreenlet base;
    PyObject *run;            /* owned; what to call; NULL: the method _run */
    PyObject *args;           /* owned; a tuple */
    PyObject *kwargs;         /* owned; a dict or NULL */
    PyObject *value;          /* owned; the result, or NULL */
    PyObject *exception;      /* owned; the instance it died of, or NULL */
    PyObject *links;          /* owned; list of (kind, callable), or NULL */
    struct cel__link waiters; /* waits of those who join */
    struct cel__timer timer;  /* start_later() */
    bool started;             /* start() was called */
    bool waiting;             /* for the timer */
    bool ready;
} taskobject;

/* The type this one extends. */
static PyTypeObject *
base_type(PyObject *op)
{
    struct celext_state *state = celext_state_of(Py_TYPE(op));

    if (state == NULL) {
        cel__panic("a greenlet type without its module");
    }
    return state->greenlet_type;
}

static struct hub *
hub_for(taskobject *self)
{
    return hub_get(celext_state_of(Py_TYPE((PyObject *)self)));
}

/* ---- making */

static PyObject *
task_make(PyTypeObject *type, struct hub *hub)
{
    taskobject *self = (taskobject *)type->tp_alloc(type, 0);

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
    PyObject *self = task_make(type, hub);
    if (self != NULL) {
        ((PyGreenlet *)self)->glet->main = task_main;
        ((taskobject *)self)->args = Py_NewRef(hub->state->empty_tuple);
    }
    return self;
}

static int
task_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    taskobject *self = (taskobject *)op;
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
    taskobject *self = (taskobject *)op;

    Py_VISIT(self->run);
    Py_VISIT(self->args);
    Py_VISIT(self->kwargs);
    Py_VISIT(self->value);
    Py_VISIT(self->exception);
    Py_VISIT(self->links);
    return base_type(op)->tp_traverse(op, visit, arg);
}

static int
task_clear(PyObject *op)
{
    taskobject *self = (taskobject *)op;

    Py_CLEAR(self->run);
    Py_CLEAR(self->args);
    Py_CLEAR(self->kwargs);
    Py_CLEAR(self->value);
    Py_CLEAR(self->exception);
    Py_CLEAR(self->links);
    return base_type(op)->tp_clear(op);
}

static void
task_dealloc(PyObject *op)
{
    taskobject *self = (taskobject *)op;
    destructor base = base_type(op)->tp_dealloc;

    if (PyObject_CallFinalizerFromDealloc(op) < 0) {
        return;
    }
    PyObject_GC_UnTrack(op);
    Py_CLEAR(self->run);
    Py_CLEAR(self->args);
    Py_CLEAR(self->kwargs);
    Py_CLEAR(self->value);
    Py_CLEAR(self->exception);
    Py_CLEAR(self->links);
    PyObject_GC_Track(op);
    base(op);
}

/* ---- the end */

/* Call the links, in the hub. */
static PyObject *
task_notify(PyObject *op, PyObject *unused)
{
    taskobject *self = (taskobject *)op;
    struct hub *hub = hub_for(self);
    PyObject *links = self->links;

    (void)unused;
    self->links = NULL;
    for (Py_ssize_t i = 0; links != NULL && i < PyList_GET_SIZE(links); i++) {
        PyObject *link = PyList_GET_ITEM(links, i);
        long kind = PyLong_AsLong(PyTuple_GET_ITEM(link, 0));
        PyObject *func = PyTuple_GET_ITEM(link, 1);
        PyObject *result = NULL;
        if ((kind == LINK_VALUE && self->exception != NULL) ||
            (kind == LINK_EXCEPTION && self->exception == NULL)) {
            continue;
        }
        if (kind == LINK_RAW) {
            result = PyObject_CallOneArg(func, op);
        }
        else {
            result = celext_spawn_call(hub, func, PyTuple_Pack(1, op), NULL);
        }
        if (result == NULL) {
            hub_report(hub, op);
        }
        Py_XDECREF(result);
    }
    Py_XDECREF(links);
    Py_RETURN_NONE;
}

/* Let the hub call the links, once. */
static void
notify_later(struct hub *hub, taskobject *self)
{
    PyObject *notify = PyObject_GetAttrString((PyObject *)self, "_notify");
    PyObject *callback = notify == NULL
                             ? NULL
                             : hub_run_callback(hub, notify,
                                                hub->state->empty_tuple);

    Py_XDECREF(notify);
    if (callback == NULL) {
        hub_report(hub, (PyObject *)self);
    }
    Py_XDECREF(callback);
}

/* It has ended with `value` (stolen), or with the exception that is set. */
static void
task_done(struct hub *hub, taskobject *self, PyObject *value)
{
    if (value == NULL) {
        PyObject *exc = celext_take_raised();
        if (PyErr_GivenExceptionMatches(exc, hub->state->greenlet_exit)) {
            value = exc;
        }
        else {
            self->exception = Py_NewRef(exc);
            celext_raise(exc);
            hub_report(hub, (PyObject *)self);
        }
    }
    self->value = value;
    self->ready = true;
    Py_CLEAR(self->run);
    Py_XSETREF(self->args, Py_NewRef(hub->state->empty_tuple));
    Py_CLEAR(self->kwargs);
    struct cel__link *link;
    while ((link = cel__list_first(&self->waiters)) != NULL) {
        cel__wait_finish(cel__container(link, struct cel__wait, link), 0);
    }
    if (self->links != NULL) {
        notify_later(hub, self);
    }
}

/* What runs on its stack. */
static PyObject *
task_main(struct glet *glet)
{
    taskobject *self = (taskobject *)glet->self;
    PyObject *result = NULL;

    if (!PyErr_Occurred()) {
        PyObject *run = self->run;
        if (run != NULL) {
            Py_INCREF(run);
        }
        else {
            run = PyObject_GetAttrString((PyObject *)self, "_run");
        }
        if (run != NULL) {
            PyObject *args = Py_NewRef(self->args);
            PyObject *kwargs = Py_XNewRef(self->kwargs);
            result = PyObject_Call(run, args, kwargs);
            Py_DECREF(args);
            Py_XDECREF(kwargs);
            Py_DECREF(run);
        }
    }
    task_done(glet->hub, self, result);
    return Py_NewRef(Py_None);
}

/* ---- starting */

PyDoc_STRVAR(task_start_doc, "start($self, /)\n"
                             "--\n\n"
                             "Let it run in its turn.  Does not suspend.");

static PyObject *
task_start(PyObject *op, PyObject *unused)
{
    taskobject *self = (taskobject *)op;
    struct hub *hub = hub_for(self);

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
    taskobject *self = cel__container(timer, taskobject, timer);

    self->waiting = false;
    if (self->base.glet->coro.state == CEL__NEW) {
        cel__coro_start(&self->base.glet->coro);
    }
}

PyDoc_STRVAR(task_start_later_doc,
             "start_later($self, seconds, /)\n"
             "--\n\n"
             "Let it run after so many seconds.  Does not suspend.");

static PyObject *
task_start_later(PyObject *op, PyObject *seconds)
{
    taskobject *self = (taskobject *)op;
    struct hub *hub = hub_for(self);
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
    taskobject *self = (taskobject *)task_make(type, hub);
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

/* ---- waiting for it */

/* Wait for the end.  Returns 1, 0 (deadline) or -1 with an exception. */
static int
await_end(taskobject *self, cel_time deadline)
{
    struct hub *hub = hub_for(self);
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

PyDoc_STRVAR(task_join_doc,
             "join($self, /, timeout=None)\n"
             "--\n\n"
             "Wait until it has ended or timeout seconds have passed.  "
             "Suspends.");

static PyObject *
task_join(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"timeout", NULL};
    PyObject *timeout = Py_None;
    cel_time deadline;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:join", names,
                                     &timeout) ||
        celext_deadline(timeout, &deadline) < 0 ||
        await_end((taskobject *)op, deadline) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(task_get_doc,
             "get($self, /, block=True, timeout=None)\n"
             "--\n\n"
             "Its result, or its exception raised.\n\n"
             "Suspends until there is one.  Raises Timeout where it has not "
             "ended by then.");

static PyObject *
task_get(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"block", "timeout", NULL};
    taskobject *self = (taskobject *)op;
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

/* One that never started ends with `exc` (stolen). */
static void
end_unstarted(struct hub *hub, taskobject *self, PyObject *exc)
{
    self->base.glet->state = GLET_FINISHED;
    celext_raise(exc);
    task_done(hub, self, NULL);
}

PyDoc_STRVAR(task_kill_doc,
             "kill($self, /, exception=GreenletExit, block=True, "
             "timeout=None)\n"
             "--\n\n"
             "Raise exception in it, at the call in which it waits; wait for "
             "its end.\n\n"
             "Suspends where block is true.  Does nothing to one that has "
             "ended.");

static PyObject *
task_kill(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"exception", "block", "timeout", NULL};
    taskobject *self = (taskobject *)op;
    struct hub *hub = hub_for(self);
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
    if (hub_current(hub)->self == &self->base) {
        celext_raise(exc);
        return NULL;
    }
    if (!self->started && self->base.glet->state == GLET_UNSTARTED) {
        end_unstarted(hub, self, exc);
        Py_RETURN_NONE;
    }
    if (self->waiting) {
        cel__timer_stop(self->base.glet->hub->worker, &self->timer);
        time_to_start(&self->timer);
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

PyDoc_STRVAR(task_throw_doc,
             "throw($self, typ=GreenletExit, val=None, tb=None, /)\n"
             "--\n\n"
             "As greenlet.throw(); one that has not started ends at once.");

static PyObject *
task_throw(PyObject *op, PyObject *args)
{
    taskobject *self = (taskobject *)op;
    struct hub *hub = hub_for(self);

    if (hub == NULL) {
        return NULL;
    }
    if (self->base.glet->state == GLET_UNSTARTED && !self->started &&
        !self->ready) {
        PyObject *exception = PyTuple_GET_SIZE(args) > 0
                                  ? PyTuple_GET_ITEM(args, 0)
                                  : hub->state->greenlet_exit;
        PyObject *exc = as_instance(exception);
        if (exc == NULL) {
            return NULL;
        }
        end_unstarted(hub, self, exc);
        Py_RETURN_NONE;
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

/* ---- links */

static PyObject *
add_link(taskobject *self, PyObject *func, enum link_kind kind)
{
    if (!PyCallable_Check(func)) {
        PyErr_Format(PyExc_TypeError, "Expected callable: %R", func);
        return NULL;
    }
    if (self->links == NULL) {
        self->links = PyList_New(0);
        if (self->links == NULL) {
            return NULL;
        }
    }
    PyObject *link = Py_BuildValue("(iO)", (int)kind, func);
    int err = link == NULL ? -1 : PyList_Append(self->links, link);
    Py_XDECREF(link);
    if (err < 0) {
        return NULL;
    }
    if (self->ready && PyList_GET_SIZE(self->links) == 1) {
        struct hub *hub = hub_for(self);
        if (hub == NULL) {
            return NULL;
        }
        notify_later(hub, self);
    }
    Py_RETURN_NONE;
}

static PyObject *
task_rawlink(PyObject *op, PyObject *func)
{
    return add_link((taskobject *)op, func, LINK_RAW);
}

static PyObject *
task_link(PyObject *op, PyObject *func)
{
    return add_link((taskobject *)op, func, LINK_ANY);
}

static PyObject *
task_link_value(PyObject *op, PyObject *func)
{
    return add_link((taskobject *)op, func, LINK_VALUE);
}

static PyObject *
task_link_exception(PyObject *op, PyObject *func)
{
    return add_link((taskobject *)op, func, LINK_EXCEPTION);
}

static PyObject *
task_unlink(PyObject *op, PyObject *func)
{
    taskobject *self = (taskobject *)op;

    for (Py_ssize_t i = 0;
         self->links != NULL && i < PyList_GET_SIZE(self->links); i++) {
        PyObject *link = PyList_GET_ITEM(self->links, i);
        int same = PyObject_RichCompareBool(PyTuple_GET_ITEM(link, 1), func,
                                            Py_EQ);
        if (same < 0) {
            return NULL;
        }
        if (same) {
            if (PySequence_DelItem(self->links, i) < 0) {
                return NULL;
            }
            break;
        }
    }
    Py_RETURN_NONE;
}

static PyObject *
task_unlink_all(PyObject *op, PyObject *unused)
{
    (void)unused;
    Py_CLEAR(((taskobject *)op)->links);
    Py_RETURN_NONE;
}

static PyObject *
task_has_links(PyObject *op, PyObject *unused)
{
    taskobject *self = (taskobject *)op;

    (void)unused;
    return PyBool_FromLong(
        (self->links != NULL && PyList_GET_SIZE(self->links) > 0) ||
        !cel__list_empty(&self->waiters));
}

/* ---- looking at it */

static PyObject *
task_is_ready(PyObject *op, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(((taskobject *)op)->ready);
}

static PyObject *
task_successful(PyObject *op, PyObject *unused)
{
    taskobject *self = (taskobject *)op;

    (void)unused;
    return PyBool_FromLong(self->ready && self->exception == NULL);
}

static PyObject *
task_get_started(PyObject *op, void *unused)
{
    taskobject *self = (taskobject *)op;

    (void)unused;
    return PyBool_FromLong((self->started && !self->ready) ||
                           self->base.glet->state == GLET_ACTIVE);
}

static PyObject *
task_get_dead(PyObject *op, void *unused)
{
    taskobject *self = (taskobject *)op;

    (void)unused;
    return PyBool_FromLong(self->ready ||
                           self->base.glet->state == GLET_FINISHED);
}

static PyObject *
task_get_value(PyObject *op, void *unused)
{
    taskobject *self = (taskobject *)op;

    (void)unused;
    return Py_NewRef(self->value == NULL ? Py_None : self->value);
}

static PyObject *
task_get_exc_info(PyObject *op, void *unused)
{
    taskobject *self = (taskobject *)op;
    PyObject *exc = self->exception;

    (void)unused;
    if (!self->ready) {
        return PyTuple_New(0);
    }
    if (exc == NULL) {
        return Py_BuildValue("(OOO)", Py_None, Py_None, Py_None);
    }
    PyObject *traceback = PyException_GetTraceback(exc);
    PyObject *info = Py_BuildValue("(OOO)", Py_TYPE(exc), exc,
                                   traceback == NULL ? Py_None : traceback);
    Py_XDECREF(traceback);
    return info;
}

static PyObject *
task_get_kwargs(PyObject *op, void *unused)
{
    taskobject *self = (taskobject *)op;

    (void)unused;
    if (self->kwargs == NULL) {
        self->kwargs = PyDict_New();
    }
    return Py_XNewRef(self->kwargs);
}

static int
task_bool(PyObject *op)
{
    taskobject *self = (taskobject *)op;

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
    taskobject *self = (taskobject *)op;
    PyObject *none = hub_for(self)->state->empty_tuple;
    PyObject *result = nargs > 0 && args[0] != Py_None
                           ? task_kill(op, none, NULL)
                           : task_join(op, none, NULL);

    Py_XDECREF(result);
    if (result == NULL) {
        return NULL;
    }
    Py_RETURN_NONE;
}

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
    {"ready", task_is_ready, METH_NOARGS, PyDoc_STR("Whether it has ended.")},
    {"successful", task_successful, METH_NOARGS,
     PyDoc_STR("Whether it has ended without an error.")},
    {"rawlink", task_rawlink, METH_O,
     PyDoc_STR("Call callback(self) in the hub when it ends.")},
    {"link", task_link, METH_O,
     PyDoc_STR("Call callback(self) in a greenlet when it ends.")},
    {"link_value", task_link_value, METH_O,
     PyDoc_STR("As link(), if it ends without an error.")},
    {"link_exception", task_link_exception, METH_O,
     PyDoc_STR("As link(), if it ends with an error.")},
    {"unlink", task_unlink, METH_O, PyDoc_STR("Take a link back.")},
    {"unlink_all", task_unlink_all, METH_NOARGS,
     PyDoc_STR("Take every link back.")},
    {"has_links", task_has_links, METH_NOARGS,
     PyDoc_STR("Whether somebody waits for its end.")},
    {"_notify", task_notify, METH_NOARGS, NULL},
    {"__enter__", task_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))task_exit, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef task_getset[] = {
    {"started", task_get_started, NULL,
     PyDoc_STR("Whether it was started and has not ended."), NULL},
    {"dead", task_get_dead, NULL, PyDoc_STR("Whether it has ended."), NULL},
    {"value", task_get_value, NULL, PyDoc_STR("Its result, or None."), NULL},
    {"exc_info", task_get_exc_info, NULL,
     PyDoc_STR("What it died of, as sys.exc_info() has it."), NULL},
    {"kwargs", task_get_kwargs, NULL,
     PyDoc_STR("The keywords it is called with."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef task_members[] = {
    {"exception", T_OBJECT, offsetof(taskobject, exception), READONLY,
     PyDoc_STR("The exception it died of, or None.")},
    {"args", T_OBJECT, offsetof(taskobject, args), READONLY,
     PyDoc_STR("The arguments it is called with.")},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(task_doc,
             "Greenlet(run=None, *args, **kwargs)\n"
             "--\n\n"
             "A greenlet that the hub runs.  Subclasses may define _run() "
             "instead of giving run.");

static PyType_Slot task_slots[] = {
    {Py_tp_doc, (void *)task_doc},
    {Py_tp_new, task_new},
    {Py_tp_init, task_init},
    {Py_tp_dealloc, task_dealloc},
    {Py_tp_traverse, task_traverse},
    {Py_tp_clear, task_clear},
    {Py_nb_bool, task_bool},
    {Py_tp_methods, task_methods},
    {Py_tp_getset, task_getset},
    {Py_tp_members, task_members},
    {0, NULL},
};

static PyType_Spec task_spec = {
    .name = "celadon._core.Greenlet",
    .basicsize = sizeof(taskobject),
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
