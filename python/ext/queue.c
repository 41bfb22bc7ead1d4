/* SPDX-License-Identifier: MIT */
/*
 * SimpleQueue, and what all queues have: gevent's, and stand-ins for the
 * standard library's.
 *
 * Threads: any, guarded (guard.h); between OS threads too.
 *
 * Tests: tests/python/test_queue.py
 */
#include "ext/queue.h"

#include <structmember.h>

#include "ext/args.h"
#include "ext/guard.h"

/* ---- making and freeing */

static int
queue_traverse(PyObject *op, visitproc visit, void *arg)
{
    queueobject *self = (queueobject *)op;

    Py_VISIT(Py_TYPE(op));
    for (size_t i = 0; i < self->count; i++) {
        Py_VISIT(self->ring[(self->first + i) & (self->room - 1)]);
    }
    Py_VISIT(self->container);
    Py_VISIT(self->mutex);
    return 0;
}

static int
queue_clear(PyObject *op)
{
    queueobject *self = (queueobject *)op;

    queue_drop(self);
    Py_CLEAR(self->mutex);
    return 0;
}

void
queue_dealloc(PyObject *op)
{
    celext_dealloc(op, queue_clear);
}

PyObject *
queue_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    struct celext_state *state = celext_state_of(type);
    unsigned own = 0;

    (void)args;
    (void)kwargs;
    if (state == NULL) {
        return NULL;
    }
    /* Only the classes made here have that very function. */
    if (type->tp_dealloc != queue_dealloc) {
        PyTypeObject *base = state->queue_type;
        if (!PyType_IsSubtype(type, base)) {
            base = base->tp_base;
        }
        if (queue_find_own(type, base, &own) < 0) {
            return NULL;
        }
    }
    queueobject *self = (queueobject *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->state = state;
        self->own = own;
        waitq_init(&self->getters);
        waitq_init(&self->putters);
        waitq_init(&self->joiners);
    }
    return (PyObject *)self;
}

/* A limit as users give it: None and what is not positive are none. */
static int
parse_maxsize(PyObject *value, Py_ssize_t *maxsize)
{
    *maxsize = 0;
    if (value == NULL || value == Py_None) {
        return 0;
    }
    Py_ssize_t given = PyNumber_AsSsize_t(value, PyExc_OverflowError);
    if (given == -1 && PyErr_Occurred()) {
        return -1;
    }
    *maxsize = given > 0 ? given : 0;
    return 0;
}

/* Add what the iterable `items` yields.  Returns how many, or -1. */
static Py_ssize_t
fill(queueobject *self, PyObject *items)
{
    PyObject *iterator = PyObject_GetIter(items);
    PyObject *item;
    Py_ssize_t count = 0;

    if (iterator == NULL) {
        return -1;
    }
    while ((item = PyIter_Next(iterator)) != NULL) {
        int err = queue_store(self, item);
        Py_DECREF(item);
        if (err < 0) {
            break;
        }
        count++;
    }
    Py_DECREF(iterator);
    return PyErr_Occurred() ? -1 : count;
}

static int
queue_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    celext_guard(op);
    static char *known[] = {"maxsize", "items", "unfinished_tasks", NULL};
    queueobject *self = (queueobject *)op;
    PyObject *maxsize = NULL;
    PyObject *items = NULL;
    PyObject *unfinished = Py_None;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOO:Queue", known,
                                     &maxsize, &items, &unfinished) ||
        parse_maxsize(maxsize, &self->maxsize) < 0) {
        return -1;
    }
    queue_drop(self);
    self->unfinished = 0;
    if (self->own & QUEUE_OWN_INIT) {
        PyObject *done = PyObject_CallMethod(op, "_init", "n", self->maxsize);
        if (done == NULL) {
            return -1;
        }
        Py_DECREF(done);
    }
    Py_ssize_t count = 0;
    if (items != NULL && items != Py_None) {
        count = fill(self, items);
    }
    if (count >= 0 && unfinished != Py_None) {
        count = PyNumber_AsSsize_t(unfinished, PyExc_OverflowError);
        if (count == -1 && PyErr_Occurred()) {
            return -1;
        }
    }
    self->unfinished = count;
    return count < 0 ? -1 : 0;
}

