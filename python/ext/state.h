/* SPDX-License-Identifier: MIT */
/*
 * What the extension module keeps: its types, names and exceptions.
 *
 * One state a module object.  Every type's file has a `<noun>_register()`
 * that makes the type, stores it here and adds it to the module.
 *
 * Threads: with the GIL.
 */
#ifndef CELEXT_STATE_H
#define CELEXT_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <structmember.h>

struct celext_state {
    /* Types, strong. */
    PyTypeObject *greenlet_type; /* celadon.greenlet: the raw one */
    PyTypeObject *hub_type;      /* _core.Hub, a greenlet */
    PyObject *hub_class;         /* what hubs are made of: set_hub_class() */
    PyTypeObject *task_type;     /* _core.Greenlet */
    PyObject *task_class;        /* what spawn() makes: set_greenlet_class() */
    PyTypeObject *timeout_type;  /* celadon.Timeout */
    PyTypeObject *callback_type; /* what run_callback() returns */
    PyTypeObject *event_type;
    PyTypeObject *result_type; /* AsyncResult */
    PyTypeObject *semaphore_type;
    PyTypeObject *lock_type; /* _thread.lock's stand-in */
    PyTypeObject *rlock_type;
    PyTypeObject *queue_type;
    PyTypeObject *local_type;
    PyTypeObject *socket_type;
    PyTypeObject *unswitchable_type; /* greenlet's, for tests */
    /* Exceptions, strong. */
    PyObject *error;         /* greenlet.error */
    PyObject *greenlet_exit; /* GreenletExit */
    PyObject *loop_exit;     /* LoopExit */
    PyObject *blocked_error; /* BlockingSwitchOutError */
    PyObject *switch_error;  /* InvalidSwitchError */
    PyObject *empty;         /* queue.Empty */
    PyObject *full;          /* queue.Full */
    PyObject *shut_down;     /* queue.ShutDown, or one of ours */
    PyObject *heappush;      /* of heapq, for PriorityQueue */
    PyObject *heappop;
    PyObject *getdefaulttimeout; /* _socket's, for each new socket */
    PyObject *list_threads;      /* sys._current_exceptions() */
    /* Interned strings, strong. */
    PyObject *str_run;
    PyObject *str_switch;
    PyObject *str_throw;
    PyObject *empty_tuple;
};

/* The module's definition, for PyType_GetModuleByDef(). */
extern struct PyModuleDef celext_module;

/* The state behind a type of this module or a subclass of one.  Borrowed. */
static inline struct celext_state *
celext_state_of(PyTypeObject *type)
{
    /* From 3.12 on CPython sees no base of a static type, which compiled
       users of greenlet have. */
    while (!PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) &&
           type->tp_base != NULL) {
        type = type->tp_base;
    }
    PyObject *module = PyType_GetModuleByDef(type, &celext_module);

    return module == NULL ? NULL : PyModule_GetState(module);
}

/*
 * Make a heap type of `module` from `spec`, with the bases `bases` (NULL:
 * object), store it in `*slot` and add it to the module under the last part
 * of its name.  Returns 0, or -1 with an exception.
 */
int celext_add_type(PyObject *module, PyTypeObject **slot, PyType_Spec *spec,
                    PyObject *bases);

/*
 * What a type's tp_dealloc does: weak references go, then `clear` (NULL: there
 * is nothing) drops what the object keeps, then its memory goes.
 */
void celext_dealloc(PyObject *op, inquiry clear);

/* Each type's own. */
int greenlet_register(PyObject *module, struct celext_state *state);
int unswitchable_register(PyObject *module, struct celext_state *state);
int capi_register(PyObject *module, struct celext_state *state);
int interface_register(PyObject *module, struct celext_state *state);
int hub_register(PyObject *module, struct celext_state *state);
int task_register(PyObject *module, struct celext_state *state);
int timeout_register(PyObject *module, struct celext_state *state);
int event_register(PyObject *module, struct celext_state *state);
int result_register(PyObject *module, struct celext_state *state);
int semaphore_register(PyObject *module, struct celext_state *state);
int lock_register(PyObject *module, struct celext_state *state);
int rlock_register(PyObject *module, struct celext_state *state);
int queue_register(PyObject *module, struct celext_state *state);
int local_register(PyObject *module, struct celext_state *state);
int socket_register(PyObject *module, struct celext_state *state);
int offload_register(PyObject *module, struct celext_state *state);
int poll_register(PyObject *module, struct celext_state *state);
int thread_register(PyObject *module, struct celext_state *state);

/*
 * Sort the arguments of a vectorcall by the names in `known` (NULL at the
 * end) into `values` (borrowed; NULL: not given).  Returns 0, or -1 with
 * TypeError.
 */
int celext_arguments(const char *function, const char *const *known,
                     PyObject *const *args, Py_ssize_t nargs, PyObject *names,
                     PyObject **values);

#endif
