/* SPDX-License-Identifier: MIT */
/*
 * Links: what is to be called when a Greenlet ends.
 *
 * They are called once, in the hub and in the order in which they were added;
 * who links to one that has ended is called soon.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_task.py
 */
#include "ext/task.h"

#include "ext/guard.h"

/* What a link wants to be called for. */
enum link_kind {
    LINK_RAW,
    LINK_ANY,
    LINK_VALUE,
    LINK_EXCEPTION
};

/* Call the links, in the hub. */
PyObject *
tasklink_run(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    struct taskobject *self = (struct taskobject *)op;
    struct hub *hub = task_hub(self);
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

void
tasklink_notify(struct hub *hub, struct taskobject *self)
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

static PyObject *
add_link(struct taskobject *self, PyObject *func, enum link_kind kind)
{
    celext_guard(self);
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
        struct hub *hub = task_hub(self);
        if (hub == NULL) {
            return NULL;
        }
        tasklink_notify(hub, self);
    }
    Py_RETURN_NONE;
}

PyObject *
tasklink_raw(PyObject *op, PyObject *func)
{
    return add_link((struct taskobject *)op, func, LINK_RAW);
}

PyObject *
tasklink_add(PyObject *op, PyObject *func)
{
    return add_link((struct taskobject *)op, func, LINK_ANY);
}

PyObject *
tasklink_value(PyObject *op, PyObject *func)
{
    return add_link((struct taskobject *)op, func, LINK_VALUE);
}

PyObject *
tasklink_exception(PyObject *op, PyObject *func)
{
    return add_link((struct taskobject *)op, func, LINK_EXCEPTION);
}

PyObject *
tasklink_remove(PyObject *op, PyObject *func)
{
    celext_guard(op);
    struct taskobject *self = (struct taskobject *)op;

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

PyObject *
tasklink_remove_all(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    (void)unused;
    Py_CLEAR(((struct taskobject *)op)->links);
    Py_RETURN_NONE;
}

PyObject *
tasklink_any(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    struct taskobject *self = (struct taskobject *)op;

    (void)unused;
    return PyBool_FromLong(
        (self->links != NULL && PyList_GET_SIZE(self->links) > 0) ||
        !cel__list_empty(&self->waiters));
}