static PyObject *
queue_repr(PyObject *op)
{
    celext_guard(op);
    queueobject *self = (queueobject *)op;
    Py_ssize_t size = queue_size(self);

    if (size < 0) {
        return NULL;
    }
    return PyUnicode_FromFormat("<%s at %p: qsize %zd, maxsize %zd>",
                                Py_TYPE(op)->tp_name, op, size, self->maxsize);
}

/* ---- putting and getting */

/* A deadline of a call that blocks, checked as the standard library does. */
static int
check_timeout(PyObject *timeout, cel_time deadline)
{
    if (deadline != CEL_AT_ONCE || timeout == NULL ||
        PyFloat_AsDouble(timeout) >= 0) {
        return 0;
    }
    PyErr_SetString(PyExc_ValueError,
                    "'timeout' must be a non-negative number");
    return -1;
}

static int
parse_get(const char *function, const struct args *args, cel_time *deadline)
{
    PyObject *timeout;

    if (args_blocking(function, "block", args, deadline, &timeout) < 0) {
        return -1;
    }
    return check_timeout(timeout, *deadline);
}

const char queue_put_doc[] = PyDoc_STR(
    "put($self, /, item, block=True, timeout=None)\n"
    "--\n\n"
    "Add an item, waiting for room at most timeout seconds.\n\n"
    "Suspends.  Raises Full if there is none, ShutDown after "
    "shutdown().");

PyObject *
queue_put(PyObject *op, PyObject *const *values, Py_ssize_t count,
          PyObject *names)
{
    celext_guard(op);
    static const char *const known[] = {"item", "block", "timeout", NULL};
    queueobject *self = (queueobject *)op;
    PyObject *given[3] = {NULL, NULL, NULL};
    cel_time deadline = CEL_FOREVER;

    if (cel__likely(count == 1 && names == NULL)) {
        return queue_put_item(self, values[0], CEL_FOREVER);
    }
    if (celext_arguments("put", known, values, count, names, given) < 0) {
        return NULL;
    }
    if (given[0] == NULL) {
        PyErr_SetString(PyExc_TypeError,
                        "put() missing required argument 'item' (pos 1)");
        return NULL;
    }
    int block = given[1] == NULL ? 1 : PyObject_IsTrue(given[1]);
    if (block < 0) {
        return NULL;
    }
    if (!block) {
        deadline = CEL_AT_ONCE;
    }
    else if (celext_deadline(given[2], &deadline) < 0 ||
             check_timeout(given[2], deadline) < 0) {
        return NULL;
    }
    return queue_put_item(self, given[0], deadline);
}

const char queue_get_doc[] = PyDoc_STR(
    "get($self, /, block=True, timeout=None)\n"
    "--\n\n"
    "Take the next item, waiting for one at most timeout seconds.\n\n"
    "Suspends.  Raises Empty if there is none, ShutDown if none can "
    "come.");

PyObject *
queue_get(PyObject *op, PyObject *const *values, Py_ssize_t count,
          PyObject *names)
{
    celext_guard(op);
    struct args args = {values, count, names};
    cel_time deadline = CEL_FOREVER;

    if (count + (names != NULL) > 0 &&
        parse_get("get", &args, &deadline) < 0) {
        return NULL;
    }
    return queue_get_item((queueobject *)op, deadline);
}

PyDoc_STRVAR(queue_peek_doc, "peek($self, /, block=True, timeout=None)\n"
                             "--\n\n"
                             "As get(), but the item stays in the queue.");

static PyObject *
queue_peek(PyObject *op, PyObject *const *values, Py_ssize_t count,
           PyObject *names)
{
    celext_guard(op);
    queueobject *self = (queueobject *)op;
    struct args args = {values, count, names};
    cel_time deadline;

    if (parse_get("peek", &args, &deadline) < 0 ||
        queue_await_item(self, deadline) < 0) {
        return NULL;
    }
    waitq_wake(&self->getters); /* the wake-up was not used up */
    return queue_look(self);
}

