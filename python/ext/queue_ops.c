/* SPDX-License-Identifier: MIT */
/*
 * How queues wait: what putting, getting and peeking come to.
 *
 * put() adds its item and wakes one who waits to get; get() takes one and
 * wakes one who waits to put.  Who is woken asks again (see waitq.h).
 *
 * Threads: any, guarded (guard.h); between OS threads too.
 *
 * Tests: tests/python/test_queue.py
 */
#include "ext/queue.h"

enum refusal {
    EMPTY,
    FULL,
    SHUT_DOWN
};

/* Raise what a queue has to say.  Returns NULL. */
static PyObject *
refuse(queueobject *self, enum refusal refusal)
{
    const struct celext_state *state = self->state;

    PyErr_SetNone(refusal == EMPTY  ? state->empty
                  : refusal == FULL ? state->full
                                    : state->shut_down);
    return NULL;
}

/* Whether put() need not wait (any more); -1 with an exception. */
static int
may_put(PyObject *op)
{
    queueobject *self = (queueobject *)op;

    if (self->maxsize <= 0 || self->shut) {
        return 1;
    }
    Py_ssize_t size = queue_size(self);
    return size < 0 ? -1 : size < self->maxsize;
}

/* Whether get() need not wait (any more); -1 with an exception. */
static int
may_get(PyObject *op)
{
    queueobject *self = (queueobject *)op;

    if (self->shut) {
        return 1;
    }
    Py_ssize_t size = queue_size(self);
    return size < 0 ? -1 : size > 0;
}

PyObject *
queue_put_item(queueobject *self, PyObject *item, cel_time deadline)
{
    int code = waitq_wait_for(&self->putters, may_put, (PyObject *)self,
                              deadline, "Queue.put");

    if (code <= 0) {
        return code < 0 ? NULL : refuse(self, FULL);
    }
    if (cel__unlikely(self->shut)) {
        return refuse(self, SHUT_DOWN);
    }
    if (queue_store(self, item) < 0) {
        waitq_wake(&self->putters); /* the room is another's */
        return NULL;
    }
    self->unfinished++;
    waitq_wake(&self->getters);
    Py_RETURN_NONE;
}

int
queue_await_item(queueobject *self, cel_time deadline)
{
    int code = waitq_wait_for(&self->getters, may_get, (PyObject *)self,
                              deadline, "Queue.get");

    if (code < 0) {
        return -1;
    }
    if (code == 0) {
        (void)refuse(self, EMPTY);
        return -1;
    }
    if (cel__unlikely(self->shut)) {
        Py_ssize_t size = queue_size(self);
        if (size <= 0) {
            if (size == 0) {
                (void)refuse(self, SHUT_DOWN);
            }
            return -1;
        }
    }
    return 0;
}

PyObject *
queue_get_item(queueobject *self, cel_time deadline)
{
    if (queue_await_item(self, deadline) < 0) {
        return NULL;
    }
    PyObject *item = queue_fetch(self);
    if (cel__unlikely(item == NULL)) {
        waitq_wake(&self->getters); /* it may still be there */
        return NULL;
    }
    waitq_wake(&self->putters);
    return item;
}
