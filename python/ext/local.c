/* SPDX-License-Identifier: MIT */
/*
 * local: attributes that each greenlet has its own of.  The stand-in for
 * threading.local.
 *
 * A share is the dict of one greenlet in one local.  The local owns it and
 * finds it by the id of the coroutine; the greenlet has a list of its shares,
 * so that they go when it ends.  The dict that was used last is the one at
 * tp_dictoffset: nearly every access finds it there, and slots, properties
 * and the rest of a subclass are left to CPython.
 *
 * The collector sees shares through the local.  Values that refer to their
 * own local are thus freed with it; values that refer to their greenlet keep
 * it until it ends.
 *
 * Free-threaded there is no dict that was used last, and one mutex guards the
 * tables and lists of all locals; a dict is used by its greenlet alone.
 *
 * Threads: any.
 *
 * Tests: tests/python/test_local.py
 */
#include "ext/local.h"

#include "ext/compat.h"
#include "ext/greenlet.h"
#include "ext/hub.h"

#include <structmember.h>

/* Invariants: share->local->table holds it at its id; it is in the list of
   the greenlet with that id. */
struct share {
    struct localobject *local; /* borrowed: it owns the share */
    uint64_t id;               /* of the greenlet's coroutine */
    PyObject *dict;            /* owned */
    struct share *next;        /* of the greenlet's */
    struct share **link;       /* what points to this one there */
};

/* Invariants: room is 0 or a power of two, and used < room; current is the
   dict of the share with current_id, or both are 0. */
struct localobject {
    PyObject_HEAD
    PyObject *weakreflist;
    PyObject *current; /* borrowed from a share; at tp_dictoffset */
    uint64_t current_id;
    struct share **table; /* by id, open addressing */
    size_t used;
    size_t room;
    PyObject *args;   /* owned; for __init__ in each greenlet */
    PyObject *kwargs; /* owned or NULL */
};
typedef struct localobject localobject;

/* Over every table, and every greenlet's list: a share is in one of each. */
static struct celext_mutex mutex;

/* ---- the table */

/* Where the share with `id` is, or would be: ids are given out one by one,
   which spreads them well.  There must be a table. */
static struct share **
find(localobject *self, uint64_t id)
{
    size_t at = (size_t)id & (self->room - 1);

    while (self->table[at] != NULL && self->table[at]->id != id) {
        at = (at + 1) & (self->room - 1);
    }
    return &self->table[at];
}

/* The share with `id`, or NULL; with `mutex`, as all that changes a table. */
static struct share *
look(localobject *self, uint64_t id)
{
    return self->room == 0 ? NULL : *find(self, id);
}

/* The same without `mutex`, for the id of who runs: nobody else ends that. */
static struct share *
lookup(localobject *self, uint64_t id)
{
    celext_lock(&mutex);
    struct share *share = look(self, id);
    celext_unlock(&mutex);
    return share;
}

static int
resize(localobject *self, size_t room)
{
    struct share **old = self->table;
    size_t old_room = self->room;
    struct share **table = PyMem_Calloc(room, sizeof(struct share *));

    if (table == NULL) {
        return -1;
    }
    self->table = table;
    self->room = room;
    for (size_t i = 0; i < old_room; i++) {
        if (old[i] != NULL) {
            *find(self, old[i]->id) = old[i];
        }
    }
    PyMem_Free(old);
    return 0;
}

/* Take the share at `hole` out of the table and close the gap. */
static void
take_out(localobject *self, struct share **hole)
{
    size_t mask = self->room - 1;
    size_t gap = (size_t)(hole - self->table);

    self->used--;
    for (size_t at = (gap + 1) & mask; self->table[at] != NULL;
         at = (at + 1) & mask) {
        size_t home = (size_t)self->table[at]->id & mask;
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            self->table[gap] = self->table[at];
            gap = at;
        }
    }
    self->table[gap] = NULL;
}

/* ---- shares */

static void
leave_greenlet(struct share *share)
{
    *share->link = share->next;
    if (share->next != NULL) {
        share->next->link = share->link;
    }
}

/* Take `share` out of everything; with `mutex`.  Returns its dict: the
   caller's. */
static PyObject *
end_share(struct share *share)
{
    localobject *self = share->local;
    PyObject *dict = share->dict;

    take_out(self, find(self, share->id));
    if (self->current_id == share->id) {
        self->current = NULL;
        self->current_id = 0;
    }
    leave_greenlet(share);
    PyMem_Free(share);
    return dict;
}

void
local_forget(struct glet *glet)
{
    while (glet->shares != NULL) {
        celext_lock(&mutex);
        PyObject *dict = glet->shares == NULL ? NULL : end_share(glet->shares);
        celext_unlock(&mutex);
        Py_XDECREF(dict);
    }
}