PyDoc_STRVAR(queue_put_nowait_doc, "put_nowait($self, /, item)\n"
                                   "--\n\n"
                                   "As put(item, False).");

static PyObject *
queue_put_nowait(PyObject *op, PyObject *const *values, Py_ssize_t count,
                 PyObject *names)
{
    celext_guard(op);
    static const char *const known[] = {"item", NULL};
    queueobject *self = (queueobject *)op;
    PyObject *item = NULL;

    if (celext_arguments("put_nowait", known, values, count, names, &item) <
        0) {
        return NULL;
    }
    if (item == NULL) {
        PyErr_SetString(PyExc_TypeError,
                        "put_nowait() missing required argument 'item' "
                        "(pos 1)");
        return NULL;
    }
    if (self->own & QUEUE_OWN_CALLS) {
        return PyObject_CallMethod(op, "put", "OO", item, Py_False);
    }
    return queue_put_item(self, item, CEL_AT_ONCE);
}

PyDoc_STRVAR(queue_get_nowait_doc, "get_nowait($self, /)\n"
                                   "--\n\n"
                                   "As get(False).");

static PyObject *
queue_get_nowait(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    queueobject *self = (queueobject *)op;

    (void)unused;
    if (self->own & QUEUE_OWN_CALLS) {
        return PyObject_CallMethod(op, "get", "O", Py_False);
    }
    return queue_get_item(self, CEL_AT_ONCE);
}

PyDoc_STRVAR(queue_peek_nowait_doc, "peek_nowait($self, /)\n"
                                    "--\n\n"
                                    "As peek(False).");

static PyObject *
queue_peek_nowait(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    (void)unused;
    if (queue_await_item((queueobject *)op, CEL_AT_ONCE) < 0) {
        return NULL;
    }
    return queue_look((queueobject *)op);
}

static PyObject *
queue_next(PyObject *op)
{
    celext_guard(op);
    queueobject *self = (queueobject *)op;
    PyObject *item = self->own & QUEUE_OWN_CALLS
                         ? PyObject_CallMethod(op, "get", NULL)
                         : queue_get_item(self, CEL_FOREVER);

    if (item == PyExc_StopIteration) {
        Py_DECREF(item);
        return NULL;
    }
    return item;
}

/* ---- looking at it */

static Py_ssize_t
queue_length(PyObject *op)
{
    celext_guard(op);
    return queue_size((queueobject *)op);
}

static int
queue_bool(PyObject *op)
{
    (void)op; /* a queue is true, be it empty */
    return 1;
}

PyDoc_STRVAR(queue_qsize_doc, "qsize($self, /)\n"
                              "--\n\n"
                              "How many items there are.");

static PyObject *
queue_qsize(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    Py_ssize_t size = queue_size((queueobject *)op);

    (void)unused;
    return size < 0 ? NULL : PyLong_FromSsize_t(size);
}

PyDoc_STRVAR(queue_empty_doc, "empty($self, /)\n"
                              "--\n\n"
                              "Whether there is no item.");

static PyObject *
queue_empty(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    Py_ssize_t size = queue_size((queueobject *)op);

    (void)unused;
    return size < 0 ? NULL : PyBool_FromLong(size == 0);
}

PyDoc_STRVAR(queue_full_doc, "full($self, /)\n"
                             "--\n\n"
                             "Whether put() would have to wait.");

static PyObject *
queue_full(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    queueobject *self = (queueobject *)op;
    Py_ssize_t size = queue_size(self);

    (void)unused;
    if (size < 0) {
        return NULL;
    }
    return PyBool_FromLong(self->maxsize > 0 && size >= self->maxsize);
}

PyDoc_STRVAR(queue_copy_doc, "copy($self, /)\n"
                             "--\n\n"
                             "A queue of the same kind with the same items.");

