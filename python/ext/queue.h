/* SPDX-License-Identifier: MIT */
/*
 * Queues and what they keep their items in.
 *
 * The items of a queue lie in a ring of its own.  It becomes a real deque (or
 * list) once somebody asks for `queue.queue`, to which programs do all kinds
 * of things; and a subclass may say with _init, _qsize, _put, _get and _peek,
 * as in the standard library, how it keeps items.
 *
 * Threads: any; guarded (guard.h).
 */
#ifndef CELEXT_QUEUE_H
#define CELEXT_QUEUE_H

#include "ext/waitq.h"

/* What a subclass has of its own. */
#define QUEUE_OWN_INIT  1U
#define QUEUE_OWN_QSIZE 2U
#define QUEUE_OWN_PUT   4U
#define QUEUE_OWN_GET   8U
#define QUEUE_OWN_PEEK  16U
#define QUEUE_OWN_STORE 31U /* any of those */
#define QUEUE_OWN_CALLS 32U /* put() or get() itself */

/* Which item is the next one. */
enum queue_order {
    QUEUE_OLDEST,
    QUEUE_NEWEST,   /* LifoQueue */
    QUEUE_SMALLEST, /* PriorityQueue: container is a heap, never the ring */
};

/* Invariants: container != NULL => count == 0; room is 0 or a power of two;
   count <= room. */
typedef struct {
    PyObject_HEAD
    PyObject *weakreflist;
    struct celext_state *state; /* borrowed: the type keeps the module */
    PyObject **ring; /* owned items from ring[first & (room - 1)] on */
    size_t first;
    size_t count;
    size_t room;
    PyObject *container;   /* owned; holds the items in place of the ring */
    Py_ssize_t maxsize;    /* 0: no limit */
    Py_ssize_t unfinished; /* items put, less task_done() calls */
    struct waitq getters;
    struct waitq putters;
    struct waitq joiners;
    PyObject *mutex; /* owned; the lock somebody asked for, or NULL */
    unsigned own;    /* QUEUE_OWN_… */
    uint8_t order;   /* enum queue_order */
    bool joinable;   /* Queue, not SimpleQueue */
    bool shut;       /* shutdown() was called */
} queueobject;

/* What `type`, a subclass of `base`, has of its own: QUEUE_OWN_….
   Returns 0, or -1 with an exception. */
int queue_find_own(PyTypeObject *type, PyTypeObject *base, unsigned *own);

/* How many items there are; -1 with an exception. */
Py_ssize_t queue_size(queueobject *self);

/* Add an item (a new reference is taken); 0, or -1 with an exception. */
int queue_store(queueobject *self, PyObject *item);

/* The next item, which there must be, taken out or not.  New; NULL with an
   exception. */
PyObject *queue_fetch(queueobject *self);
PyObject *queue_look(queueobject *self);

/* The same on the ring or container, whatever a subclass has. */
Py_ssize_t queue_plain_size(queueobject *self);
int queue_plain_store(queueobject *self, PyObject *item);
PyObject *queue_plain_fetch(queueobject *self);
PyObject *queue_plain_look(queueobject *self);

/* Let the items be kept in a deque or list from now on, and return that:
   new, or NULL with an exception. */
PyObject *queue_expose(queueobject *self);

/* All items, in the order they are kept: a list, new. */
PyObject *queue_items(queueobject *self);

/* Drop all items that are in the ring, and the container. */
void queue_drop(queueobject *self);

/* What the classes that are made here share; a Python subclass is known by
   not having that very queue_dealloc(). */
PyObject *queue_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
void queue_dealloc(PyObject *op);

/* put() and get() of all queues.  Queue has them in its own table too: for a
   method of a base CPython 3.11 has no fast path. */
PyObject *queue_put(PyObject *op, PyObject *const *values, Py_ssize_t count,
                    PyObject *names);
PyObject *queue_get(PyObject *op, PyObject *const *values, Py_ssize_t count,
                    PyObject *names);
extern const char queue_put_doc[];
extern const char queue_get_doc[];

/* Add `item` (a new reference is taken).  Suspends.  Returns None, new, or
   NULL with an exception, Full and ShutDown too. */
PyObject *queue_put_item(queueobject *self, PyObject *item, cel_time deadline);

/* Take the next item.  Suspends.  New; NULL with an exception, Empty and
   ShutDown too. */
PyObject *queue_get_item(queueobject *self, cel_time deadline);

/* Wait for an item, which stays there.  Suspends.  Returns 0, or -1 with an
   exception, Empty and ShutDown too. */
int queue_await_item(queueobject *self, cel_time deadline);

/* Add Queue and its subclasses, whose base is `simple`, or Channel, to the
   module.  Each returns 0, or -1 with an exception. */
int queue_tasks_register(PyObject *module, struct celext_state *state,
                         PyTypeObject *simple);
int channel_register(PyObject *module, struct celext_state *state);

#endif
