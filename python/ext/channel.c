/* SPDX-License-Identifier: MIT */
/*
 * Channel: a queue that holds nothing; put() waits until its item is taken.
 *
 * The item is handed over in the node of whoever waits.  A getter that was
 * handed one and is killed before it runs gives it to the next, or leaves it
 * for the next get().
 *
 * Threads: any; guarded (guard.h).
 *
 * Tests: tests/python/test_queue.py
 */
#include "ext/queue.h"

#include <structmember.h>

#include "ext/args.h"
#include "ext/guard.h"

typedef struct {
    PyObject_HEAD
    PyObject *weakreflist;
    struct waitq getters;
    struct waitq putters;
    PyObject *left; /* owned; a list of items whose getters were killed, or
                       NULL */
} channelobject;

struct party {
    struct waiter waiter;
    PyObject *item; /* putter: borrowed from its caller; getter: NULL, or
                       owned once it has been handed over */
};

static struct party *
first_party(struct waitq *queue)
{
    struct waiter *first = waitq_first(queue);

    return first == NULL ? NULL : cel__container(first, struct party, waiter);
}

static PyObject *
channel_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    channelobject *self = (channelobject *)type->tp_alloc(type, 0);

    (void)args;
    (void)kwargs;
    if (self != NULL) {
        waitq_init(&self->getters);
        waitq_init(&self->putters);
    }
    return (PyObject *)self;
}

static int
channel_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *known[] = {"maxsize", NULL};
    int maxsize = 1;

    (void)op;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|i:Channel", known,
                                     &maxsize)) {
        return -1;
    }
    if (maxsize != 1) {
        PyErr_SetString(PyExc_ValueError,
                        "the maxsize of a Channel can only be 1");
        return -1;
    }
    return 0;
}

static int
channel_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(((channelobject *)op)->left);
    return 0;
}

static int
channel_clear(PyObject *op)
{
    Py_CLEAR(((channelobject *)op)->left);
    return 0;
}

static void
channel_dealloc(PyObject *op)
{
    celext_dealloc(op, channel_clear);
}

static PyObject *
raise(PyObject *op, bool full)
{
    struct celext_state *state = celext_state_of(Py_TYPE(op));

    if (state != NULL) {
        PyErr_SetNone(full ? state->full : state->empty);
    }
    return NULL;
}

/* Hand `item` to who waits longest to get one; false: nobody does. */
static bool
hand_over(channelobject *self, PyObject *item)
{
    struct party *getter = first_party(&self->getters);

    if (getter == NULL) {
        return false;
    }
    getter->item = Py_NewRef(item);
    cel__wait_finish(&getter->waiter.wait, 0);
    return true;
}

static PyObject *
put_item(channelobject *self, PyObject *item, cel_time deadline)
{
    PyObject *op = (PyObject *)self;
    struct party me = {.item = item};

    if (hand_over(self, item)) {
        Py_RETURN_NONE;
    }
    if (deadline == CEL_AT_ONCE) {
        return waitq_spin() < 0 ? NULL : raise(op, true);
    }
    struct hub *hub = hub_get(celext_state_of(Py_TYPE(op)));
    if (hub == NULL) {
        return NULL;
    }
    int code = waitq_wait(&self->putters, &me.waiter, hub, deadline,
                          "Channel.put");
    if (code <= 0) {
        return code < 0 ? NULL : raise(op, true);
    }
    Py_RETURN_NONE;
}

/* An item that need not be waited for, new, or NULL without an exception. */
static PyObject *
take(channelobject *self)
{
    if (self->left != NULL) {
        PyObject *item = Py_NewRef(PyList_GET_ITEM(self->left, 0));
        if (PyList_GET_SIZE(self->left) == 1) {
            Py_CLEAR(self->left);
        }
        else if (PySequence_DelItem(self->left, 0) < 0) {
            PyErr_Clear();
        }
        return item;
    }
    struct party *putter = first_party(&self->putters);
    if (putter == NULL) {
        return NULL;
    }
    PyObject *item = Py_NewRef(putter->item);
    cel__wait_finish(&putter->waiter.wait, 0);
    return item;
}

