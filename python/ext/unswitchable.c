/* SPDX-License-Identifier: MIT */
/*
 * UnswitchableGreenlet: one that can't be switched to, for tests.
 *
 * Users of greenlet test with it what they do when the stack can't be
 * switched.  Here a switch cannot fail once a greenlet has started, and before
 * that only for want of memory, so the failures are made to order: by
 * force_switch_error a SystemError, by force_slp_switch_error the end of the
 * process.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_greenlet_face.py
 */
#include "ext/greenlet.h"
#include "ext/hub.h"

static PyObject *
get_flag(PyObject *op, void *flag)
{
    const struct glet *glet = ((PyGreenlet *)op)->glet;

    return PyBool_FromLong(glet->refuse & *(const uint8_t *)flag);
}

static int
set_flag(PyObject *op, PyObject *value, void *flag)
{
    struct glet *glet = ((PyGreenlet *)op)->glet;
    uint8_t bit = *(const uint8_t *)flag;

    if (value == NULL) {
        PyErr_Format(PyExc_AttributeError, "Cannot delete %s",
                     bit == GLET_REFUSE ? "force_switch_error"
                                        : "force_slp_switch_error");
        return -1;
    }
    int truth = PyObject_IsTrue(value);
    if (truth < 0) {
        return -1;
    }
    glet->refuse = (uint8_t)(truth ? glet->refuse | bit : glet->refuse & ~bit);
    return 0;
}

int
glet_refuses(const struct glet *glet)
{
    if (glet->refuse & GLET_REFUSE) {
        PyErr_SetString(
            PyExc_SystemError,
            glet->state == GLET_UNSTARTED
                ? "Failed to switch stacks into a greenlet for the first time."
                : "Failed to switch stacks into a running greenlet.");
        return -1;
    }
    if (glet->refuse & GLET_REFUSE_FATALLY) {
        Py_FatalError("greenlet: Failed low-level slp_switch(). The stack is "
                      "probably corrupt.");
    }
    return 0;
}

/* greenlet's own switch() is for those that never refuse. */
static PyObject *
unswitchable_switch(PyObject *op, PyObject *args, PyObject *kwargs)
{
    struct hub *hub = hub_get(celext_state_of(Py_TYPE(op)));

    if (hub == NULL) {
        return NULL;
    }
    return greenlet_switch(hub, (PyGreenlet *)op, Py_NewRef(args),
                           Py_XNewRef(kwargs));
}

static PyMethodDef unswitchable_methods[] = {
    {"switch", (PyCFunction)(void (*)(void))unswitchable_switch,
     METH_VARARGS | METH_KEYWORDS, PyDoc_STR("As greenlet's, or an error.")},
    {NULL, NULL, 0, NULL},
};

static uint8_t refuse = GLET_REFUSE;
static uint8_t refuse_fatally = GLET_REFUSE_FATALLY;

static PyGetSetDef unswitchable_getset[] = {
    {"force_switch_error", get_flag, set_flag,
     PyDoc_STR("Whether a switch to it raises SystemError."), &refuse},
    {"force_slp_switch_error", get_flag, set_flag,
     PyDoc_STR("Whether a switch to it ends the process."), &refuse_fatally},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot unswitchable_slots[] = {
    {Py_tp_doc,
     (void *)PyDoc_STR("One that can't be switched to, for tests.")},
    {Py_tp_methods, unswitchable_methods},
    {Py_tp_getset, unswitchable_getset},
    {0, NULL},
};

static PyType_Spec unswitchable_spec = {
    .name = "greenlet._greenlet.UnswitchableGreenlet",
    .basicsize = sizeof(PyGreenlet),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = unswitchable_slots,
};

int
unswitchable_register(PyObject *module, struct celext_state *state)
{
    return celext_add_type(module, &state->unswitchable_type,
                           &unswitchable_spec,
                           (PyObject *)state->greenlet_type);
}
