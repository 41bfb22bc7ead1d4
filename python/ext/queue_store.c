/* SPDX-License-Identifier: MIT */
/*
 * What queues keep their items in.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_queue.py
 */
#include "ext/queue.h"

static PyObject **
slot(queueobject *self, size_t index)
{
    return &self->ring[(self->first + index) & (self->room - 1)];
}

static int
grow(queueobject *self)
{
    size_t room = self->room == 0 ? 8 : self->room * 2;
    PyObject **ring = PyMem_New(PyObject *, room);

    if (ring == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < self->count; i++) {
        ring[i] = *slot(self, i);
    }
    PyMem_Free(self->ring);
    self->ring = ring;
    self->room = room;
    self->first = 0;
    return 0;
}

/* Give the memory of a great rush back, but not at every swing. */
static void
shrink(queueobject *self)
{
    size_t room = self->room / 4;
    PyObject **ring = PyMem_New(PyObject *, room);

    if (ring == NULL) {
        return;
    }
    for (size_t i = 0; i < self->count; i++) {
        ring[i] = *slot(self, i);
    }
    PyMem_Free(self->ring);
    self->ring = ring;
    self->room = room;
    self->first = 0;
}

/* Rings up to this stay as they are. */
#define SMALL 64

Py_ssize_t
queue_plain_size(queueobject *self)
{
    return self->container == NULL ? (Py_ssize_t)self->count
                                   : PyObject_Size(self->container);
}