static void
end_all_shares(localobject *self)
{
    celext_lock(&mutex);
    struct share **table = self->table;
    size_t room = self->room;
    self->table = NULL;
    self->room = 0;
    self->used = 0;
    self->current = NULL;
    self->current_id = 0;
    for (size_t i = 0; i < room; i++) {
        if (table[i] != NULL) {
            leave_greenlet(table[i]);
        }
    }
    celext_unlock(&mutex);
    /* Now nobody can find them; dropping a value may run anything. */
    for (size_t i = 0; i < room; i++) {
        if (table[i] != NULL) {
            PyObject *dict = table[i]->dict;
            PyMem_Free(table[i]);
            Py_DECREF(dict);
        }
    }
    PyMem_Free(table);
}

/* Put a share with `dict`, which is stolen, where there is none; with `mutex`.
   Returns it, or NULL with MemoryError. */
static struct share *
put_in(localobject *self, struct glet *glet, uint64_t id, PyObject *dict)
{
    struct share *share = PyMem_Malloc(sizeof(*share));

    if (share == NULL ||
        (self->used * 2 >= self->room &&
         resize(self, self->room == 0 ? 4 : self->room * 2) < 0)) {
        PyMem_Free(share);
        Py_DECREF(dict);
        PyErr_NoMemory();
        return NULL;
    }
    *share = (struct share){
        .local = self,
        .id = id,
        .dict = dict,
        .next = glet->shares,
        .link = &glet->shares,
    };
    if (share->next != NULL) {
        share->next->link = &share->next;
    }
    glet->shares = share;
    *find(self, id) = share;
    self->used++;
    return share;
}

/* A new, empty share of the greenlet `glet`, which has none; but `*fresh` is
   false where it has got one meanwhile.  NULL with an exception. */
static struct share *
begin_share(localobject *self, struct glet *glet, uint64_t id, bool *fresh)
{
    PyObject *dict = PyDict_New();

    if (dict == NULL) {
        return NULL;
    }
    /* That may have run the collector, and that anything. */
    celext_lock(&mutex);
    struct share *share = look(self, id);
    *fresh = share == NULL;
    if (*fresh) {
        share = put_in(self, glet, id, dict);
    }
    celext_unlock(&mutex);
    if (!*fresh) {
        Py_DECREF(dict);
    }
    return share;
}

/* `share` is the one that is used. */
static PyObject *
use(localobject *self, const struct share *share)
{
    if (!CELEXT_FREE_THREADED) {
        self->current = share->dict;
        self->current_id = share->id;
    }
    return share->dict;
}

/* Another greenlet was here last: make the current one's dict the current
   dict.  Runs __init__ where there is none yet. */
static PyObject *
change_dict(localobject *self, struct hub *hub)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    uint64_t id = hub->worker->current->id;
    struct share *share = lookup(self, id);
    bool fresh = false;

    if (share == NULL) {
        struct glet *glet = hub_current(hub);
        if (glet == NULL) {
            PyErr_SetString(PyExc_RuntimeError,
                            "the thread's hub is still being made");
            return NULL;
        }
        share = begin_share(self, glet, id, &fresh);
        if (share == NULL) {
            return NULL;
        }
    }
    PyObject *dict = use(self, share);
    if (!fresh || type->tp_init == PyBaseObject_Type.tp_init ||
        self->args == NULL) {
        return dict;
    }
    if (type->tp_init((PyObject *)self, self->args, self->kwargs) < 0) {
        celext_lock(&mutex);
        share = look(self, id);
        dict = share == NULL ? NULL : end_share(share);
        celext_unlock(&mutex);
        Py_XDECREF(dict);
        return NULL;
    }
    /* It may have let others run. */
    share = lookup(self, id);
    if (share == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "the values of this greenlet are gone");
        return NULL;
    }
    return use(self, share);
}

/* The dict of the greenlet that runs.  Borrowed; NULL with an exception. */
static inline PyObject *
current_dict(localobject *self)
{
    struct cel__worker *worker = cel__worker();

    if (cel__likely(worker != NULL &&
                    worker->current->id == self->current_id)) {
        return self->current;
    }
    struct hub *hub = hub_get(celext_state_of(Py_TYPE((PyObject *)self)));
    return hub == NULL ? NULL : change_dict(self, hub);
}

/* ---- the type */

