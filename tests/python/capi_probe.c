/* SPDX-License-Identifier: MIT */
/*
 * A compiled user of greenlet: each call of its C interface, and a static
 * class that embeds a PyGreenlet, as Cython makes them.
 *
 * test_capi.py compiles it against our header.
 */
#define PY_SSIZE_T_CLEAN
#include <greenlet/greenlet.h>
#include <structmember.h>

PyMODINIT_FUNC PyInit_capi_probe(void);

/* NULL for None: arguments that may be left out. */
static void *
or_null(PyObject *object)
{
    return object == Py_None ? NULL : object;
}

static PyObject *new (PyObject *module, PyObject *args)
{
    PyObject *run;
    PyObject *parent;

    (void)module;
    if (!PyArg_ParseTuple(args, "OO", &run, &parent)) {
        return NULL;
    }
    return (PyObject *)PyGreenlet_New(or_null(run), or_null(parent));
}

static PyObject *
get_current(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return (PyObject *)PyGreenlet_GetCurrent();
}

static PyObject *throw(PyObject * module, PyObject *args)
{
    PyObject *self;
    PyObject *type;
    PyObject *value;
    PyObject *traceback;

    (void)module;
    if (!PyArg_ParseTuple(args, "OOOO", &self, &type, &value, &traceback)) {
        return NULL;
    }
    return PyGreenlet_Throw((PyGreenlet *)self, or_null(type), or_null(value),
                            or_null(traceback));
}

static PyObject *
switch_to(PyObject *module, PyObject *args)
{
    PyObject *self;
    PyObject *values;
    PyObject *names;

    (void)module;
    if (!PyArg_ParseTuple(args, "OOO", &self, &values, &names)) {
        return NULL;
    }
    return PyGreenlet_Switch((PyGreenlet *)self, or_null(values),
                             or_null(names));
}

static PyObject *
set_parent(PyObject *module, PyObject *args)
{
    PyObject *self;
    PyObject *parent;

    (void)module;
    if (!PyArg_ParseTuple(args, "OO", &self, &parent)) {
        return NULL;
    }
    if (PyGreenlet_SetParent((PyGreenlet *)self, or_null(parent)) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* (MAIN, STARTED, ACTIVE), each of which may fail. */
static PyObject *
look(PyObject *module, PyObject *self)
{
    PyGreenlet *greenlet = (PyGreenlet *)self;
    int is_main = PyGreenlet_MAIN(greenlet);

    (void)module;
    if (is_main < 0) {
        return NULL;
    }
    return Py_BuildValue("(iii)", is_main, PyGreenlet_STARTED(greenlet),
                         PyGreenlet_ACTIVE(greenlet));
}

/* How each of those that answer with a number fails, and clears after. */
static PyObject *
failures(PyObject *module, PyObject *self)
{
    PyGreenlet *greenlet = (PyGreenlet *)self;
    int (*const calls[])(PyGreenlet *) = {PyGreenlet_MAIN, PyGreenlet_STARTED,
                                          PyGreenlet_ACTIVE};
    long count = 0;

    (void)module;
    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
        if (calls[i](greenlet) == -1 &&
            PyErr_ExceptionMatches(PyExc_TypeError)) {
            count++;
        }
        PyErr_Clear();
    }
    return PyLong_FromLong(count);
}

/* The parent, or Ellipsis where there is none and no exception. */
static PyObject *
get_parent(PyObject *module, PyObject *self)
{
    PyObject *parent = (PyObject *)PyGreenlet_GetParent((PyGreenlet *)self);

    (void)module;
    if (parent == NULL && !PyErr_Occurred()) {
        return Py_NewRef(Py_Ellipsis);
    }
    return parent;
}

static PyObject *
is_greenlet(PyObject *module, PyObject *op)
{
    (void)module;
    return PyBool_FromLong(PyGreenlet_Check(op));
}

static PyObject *
raise(PyObject *module, PyObject *op)
{
    (void)module;
    PyErr_SetString(PyObject_IsTrue(op) ? PyExc_GreenletExit
                                        : PyExc_GreenletError,
                    "from C");
    return NULL;
}

static PyMethodDef methods[] = {
    {"new", new, METH_VARARGS, NULL},
    {"get_current", get_current, METH_NOARGS, NULL},
    {"throw", throw, METH_VARARGS, NULL},
    {"switch", switch_to, METH_VARARGS, NULL},
    {"set_parent", set_parent, METH_VARARGS, NULL},
    {"look", look, METH_O, NULL},
    {"failures", failures, METH_O, NULL},
    {"get_parent", get_parent, METH_O, NULL},
    {"is_greenlet", is_greenlet, METH_O, NULL},
    {"raise_", raise, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

/* ---- a class of its own */

struct embedded {
    PyGreenlet base;
    PyObject *extra;
};

static int
embedded_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(((struct embedded *)op)->extra);
    return PyGreenlet_Type.tp_traverse(op, visit, arg);
}

static int
embedded_clear(PyObject *op)
{
    Py_CLEAR(((struct embedded *)op)->extra);
    return PyGreenlet_Type.tp_clear(op);
}

static void
embedded_dealloc(PyObject *op)
{
    if (Py_TYPE(op)->tp_finalize != NULL && !PyObject_GC_IsFinalized(op) &&
        PyObject_CallFinalizerFromDealloc(op) != 0) {
        return;
    }
    PyObject_GC_UnTrack(op);
    Py_CLEAR(((struct embedded *)op)->extra);
    PyObject_GC_Track(op);
    PyGreenlet_Type.tp_dealloc(op);
}

static PyMemberDef embedded_members[] = {
    {"extra", T_OBJECT, offsetof(struct embedded, extra), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject embedded_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "capi_probe.Embedded",
    .tp_basicsize = sizeof(struct embedded),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .tp_traverse = embedded_traverse,
    .tp_clear = embedded_clear,
    .tp_dealloc = embedded_dealloc,
    .tp_members = embedded_members,
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "capi_probe",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit_capi_probe(void)
{
    PyGreenlet_Import();
    if (_PyGreenlet_API == NULL) {
        return NULL;
    }
    embedded_type.tp_base = &PyGreenlet_Type;
    /* PyType_Ready() wants static classes to have static bases only; this is
       how Cython gets round it. */
    embedded_type.tp_flags |= Py_TPFLAGS_HEAPTYPE;
    int err = PyType_Ready(&embedded_type);
    embedded_type.tp_flags &= ~Py_TPFLAGS_HEAPTYPE;
    PyObject *module = err < 0 ? NULL : PyModule_Create(&definition);
    if (module == NULL ||
        PyModule_AddIntConstant(module, "size", sizeof(PyGreenlet)) < 0) {
        Py_XDECREF(module);
        return NULL;
    }
    if (PyModule_AddObjectRef(module, "Embedded", (PyObject *)&embedded_type) <
        0) {
        Py_CLEAR(module);
    }
    return module;
}