/* Put `item` in its place in the heap. */
static int
push(queueobject *self, PyObject *item)
{
    if (self->container == NULL) {
        self->container = PyList_New(0);
        if (self->container == NULL) {
            return -1;
        }
    }
    PyObject *args[] = {self->container, item};
    PyObject *done = PyObject_Vectorcall(self->state->heappush, args, 2, NULL);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

int
queue_plain_store(queueobject *self, PyObject *item)
{
    if (self->order == QUEUE_SMALLEST) {
        return push(self, item);
    }
    if (cel__unlikely(self->container != NULL)) {
        PyObject *done = PyObject_CallMethod(self->container, "append", "(O)",
                                             item);
        Py_XDECREF(done);
        return done == NULL ? -1 : 0;
    }
    if (self->count == self->room && grow(self) < 0) {
        return -1;
    }
    *slot(self, self->count) = Py_NewRef(item);
    self->count++;
    return 0;
}

/* The next item out of the container. */
static PyObject *
fetch_contained(queueobject *self)
{
    if (self->order == QUEUE_SMALLEST) {
        return PyObject_CallOneArg(self->state->heappop, self->container);
    }
    return PyObject_CallMethod(self->container,
                               self->order == QUEUE_NEWEST ? "pop" : "popleft",
                               NULL);
}

PyObject *
queue_plain_fetch(queueobject *self)
{
    if (cel__unlikely(self->container != NULL)) {
        return fetch_contained(self);
    }
    if (self->count == 0) {
        PyErr_SetString(PyExc_IndexError, "the queue is empty");
        return NULL;
    }
    PyObject *item;
    if (self->order == QUEUE_NEWEST) {
        item = *slot(self, self->count - 1);
    }
    else {
        item = *slot(self, 0);
        self->first++;
    }
    self->count--;
    if (cel__unlikely(self->room > SMALL && self->count < self->room / 8)) {
        shrink(self);
    }
    return item;
}

PyObject *
queue_plain_look(queueobject *self)
{
    if (cel__unlikely(self->container != NULL)) {
        Py_ssize_t count = PyObject_Size(self->container);
        if (count < 0) {
            return NULL;
        }
        return PySequence_GetItem(self->container,
                                  self->order == QUEUE_NEWEST ? count - 1 : 0);
    }
    if (self->count == 0) {
        PyErr_SetString(PyExc_IndexError, "the queue is empty");
        return NULL;
    }
    return Py_NewRef(
        *slot(self, self->order == QUEUE_NEWEST ? self->count - 1 : 0));
}

PyObject *
queue_items(queueobject *self)
{
    if (self->container != NULL) {
        return PySequence_List(self->container);
    }
    PyObject *list = PyList_New((Py_ssize_t)self->count);
    if (list == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < self->count; i++) {
        PyList_SET_ITEM(list, (Py_ssize_t)i, Py_NewRef(*slot(self, i)));
    }
    return list;
}

void
queue_drop(queueobject *self)
{
    PyObject **ring = self->ring;
    PyObject *container = self->container;
    size_t first = self->first;
    size_t count = self->count;
    size_t room = self->room;

    /* Dropping an item may run anything: the queue is empty by then. */
    self->ring = NULL;
    self->container = NULL;
    self->first = 0;
    self->count = 0;
    self->room = 0;
    for (size_t i = 0; i < count; i++) {
        Py_DECREF(ring[(first + i) & (room - 1)]);
    }
    PyMem_Free(ring);
    Py_XDECREF(container);
}

PyObject *
queue_expose(queueobject *self)
{
    if (self->container != NULL) {
        return Py_NewRef(self->container);
    }
    PyObject *items = queue_items(self);
    if (items == NULL) {
        return NULL;
    }
    if (self->order == QUEUE_OLDEST) {
        PyObject *collections = PyImport_ImportModule("collections");
        PyObject *deque = collections == NULL
                              ? NULL
                              : PyObject_CallMethod(collections, "deque",
                                                    "(O)", items);
        Py_XDECREF(collections);
        Py_SETREF(items, deque);
        if (items == NULL) {
            return NULL;
        }
    }
    queue_drop(self);
    self->container = Py_NewRef(items);
    return items;
}

/* ---- what a subclass has of its own */

int
queue_find_own(PyTypeObject *type, PyTypeObject *base, unsigned *own)
{
    static const struct {
        const char *name;
        unsigned bit;
    } methods[] = {
        {"_init", QUEUE_OWN_INIT}, {"_qsize", QUEUE_OWN_QSIZE},
        {"_put", QUEUE_OWN_PUT},   {"_get", QUEUE_OWN_GET},
        {"_peek", QUEUE_OWN_PEEK}, {"put", QUEUE_OWN_CALLS},
        {"get", QUEUE_OWN_CALLS},
    };

    *own = 0;
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        PyObject *ours = PyObject_GetAttrString((PyObject *)base,
                                                methods[i].name);
        PyObject *theirs = ours == NULL
                               ? NULL
                               : PyObject_GetAttrString((PyObject *)type,
                                                        methods[i].name);
        Py_XDECREF(ours);
        Py_XDECREF(theirs);
        if (theirs == NULL) {
            return -1;
        }
        if (theirs != ours) {
            *own |= methods[i].bit;
        }
    }
    return 0;
}

Py_ssize_t
queue_size(queueobject *self)
{
    if (cel__likely((self->own & QUEUE_OWN_QSIZE) == 0)) {
        return queue_plain_size(self);
    }
    PyObject *size = PyObject_CallMethod((PyObject *)self, "_qsize", NULL);
    if (size == NULL) {
        return -1;
    }
    Py_ssize_t count = PyNumber_AsSsize_t(size, PyExc_OverflowError);
    Py_DECREF(size);
    return count;
}

int
queue_store(queueobject *self, PyObject *item)
{
    if (cel__likely((self->own & QUEUE_OWN_PUT) == 0)) {
        return queue_plain_store(self, item);
    }
    PyObject *done = PyObject_CallMethod((PyObject *)self, "_put", "(O)",
                                         item);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

PyObject *
queue_fetch(queueobject *self)
{
    if (cel__likely((self->own & QUEUE_OWN_GET) == 0)) {
        return queue_plain_fetch(self);
    }
    return PyObject_CallMethod((PyObject *)self, "_get", NULL);
}

PyObject *
queue_look(queueobject *self)
{
    if (cel__likely((self->own & QUEUE_OWN_PEEK) == 0)) {
        return queue_plain_look(self);
    }
    return PyObject_CallMethod((PyObject *)self, "_peek", NULL);
}
