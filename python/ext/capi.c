/* SPDX-License-Identifier: MIT */
/*
 * greenlet's C interface: the table of pointers behind its capsule.
 *
 * The order of the table and the errors are greenlet's; the header for its
 * users is celadon/include/greenlet/greenlet.h.  They keep the table's
 * address, so it is static and what it names lives as long as the process.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_capi.py
 */
#include "ext/greenlet.h"
#include "ext/hub.h"

/* Its name for PyCapsule_Import(). */
#define CAPSULE "greenlet._C_API"

/* Places in the table. */
enum {
    SLOT_TYPE,
    SLOT_ERROR,
    SLOT_EXIT,
    SLOT_NEW,
    SLOT_GET_CURRENT,
    SLOT_THROW,
    SLOT_SWITCH,
    SLOT_SET_PARENT,
    SLOT_MAIN,
    SLOT_STARTED,
    SLOT_ACTIVE,
    SLOT_GET_PARENT,
    NSLOTS
};

static void *table[NSLOTS];

/* Of the module that filled the table, which is kept for ever. */
static struct celext_state *owner;

/* Whether `op` is a greenlet, else false with TypeError. */
static bool
check(PyGreenlet *op)
{
    if (op != NULL && greenlet_check(owner, (PyObject *)op)) {
        return true;
    }
    PyErr_BadArgument();
    return false;
}

static PyGreenlet *
capi_new(PyObject *run, PyGreenlet *parent)
{
    return (PyGreenlet *)greenlet_make(owner->greenlet_type, run,
                                       (PyObject *)parent);
}

static PyGreenlet *
capi_get_current(void)
{
    return (PyGreenlet *)greenlet_getcurrent(owner);
}

static PyObject *
capi_throw(PyGreenlet *self, PyObject *type, PyObject *value,
           PyObject *traceback)
{
    return check(self) ? greenlet_throw(self, type, value, traceback) : NULL;
}

static PyObject *
capi_switch(PyGreenlet *self, PyObject *args, PyObject *kwargs)
{
    if (!check(self)) {
        return NULL;
    }
    if (args != NULL && !PyTuple_Check(args)) {
        PyErr_BadArgument();
        return NULL;
    }
    struct hub *hub = hub_get(owner);
    if (hub == NULL) {
        return NULL;
    }
    if (kwargs != NULL && !PyDict_Check(kwargs)) {
        kwargs = NULL;
    }
    return greenlet_switch(hub, self,
                           Py_NewRef(args != NULL ? args : owner->empty_tuple),
                           Py_XNewRef(kwargs));
}

static int
capi_set_parent(PyGreenlet *self, PyGreenlet *parent)
{
    return check(self) ? greenlet_set_parent(self, (PyObject *)parent) : -1;
}

static int
capi_main(PyGreenlet *self)
{
    return check(self) ? self->glet->is_main : -1;
}

static int
capi_started(PyGreenlet *self)
{
    return check(self) ? self->glet->state != GLET_UNSTARTED : -1;
}

static int
capi_active(PyGreenlet *self)
{
    return check(self) ? self->glet->state == GLET_ACTIVE : -1;
}

static PyGreenlet *
capi_get_parent(PyGreenlet *self)
{
    if (!check(self)) {
        return NULL;
    }
    return glet_parent(self->glet);
}

int
capi_register(PyObject *module, struct celext_state *state)
{
    PyObject *capsule = PyCapsule_New(table, CAPSULE, NULL);

    if (capsule == NULL || PyModule_AddObject(module, "_C_API", capsule) < 0) {
        Py_XDECREF(capsule);
        return -1;
    }
    table[SLOT_TYPE] = state->greenlet_type;
    table[SLOT_ERROR] = state->error;
    table[SLOT_EXIT] = state->greenlet_exit;
    table[SLOT_NEW] = (void *)capi_new;
    table[SLOT_GET_CURRENT] = (void *)capi_get_current;
    table[SLOT_THROW] = (void *)capi_throw;
    table[SLOT_SWITCH] = (void *)capi_switch;
    table[SLOT_SET_PARENT] = (void *)capi_set_parent;
    table[SLOT_MAIN] = (void *)capi_main;
    table[SLOT_STARTED] = (void *)capi_started;
    table[SLOT_ACTIVE] = (void *)capi_active;
    table[SLOT_GET_PARENT] = (void *)capi_get_parent;
    owner = state;
    Py_INCREF(module);
    return 0;
}