static PyObject *
local_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (type->tp_init == PyBaseObject_Type.tp_init &&
        (PyTuple_GET_SIZE(args) > 0 ||
         (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0))) {
        PyErr_SetString(PyExc_TypeError,
                        "Initialization arguments are not supported");
        return NULL;
    }
    localobject *self = (localobject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    /* The share of whoever makes it: its __init__ is about to be called, and
       that with args still NULL, by no other than type(). */
    if (current_dict(self) == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    self->args = Py_NewRef(args);
    self->kwargs = Py_XNewRef(kwargs);
    return (PyObject *)self;
}

static int
local_traverse(PyObject *op, visitproc visit, void *arg)
{
    localobject *self = (localobject *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->args);
    Py_VISIT(self->kwargs);
    for (size_t i = 0; i < self->room; i++) {
        if (self->table[i] != NULL) {
            Py_VISIT(self->table[i]->dict);
        }
    }
    return 0;
}

static int
local_clear(PyObject *op)
{
    localobject *self = (localobject *)op;

    Py_CLEAR(self->args);
    Py_CLEAR(self->kwargs);
    end_all_shares(self);
    return 0;
}

static void
local_dealloc(PyObject *op)
{
    localobject *self = (localobject *)op;
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    if (self->weakreflist != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    (void)local_clear(op);
    PyMem_Free(self->table);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyObject *
local_getattro(PyObject *op, PyObject *name)
{
    localobject *self = (localobject *)op;
    PyObject *dict = current_dict(self);

    if (cel__unlikely(dict == NULL)) {
        return NULL;
    }
    if (cel__likely(Py_TYPE(op)->tp_dealloc == local_dealloc)) {
        /* Not a subclass: nothing but names with underscores can hide what
           is in the dict, and who stores those there gets them. */
        PyObject *value = PyDict_GetItemWithError(dict, name);
        if (value != NULL) {
            return Py_NewRef(value);
        }
        if (PyErr_Occurred()) {
            return NULL;
        }
    }
    return celext_get_attr(op, name, dict);
}

static int
local_setattro(PyObject *op, PyObject *name, PyObject *value)
{
    PyObject *dict = current_dict((localobject *)op);

    if (cel__unlikely(dict == NULL)) {
        return -1;
    }
    if (cel__unlikely(PyUnicode_Check(name) &&
                      PyUnicode_CompareWithASCIIString(name, "__dict__") ==
                          0)) {
        PyErr_Format(PyExc_AttributeError,
                     "'%.100s' object attribute '%U' is read-only",
                     Py_TYPE(op)->tp_name, name);
        return -1;
    }
    return celext_set_attr(op, name, value, dict);
}

static PyObject *
local_get_dict(PyObject *op, void *unused)
{
    (void)unused;
    return Py_XNewRef(current_dict((localobject *)op));
}

PyDoc_STRVAR(local_copy_doc,
             "__copy__($self, /)\n"
             "--\n\n"
             "Another one in which the calling greenlet has the same values.");

static PyObject *
local_copy(PyObject *op, PyObject *unused)
{
    localobject *self = (localobject *)op;
    PyTypeObject *type = Py_TYPE(op);

    (void)unused;
    PyObject *dict = Py_XNewRef(current_dict(self));
    if (dict == NULL) {
        return NULL;
    }
    PyObject *copy = PyObject_Call((PyObject *)type, self->args, self->kwargs);
    if (copy != NULL) {
        PyObject *into = current_dict((localobject *)copy);
        if (into == NULL || PyDict_Update(into, dict) < 0) {
            Py_CLEAR(copy);
        }
    }
    Py_DECREF(dict);
    return copy;
}

static PyMethodDef local_methods[] = {
    {"__copy__", local_copy, METH_NOARGS, local_copy_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef local_getset[] = {
    {"__dict__", local_get_dict, NULL,
     PyDoc_STR("The attributes of the calling greenlet."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef local_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(localobject, weakreflist),
     READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(localobject, current), READONLY,
     NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(local_doc,
             "local(*args, **kwargs)\n"
             "--\n\n"
             "An object whose attributes each greenlet has its own of.\n\n"
             "The __init__ of a subclass is called with the arguments again "
             "in every\ngreenlet that uses it.");

static PyType_Slot local_slots[] = {
    {Py_tp_doc, (void *)local_doc},
    {Py_tp_new, local_new},
    {Py_tp_traverse, local_traverse},
    {Py_tp_clear, local_clear},
    {Py_tp_dealloc, local_dealloc},
    {Py_tp_getattro, local_getattro},
    {Py_tp_setattro, local_setattro},
    {Py_tp_methods, local_methods},
    {Py_tp_getset, local_getset},
    {Py_tp_members, local_members},
    {0, NULL},
};

static PyType_Spec local_spec = {
    .name = "celadon.local.local",
    .basicsize = sizeof(localobject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = local_slots,
};

int
local_register(PyObject *module, struct celext_state *state)
{
    return celext_add_type(module, &state->local_type, &local_spec, NULL);
}
