/* SPDX-License-Identifier: MIT */
/*
 * Queue, LifoQueue and PriorityQueue: what knows how much is left to do, and
 * has an end.
 *
 * Threads: any; guarded (guard.h).
 *
 * Tests: tests/python/test_queue.py
 */
#include "ext/args.h"
#include "ext/guard.h"
#include "ext/queue.h"

static PyObject *
joinable_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *op = queue_new(type, args, kwargs);

    if (op != NULL) {
        ((queueobject *)op)->joinable = true;
    }
    return op;
}

static PyObject *
lifo_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *op = joinable_new(type, args, kwargs);

    if (op != NULL) {
        ((queueobject *)op)->order = QUEUE_NEWEST;
    }
    return op;
}

static PyObject *
priority_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *op = joinable_new(type, args, kwargs);

    if (op != NULL) {
        ((queueobject *)op)->order = QUEUE_SMALLEST;
    }
    return op;
}

PyDoc_STRVAR(queue_task_done_doc,
             "task_done($self, /)\n"
             "--\n\n"
             "Say that an item that was taken has been dealt with.");

static PyObject *
queue_task_done(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    queueobject *self = (queueobject *)op;

    (void)unused;
    if (self->unfinished <= 0) {
        PyErr_SetString(PyExc_ValueError, "task_done() called too many times");
        return NULL;
    }
    if (--self->unfinished == 0) {
        waitq_wake_all(&self->joiners);
    }
    Py_RETURN_NONE;
}

static int
is_finished(PyObject *op)
{
    return ((queueobject *)op)->unfinished <= 0;
}

PyDoc_STRVAR(queue_join_doc,
             "join($self, /, timeout=None)\n"
             "--\n\n"
             "Wait until every item has been taken and task_done() called "
             "for it.\n\n"
             "Suspends.  Returns whether it came to that.");

static PyObject *
queue_join(PyObject *op, PyObject *const *values, Py_ssize_t count,
           PyObject *names)
{
    celext_guard(op);
    queueobject *self = (queueobject *)op;
    struct args args = {values, count, names};
    cel_time deadline;

    if (args_timeout("join", &args, &deadline) < 0) {
        return NULL;
    }
    int code = waitq_wait_for(&self->joiners, is_finished, op, deadline,
                              "Queue.join");
    return code < 0 ? NULL : PyBool_FromLong(code);
}

/* Take every item out, as if each had been dealt with. */
static int
drain(queueobject *self)
{
    Py_ssize_t size;

    while ((size = queue_size(self)) > 0) {
        PyObject *item = queue_fetch(self);
        if (item == NULL) {
            return -1;
        }
        Py_DECREF(item);
        if (self->unfinished > 0) {
            self->unfinished--;
        }
    }
    return size < 0 ? -1 : 0;
}

PyDoc_STRVAR(queue_shutdown_doc,
             "shutdown($self, /, immediate=False)\n"
             "--\n\n"
             "Let put() raise ShutDown, and get() once the queue is empty, "
             "which it is at\nonce with immediate.  Wakes all who wait.");

static PyObject *
queue_shutdown(PyObject *op, PyObject *const *values, Py_ssize_t count,
               PyObject *names)
{
    celext_guard(op);
    static const char *const known[] = {"immediate", NULL};
    queueobject *self = (queueobject *)op;
    PyObject *given = NULL;

    if (celext_arguments("shutdown", known, values, count, names, &given) <
        0) {
        return NULL;
    }
    int immediate = given == NULL ? 0 : PyObject_IsTrue(given);
    if (immediate < 0) {
        return NULL;
    }
    self->shut = true;
    int err = immediate ? drain(self) : 0;
    waitq_wake_all(&self->getters);
    waitq_wake_all(&self->putters);
    waitq_wake_all(&self->joiners);
    return err < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
queue_get_unfinished(PyObject *op, void *unused)
{
    celext_guard(op);
    (void)unused;
    return PyLong_FromSsize_t(((queueobject *)op)->unfinished);
}

static int
queue_set_unfinished(PyObject *op, PyObject *value, void *unused)
{
    celext_guard(op);
    queueobject *self = (queueobject *)op;

    (void)unused;
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError,
                        "unfinished_tasks can't be deleted");
        return -1;
    }
    Py_ssize_t count = PyNumber_AsSsize_t(value, PyExc_OverflowError);
    if (count == -1 && PyErr_Occurred()) {
        return -1;
    }
    self->unfinished = count;
    waitq_wake_all(&self->joiners);
    return 0;
}