static PyObject *
queue_copy(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    queueobject *self = (queueobject *)op;
    PyObject *items = queue_items(self);

    (void)unused;
    if (items == NULL) {
        return NULL;
    }
    return PyObject_CallFunction((PyObject *)Py_TYPE(op), "nN", self->maxsize,
                                 items);
}

/* ---- what subclasses may replace, as in the standard library */

static PyObject *
queue_hook_init(PyObject *op, PyObject *maxsize)
{
    celext_guard(op);
    (void)maxsize;
    queue_drop((queueobject *)op);
    Py_RETURN_NONE;
}

static PyObject *
queue_hook_qsize(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    Py_ssize_t size = queue_plain_size((queueobject *)op);

    (void)unused;
    return size < 0 ? NULL : PyLong_FromSsize_t(size);
}

static PyObject *
queue_hook_put(PyObject *op, PyObject *item)
{
    celext_guard(op);
    return queue_plain_store((queueobject *)op, item) < 0 ? NULL
                                                          : Py_NewRef(Py_None);
}

static PyObject *
queue_hook_get(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    (void)unused;
    return queue_plain_fetch((queueobject *)op);
}

static PyObject *
queue_hook_peek(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    (void)unused;
    return queue_plain_look((queueobject *)op);
}

/* ---- attributes */

static PyObject *
queue_get_queue(PyObject *op, void *unused)
{
    celext_guard(op);
    (void)unused;
    return queue_expose((queueobject *)op);
}

static int
queue_set_queue(PyObject *op, PyObject *value, void *unused)
{
    celext_guard(op);
    queueobject *self = (queueobject *)op;

    (void)unused;
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "queue can't be deleted");
        return -1;
    }
    Py_INCREF(value);
    queue_drop(self);
    self->container = value;
    waitq_wake_all(&self->getters);
    waitq_wake_all(&self->putters);
    return 0;
}

static PyObject *
queue_get_maxsize(PyObject *op, void *unused)
{
    celext_guard(op);
    (void)unused;
    return PyLong_FromSsize_t(((queueobject *)op)->maxsize);
}

static int
queue_set_maxsize(PyObject *op, PyObject *value, void *unused)
{
    celext_guard(op);
    queueobject *self = (queueobject *)op;

    (void)unused;
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "maxsize can't be deleted");
        return -1;
    }
    if (parse_maxsize(value, &self->maxsize) < 0) {
        return -1;
    }
    waitq_wake_all(&self->putters);
    return 0;
}

static PyObject *
queue_get_is_shutdown(PyObject *op, void *unused)
{
    celext_guard(op);
    (void)unused;
    return PyBool_FromLong(((queueobject *)op)->shut);
}

static PyObject *
queue_get_mutex(PyObject *op, void *unused)
{
    celext_guard(op);
    queueobject *self = (queueobject *)op;

    (void)unused;
    if (self->mutex == NULL) {
        self->mutex = PyObject_CallNoArgs((PyObject *)self->state->lock_type);
    }
    return Py_XNewRef(self->mutex);
}