/* The getter of `item` (stolen) was killed: let another have it. */
static void
give_back(channelobject *self, PyObject *item)
{
    PyObject *type;
    PyObject *value;
    PyObject *traceback;

    if (!hand_over(self, item)) {
        PyErr_Fetch(&type, &value, &traceback);
        if (self->left == NULL) {
            self->left = PyList_New(0);
        }
        if (self->left == NULL || PyList_Append(self->left, item) < 0) {
            PyErr_WriteUnraisable((PyObject *)self);
        }
        PyErr_Restore(type, value, traceback);
    }
    Py_DECREF(item);
}

static PyObject *
get_item(channelobject *self, cel_time deadline)
{
    PyObject *op = (PyObject *)self;
    struct party me = {.item = take(self)};

    if (me.item != NULL) {
        return me.item;
    }
    if (deadline == CEL_AT_ONCE) {
        return waitq_spin() < 0 ? NULL : raise(op, false);
    }
    struct hub *hub = hub_get(celext_state_of(Py_TYPE(op)));
    if (hub == NULL) {
        return NULL;
    }
    int code = waitq_wait(&self->getters, &me.waiter, hub, deadline,
                          "Channel.get");
    if (code > 0) {
        return me.item;
    }
    if (me.item != NULL) {
        give_back(self, me.item);
    }
    return code < 0 ? NULL : raise(op, false);
}

PyDoc_STRVAR(channel_put_doc,
             "put($self, /, item, block=True, timeout=None)\n"
             "--\n\n"
             "Hand item to who gets it, waiting at most timeout seconds.\n\n"
             "Suspends.  Raises Full if nobody came.");

static PyObject *
channel_put(PyObject *op, PyObject *const *values, Py_ssize_t count,
            PyObject *names)
{
    celext_guard(op);
    static const char *const known[] = {"item", "block", "timeout", NULL};
    PyObject *given[3] = {NULL, NULL, NULL};
    cel_time deadline = CEL_AT_ONCE;

    if (celext_arguments("put", known, values, count, names, given) < 0) {
        return NULL;
    }
    if (given[0] == NULL) {
        PyErr_SetString(PyExc_TypeError,
                        "put() missing required argument 'item' (pos 1)");
        return NULL;
    }
    int block = given[1] == NULL ? 1 : PyObject_IsTrue(given[1]);
    if (block < 0 || (block && celext_deadline(given[2], &deadline) < 0)) {
        return NULL;
    }
    return put_item((channelobject *)op, given[0], deadline);
}

PyDoc_STRVAR(channel_get_doc,
             "get($self, /, block=True, timeout=None)\n"
             "--\n\n"
             "Take an item, waiting for one at most timeout seconds.\n\n"
             "Suspends.  Raises Empty if nobody had one.");

static PyObject *
channel_get(PyObject *op, PyObject *const *values, Py_ssize_t count,
            PyObject *names)
{
    celext_guard(op);
    struct args args = {values, count, names};
    cel_time deadline;
    PyObject *timeout;

    if (args_blocking("get", "block", &args, &deadline, &timeout) < 0) {
        return NULL;
    }
    return get_item((channelobject *)op, deadline);
}

PyDoc_STRVAR(channel_put_nowait_doc, "put_nowait($self, item, /)\n"
                                     "--\n\n"
                                     "As put(item, False).");

static PyObject *
channel_put_nowait(PyObject *op, PyObject *item)
{
    celext_guard(op);
    return put_item((channelobject *)op, item, CEL_AT_ONCE);
}

PyDoc_STRVAR(channel_get_nowait_doc, "get_nowait($self, /)\n"
                                     "--\n\n"
                                     "As get(False).");