static PyMethodDef queue_methods[] = {
    {"put", (PyCFunction)(void (*)(void))queue_put,
     METH_FASTCALL | METH_KEYWORDS, queue_put_doc},
    {"get", (PyCFunction)(void (*)(void))queue_get,
     METH_FASTCALL | METH_KEYWORDS, queue_get_doc},
    {"task_done", queue_task_done, METH_NOARGS, queue_task_done_doc},
    {"join", (PyCFunction)(void (*)(void))queue_join,
     METH_FASTCALL | METH_KEYWORDS, queue_join_doc},
    {"shutdown", (PyCFunction)(void (*)(void))queue_shutdown,
     METH_FASTCALL | METH_KEYWORDS, queue_shutdown_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef queue_getset[] = {
    {"unfinished_tasks", queue_get_unfinished, queue_set_unfinished,
     PyDoc_STR("Items put for which task_done() was not called."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(queue_doc,
             "Queue(maxsize=0, items=(), unfinished_tasks=None)\n"
             "--\n\n"
             "A SimpleQueue that knows what is still to be done, and can be "
             "shut down.");

static PyType_Slot queue_slots[] = {
    {Py_tp_doc, (void *)queue_doc}, {Py_tp_new, joinable_new},
    {Py_tp_dealloc, queue_dealloc}, {Py_tp_methods, queue_methods},
    {Py_tp_getset, queue_getset},   {0, NULL},
};

static PyType_Spec queue_spec = {
    .name = "celadon.queue.Queue",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = queue_slots,
};

PyDoc_STRVAR(lifo_doc, "LifoQueue(maxsize=0, items=(), "
                       "unfinished_tasks=None)\n"
                       "--\n\n"
                       "A Queue that gives the newest item first.");

static PyType_Slot lifo_slots[] = {
    {Py_tp_doc, (void *)lifo_doc},
    {Py_tp_new, lifo_new},
    {Py_tp_dealloc, queue_dealloc},
    {0, NULL},
};

static PyType_Spec lifo_spec = {
    .name = "celadon.queue.LifoQueue",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = lifo_slots,
};

PyDoc_STRVAR(priority_doc, "PriorityQueue(maxsize=0, items=(), "
                           "unfinished_tasks=None)\n"
                           "--\n\n"
                           "A Queue that gives the smallest item first.");

static PyType_Slot priority_slots[] = {
    {Py_tp_doc, (void *)priority_doc},
    {Py_tp_new, priority_new},
    {Py_tp_dealloc, queue_dealloc},
    {0, NULL},
};

static PyType_Spec priority_spec = {
    .name = "celadon.queue.PriorityQueue",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = priority_slots,
};

int
queue_tasks_register(PyObject *module, struct celext_state *state,
                     PyTypeObject *simple)
{
    PyTypeObject *lifo = NULL;
    PyTypeObject *priority = NULL;
    int err = -1;

    if (celext_add_type(module, &state->queue_type, &queue_spec,
                        (PyObject *)simple) == 0 &&
        celext_add_type(module, &lifo, &lifo_spec,
                        (PyObject *)state->queue_type) == 0 &&
        celext_add_type(module, &priority, &priority_spec,
                        (PyObject *)state->queue_type) == 0) {
        err = 0;
    }
    Py_XDECREF((PyObject *)lifo);
    Py_XDECREF((PyObject *)priority);
    return err;
}