static PyMethodDef simple_methods[] = {
    {"put", (PyCFunction)(void (*)(void))queue_put,
     METH_FASTCALL | METH_KEYWORDS, queue_put_doc},
    {"get", (PyCFunction)(void (*)(void))queue_get,
     METH_FASTCALL | METH_KEYWORDS, queue_get_doc},
    {"peek", (PyCFunction)(void (*)(void))queue_peek,
     METH_FASTCALL | METH_KEYWORDS, queue_peek_doc},
    {"put_nowait", (PyCFunction)(void (*)(void))queue_put_nowait,
     METH_FASTCALL | METH_KEYWORDS, queue_put_nowait_doc},
    {"get_nowait", queue_get_nowait, METH_NOARGS, queue_get_nowait_doc},
    {"peek_nowait", queue_peek_nowait, METH_NOARGS, queue_peek_nowait_doc},
    {"qsize", queue_qsize, METH_NOARGS, queue_qsize_doc},
    {"empty", queue_empty, METH_NOARGS, queue_empty_doc},
    {"full", queue_full, METH_NOARGS, queue_full_doc},
    {"copy", queue_copy, METH_NOARGS, queue_copy_doc},
    {"_init", queue_hook_init, METH_O,
     PyDoc_STR("Make what the items are kept in.")},
    {"_qsize", queue_hook_qsize, METH_NOARGS,
     PyDoc_STR("How many items are kept.")},
    {"_put", queue_hook_put, METH_O, PyDoc_STR("Keep an item.")},
    {"_get", queue_hook_get, METH_NOARGS,
     PyDoc_STR("Take the next item out.")},
    {"_peek", queue_hook_peek, METH_NOARGS, PyDoc_STR("The next item.")},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS,
     PyDoc_STR("For annotations.")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef simple_getset[] = {
    {"queue", queue_get_queue, queue_set_queue,
     PyDoc_STR("What the items are kept in: a deque, a list or your own."),
     NULL},
    {"maxsize", queue_get_maxsize, queue_set_maxsize,
     PyDoc_STR("How many items it holds; 0: any number."), NULL},
    {"is_shutdown", queue_get_is_shutdown, NULL,
     PyDoc_STR("Whether shutdown() was called."), NULL},
    {"mutex", queue_get_mutex, NULL,
     PyDoc_STR("A lock, for programs that hold the standard library's "
               "while they use `queue`."),
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef simple_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(queueobject, weakreflist),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(simple_doc,
             "SimpleQueue(maxsize=0, items=())\n"
             "--\n\n"
             "A queue for greenlets, of any thread: first in, first out.");

static PyType_Slot simple_slots[] = {
    {Py_tp_doc, (void *)simple_doc},
    {Py_tp_new, queue_new},
    {Py_tp_init, queue_init},
    {Py_tp_traverse, queue_traverse},
    {Py_tp_clear, queue_clear},
    {Py_tp_dealloc, queue_dealloc},
    {Py_tp_repr, queue_repr},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, queue_next},
    {Py_sq_length, queue_length},
    {Py_nb_bool, queue_bool},
    {Py_tp_methods, simple_methods},
    {Py_tp_getset, simple_getset},
    {Py_tp_members, simple_members},
    {0, NULL},
};

static PyType_Spec simple_spec = {
    .name = "celadon.queue.SimpleQueue",
    .basicsize = sizeof(queueobject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = simple_slots,
};

/* The standard library's ShutDown, or ours where it has none (3.12). */
static int
find_shut_down(PyObject *module, struct celext_state *state)
{
    PyObject *queue = PyImport_ImportModule("queue");

    if (queue == NULL) {
        return -1;
    }
    state->shut_down = PyObject_GetAttrString(queue, "ShutDown");
    Py_DECREF(queue);
    if (state->shut_down == NULL) {
        PyErr_Clear();
        state->shut_down = PyErr_NewExceptionWithDoc(
            "celadon.queue.ShutDown",
            "Raised by put() and get() of a queue that is shut down.", NULL,
            NULL);
    }
    if (state->shut_down == NULL) {
        return -1;
    }
    return PyModule_AddObjectRef(module, "ShutDown", state->shut_down);
}

static int
find_heap_functions(struct celext_state *state)
{
    PyObject *heapq = PyImport_ImportModule("heapq");

    if (heapq == NULL) {
        return -1;
    }
    state->heappush = PyObject_GetAttrString(heapq, "heappush");
    state->heappop = PyObject_GetAttrString(heapq, "heappop");
    Py_DECREF(heapq);
    return state->heappush == NULL || state->heappop == NULL ? -1 : 0;
}

int
queue_register(PyObject *module, struct celext_state *state)
{
    PyTypeObject *simple = NULL;
    int err = -1;

    if (find_shut_down(module, state) == 0 &&
        find_heap_functions(state) == 0 &&
        celext_add_type(module, &simple, &simple_spec, NULL) == 0 &&
        queue_tasks_register(module, state, simple) == 0) {
        err = channel_register(module, state);
    }
    Py_XDECREF((PyObject *)simple);
    return err;
}