static PyObject *
channel_get_nowait(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    (void)unused;
    return get_item((channelobject *)op, CEL_AT_ONCE);
}

static PyObject *
channel_next(PyObject *op)
{
    celext_guard(op);
    PyObject *item = get_item((channelobject *)op, CEL_FOREVER);

    if (item == PyExc_StopIteration) {
        Py_DECREF(item);
        return NULL;
    }
    return item;
}

PyDoc_STRVAR(channel_qsize_doc, "qsize($self, /)\n"
                                "--\n\n"
                                "0: a channel holds no items.");

static PyObject *
channel_qsize(PyObject *op, PyObject *unused)
{
    (void)op;
    (void)unused;
    return PyLong_FromLong(0);
}

PyDoc_STRVAR(channel_empty_doc, "empty($self, /)\n"
                                "--\n\n"
                                "True: a channel holds no items.");
PyDoc_STRVAR(channel_full_doc, "full($self, /)\n"
                               "--\n\n"
                               "True: a channel can hold no items.");

static PyObject *
channel_yes(PyObject *op, PyObject *unused)
{
    (void)op;
    (void)unused;
    Py_RETURN_TRUE;
}

static Py_ssize_t
length(const struct waitq *queue)
{
    Py_ssize_t count = 0;

    for (const struct cel__link *link = queue->waits.next;
         link != &queue->waits; link = link->next) {
        count++;
    }
    return count;
}

static PyObject *
channel_get_balance(PyObject *op, void *unused)
{
    celext_guard(op);
    channelobject *self = (channelobject *)op;

    (void)unused;
    return PyLong_FromSsize_t(length(&self->putters) - length(&self->getters));
}

static PyMethodDef channel_methods[] = {
    {"put", (PyCFunction)(void (*)(void))channel_put,
     METH_FASTCALL | METH_KEYWORDS, channel_put_doc},
    {"get", (PyCFunction)(void (*)(void))channel_get,
     METH_FASTCALL | METH_KEYWORDS, channel_get_doc},
    {"put_nowait", channel_put_nowait, METH_O, channel_put_nowait_doc},
    {"get_nowait", channel_get_nowait, METH_NOARGS, channel_get_nowait_doc},
    {"qsize", channel_qsize, METH_NOARGS, channel_qsize_doc},
    {"empty", channel_yes, METH_NOARGS, channel_empty_doc},
    {"full", channel_yes, METH_NOARGS, channel_full_doc},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS,
     PyDoc_STR("For annotations.")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef channel_getset[] = {
    {"balance", channel_get_balance, NULL,
     PyDoc_STR("How many wait to put, less how many wait to get."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef channel_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(channelobject, weakreflist),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(channel_doc,
             "Channel(maxsize=1)\n"
             "--\n\n"
             "A queue that holds nothing: put() waits until its item is "
             "taken.");

static PyType_Slot channel_slots[] = {
    {Py_tp_doc, (void *)channel_doc}, {Py_tp_new, channel_new},
    {Py_tp_init, channel_init},       {Py_tp_traverse, channel_traverse},
    {Py_tp_clear, channel_clear},     {Py_tp_dealloc, channel_dealloc},
    {Py_tp_iter, PyObject_SelfIter},  {Py_tp_iternext, channel_next},
    {Py_tp_methods, channel_methods}, {Py_tp_getset, channel_getset},
    {Py_tp_members, channel_members}, {0, NULL},
};

static PyType_Spec channel_spec = {
    .name = "celadon.queue.Channel",
    .basicsize = sizeof(channelobject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = channel_slots,
};

int
channel_register(PyObject *module, struct celext_state *state)
{
    PyTypeObject *type = NULL;
    int err = celext_add_type(module, &type, &channel_spec, NULL);

    (void)state;
    Py_XDECREF((PyObject *)type);
    return err;
}
