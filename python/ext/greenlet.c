/* SPDX-License-Identifier: MIT */
/*
 * The greenlet type: what greenlet.greenlet is to its users.
 *
 * Only the face: arguments, attributes, texts of errors, and the death of the
 * object.  Starting, switching and ending are in glet.c, what tells where a
 * greenlet is in its life in look.c.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_greenlet.py
 */
#include "ext/greenlet.h"

#include "ext/compat.h"
#include "ext/farewell.h"
#include "ext/hub.h"
#include "ext/look.h"
#include "ext/switch.h"

PyGreenlet *
greenlet_current(struct celext_state *state)
{
    struct hub *hub = hub_get(state);

    if (hub == NULL) {
        return NULL;
    }
    /* A thread that never waits gets here, if anywhere, to those whom others
       dropped. */
    hub_tidy(hub);
    return hub_current(hub)->self;
}

PyObject *
greenlet_getcurrent(struct celext_state *state)
{
    if (cel__unlikely(celext_finalizing())) {
        PyErr_SetString(PyExc_RuntimeError, "greenlet is being finalized");
        return NULL;
    }
    return Py_XNewRef((PyObject *)greenlet_current(state));
}

/* The state behind any greenlet.  Borrowed; never fails for one of ours. */
static struct celext_state *
state_of(PyObject *self)
{
    struct hub *hub = ((PyGreenlet *)self)->glet->hub;

    return hub != NULL ? hub->state : celext_state_of(Py_TYPE(self));
}

/* ---- making */

static int
set_parent(PyGreenlet *self, PyObject *value)
{
    struct celext_state *state = state_of((PyObject *)self);
    struct glet *glet = self->glet;

    if (!greenlet_check(state, value)) {
        PyErr_Format(PyExc_TypeError,
                     "GreenletChecker: Expected any type of greenlet, not %s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    PyGreenlet *parent = (PyGreenlet *)value;
    const struct hub *home = glet_home(parent->glet);
    if (home == NULL) {
        PyErr_SetString(PyExc_ValueError,
                        "parent must not be garbage collected");
        return -1;
    }
    if (glet->hub != NULL && home != glet->hub) {
        PyErr_SetString(PyExc_ValueError,
                        "parent cannot be on a different thread");
        return -1;
    }
    if (!glet_set_parent(glet, parent)) {
        PyErr_SetString(PyExc_ValueError, "cyclic parent chain");
        return -1;
    }
    return 0;
}

static int
set_run(PyObject *op, PyObject *value, void *unused)
{
    struct glet *glet = ((PyGreenlet *)op)->glet;

    (void)unused;
    if (glet->state != GLET_UNSTARTED) {
        PyErr_SetString(
            PyExc_AttributeError,
            glet->is_main
                ? "Main greenlets do not have a run attribute."
                : "run cannot be set after the start of the greenlet");
        return -1;
    }
    Py_XSETREF(glet->run, Py_XNewRef(value));
    return 0;
}

/* One without `run`, child of the current one. */
static PyObject *
make_bare(PyTypeObject *type)
{
    struct celext_state *state = celext_state_of(type);

    if (state == NULL) {
        return NULL;
    }
    if (cel__unlikely(PyType_HasFeature(type, Py_TPFLAGS_IS_ABSTRACT))) {
        /* Which refuses it. */
        return PyBaseObject_Type.tp_new(type, state->empty_tuple, NULL);
    }
    PyGreenlet *parent = greenlet_current(state);
    if (parent == NULL) {
        return NULL;
    }
    PyGreenlet *self = (PyGreenlet *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    if (glet_new(self, parent) == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static PyObject *
greenlet_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    return make_bare(type);
}

/* Set what the constructor was given; each may be NULL. */
static int
set_up(PyObject *op, PyObject *run, PyObject *parent)
{
    if (run != NULL && set_run(op, run, NULL) < 0) {
        return -1;
    }
    if (parent != NULL && parent != Py_None) {
        return set_parent((PyGreenlet *)op, parent);
    }
    return 0;
}

static int
greenlet_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"run", "parent", NULL};
    PyObject *run = NULL;
    PyObject *parent = NULL;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:greenlet", names, &run,
                                     &parent)) {
        return -1;
    }
    return set_up(op, run, parent);
}

PyObject *
greenlet_make(PyTypeObject *type, PyObject *run, PyObject *parent)
{
    PyObject *self = make_bare(type);

    if (self != NULL && set_up(self, run, parent) < 0) {
        Py_CLEAR(self);
    }
    return self;
}

/* The type called, unless by a subclass: no tuple, no dict. */
static PyObject *
greenlet_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf,
                    PyObject *names)
{
    static const char *const known[] = {"run", "parent", NULL};
    PyObject *values[2] = {NULL, NULL};

    if (celext_arguments("greenlet", known, args, PyVectorcall_NARGS(nargsf),
                         names, values) < 0) {
        return NULL;
    }
    return greenlet_make((PyTypeObject *)type, values[0], values[1]);
}

/* ---- dying */

/*
 * Whether the reference of an instance to its class `type` is ours to visit
 * and to give up.  A static class, which compiled users of greenlet make, has
 * none; for a class below it CPython does both (Objects/typeobject.c,
 * subtype_dealloc).
 */
static bool
owns_class(const PyTypeObject *type)
{
    while (type != NULL && type->tp_dealloc != greenlet_dealloc) {
        if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE)) {
            return false;
        }
        type = type->tp_base;
    }
    return true;
}

int
greenlet_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyGreenlet *self = (PyGreenlet *)op;
    struct glet *glet = self->glet;

    if (owns_class(Py_TYPE(op))) {
        Py_VISIT(Py_TYPE(op));
    }
    Py_VISIT(self->dict);
    if (glet != NULL) {
        Py_VISIT((PyObject *)glet->parent);
        Py_VISIT(glet->run);
        Py_VISIT(glet->found);
        Py_VISIT(glet->value);
        Py_VISIT(glet->kwargs);
        Py_VISIT(glet->exc);
        Py_VISIT(glet->context);
        return farewell_traverse(self, visit, arg);
    }
    return 0;
}

int
greenlet_clear(PyObject *op)
{
    PyGreenlet *self = (PyGreenlet *)op;

    Py_CLEAR(self->dict);
    farewell_clear(self);
    /* The parent stays: an active greenlet needs it to end. */
    if (self->glet != NULL && self->glet->state != GLET_ACTIVE &&
        !self->glet->held) {
        glet_clear(self->glet);
    }
    return 0;
}

void
greenlet_dealloc(PyObject *op)
{
    PyGreenlet *self = (PyGreenlet *)op;
    PyTypeObject *type = Py_TYPE(op);

    if (greenlet_resurrect(op)) {
        return;
    }
    bool owned = owns_class(type);
    PyObject_GC_UnTrack(op);
    if (self->weakreflist != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    Py_CLEAR(self->dict);
    if (self->glet != NULL) {
        glet_forget(self->glet);
        self->glet = NULL;
    }
    type->tp_free(op);
    if (owned) {
        Py_DECREF(type);
    }
}

/* ---- methods */

PyDoc_STRVAR(greenlet_switch_doc,
             "switch($self, /, *args, **kwargs)\n"
             "--\n\n"
             "Run this greenlet until it switches back; return what it hands "
             "over.\n\n"
             "Suspends the caller.  The first switch calls run(*args, "
             "**kwargs); a later one\nmakes the switch() in which it is "
             "suspended return the arguments.");

static PyObject *
greenlet_switch_slow(struct hub *hub, PyGreenlet *self, PyObject *const *args,
                     Py_ssize_t nargs, PyObject *names)
{
    PyObject *kwargs = NULL;
    PyObject *tuple = PyTuple_New(nargs);

    if (tuple == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < nargs; i++) {
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[i]));
    }
    if (names != NULL && PyTuple_GET_SIZE(names) > 0) {
        kwargs = PyDict_New();
        for (Py_ssize_t i = 0; kwargs != NULL && i < PyTuple_GET_SIZE(names);
             i++) {
            if (PyDict_SetItem(kwargs, PyTuple_GET_ITEM(names, i),
                               args[nargs + i]) < 0) {
                Py_CLEAR(kwargs);
            }
        }
        if (kwargs == NULL) {
            Py_DECREF(tuple);
            return NULL;
        }
    }
    return greenlet_switch(hub, self, tuple, kwargs);
}

static PyObject *
greenlet_meth_switch(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                     PyObject *names)
{
    PyGreenlet *self = (PyGreenlet *)op;
    struct glet *to = self->glet;
    struct hub *hub = to->hub;
    PyObject *result;

    if (cel__unlikely(hub == NULL) ||
        cel__unlikely(hub->ts != PyThreadState_Get())) {
        hub = hub_get(state_of(op));
        if (hub == NULL) {
            return NULL;
        }
    }
    struct glet *me = hub_current(hub);
    me->args = args;
    me->args_end = args + nargs;
    if (cel__likely(to->state == GLET_ACTIVE) && cel__likely(to->hub == hub) &&
        cel__likely(names == NULL) && cel__likely(nargs <= 1) &&
        cel__likely(to != me)) {
        Py_INCREF(op); /* the running one */
        result = glet_jump(
            hub, to, Py_NewRef(nargs == 0 ? hub->state->empty_tuple : args[0]),
            NULL);
    }
    else {
        result = greenlet_switch_slow(hub, self, args, nargs, names);
    }
    me->args = NULL;
    return result;
}

bool
greenlet_is_switch(PyObject *callable)
{
    PyCFunction function = (PyCFunction)(void (*)(void))greenlet_meth_switch;

    return PyCFunction_CheckExact(callable)
               ? PyCFunction_GET_FUNCTION(callable) == function
               : Py_IS_TYPE(callable, &PyMethodDescr_Type) &&
                     ((PyMethodDescrObject *)callable)->d_method->ml_meth ==
                         function;
}

PyDoc_STRVAR(greenlet_throw_doc,
             "throw($self, typ=GreenletExit, val=None, tb=None, /)\n"
             "--\n\n"
             "Switch to this greenlet and raise the exception there.\n\n"
             "Suspends the caller.  Returns as switch() does.");

/* Set the exception that throw()'s arguments describe. */
static int
set_thrown(struct celext_state *state, PyObject *type, PyObject *value,
           PyObject *traceback)
{
    if (traceback == Py_None) {
        traceback = NULL;
    }
    if (traceback != NULL && !PyTraceBack_Check(traceback)) {
        PyErr_SetString(PyExc_TypeError,
                        "throw() third argument must be a traceback object");
        return -1;
    }
    if (type == NULL) {
        type = state->greenlet_exit;
    }
    if (PyExceptionClass_Check(type)) {
        PyErr_Restore(Py_NewRef(type), Py_XNewRef(value),
                      Py_XNewRef(traceback));
    }
    else if (PyExceptionInstance_Check(type)) {
        if (value != NULL && value != Py_None) {
            PyErr_SetString(
                PyExc_TypeError,
                "instance exception may not have a separate value");
            return -1;
        }
        if (traceback == NULL) {
            traceback = PyException_GetTraceback(type);
        }
        else {
            Py_INCREF(traceback);
        }
        PyErr_Restore(Py_NewRef(PyExceptionInstance_Class(type)),
                      Py_NewRef(type), traceback);
    }
    else {
        PyErr_Format(PyExc_TypeError,
                     "exceptions must be classes, or instances, not %s",
                     Py_TYPE(type)->tp_name);
        return -1;
    }
    /* A class that can't be instantiated is an error here, not there. */
    PyObject *exc = celext_take_raised();
    if (exc != NULL) {
        celext_raise(exc);
    }
    return 0;
}

PyObject *
greenlet_throw(PyGreenlet *self, PyObject *type, PyObject *value,
               PyObject *traceback)
{
    struct celext_state *state = state_of((PyObject *)self);
    struct hub *hub = hub_get(state);

    if (hub == NULL || set_thrown(state, type, value, traceback) < 0) {
        return NULL;
    }
    return greenlet_switch(hub, self, NULL, NULL);
}

static PyObject *
greenlet_meth_throw(PyObject *op, PyObject *args)
{
    PyObject *type = NULL;
    PyObject *value = NULL;
    PyObject *traceback = NULL;

    if (!PyArg_ParseTuple(args, "|OOO:throw", &type, &value, &traceback)) {
        return NULL;
    }
    return greenlet_throw((PyGreenlet *)op, type, value, traceback);
}

static PyObject *
greenlet_getstate(PyObject *op, PyObject *unused)
{
    (void)unused;
    PyErr_Format(PyExc_TypeError, "cannot serialize '%s' object",
                 Py_TYPE(op)->tp_name);
    return NULL;
}

/* ---- attributes */

static PyObject *
get_run(PyObject *op, void *unused)
{
    struct glet *glet = ((PyGreenlet *)op)->glet;

    (void)unused;
    if (glet->state != GLET_UNSTARTED || glet->run == NULL) {
        PyErr_SetString(PyExc_AttributeError,
                        glet->is_main
                            ? "Main greenlets do not have a run attribute."
                            : "run");
        return NULL;
    }
    return Py_NewRef(glet->run);
}

static PyObject *
get_parent(PyObject *op, void *unused)
{
    PyObject *parent = (PyObject *)glet_parent(((PyGreenlet *)op)->glet);

    (void)unused;
    return parent == NULL ? Py_NewRef(Py_None) : parent;
}

int
greenlet_set_parent(PyGreenlet *self, PyObject *value)
{
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "can't delete attribute");
        return -1;
    }
    if (self->glet->is_main) {
        PyErr_SetString(PyExc_AttributeError,
                        "cannot set the parent of a main greenlet");
        return -1;
    }
    return set_parent(self, value);
}

static int
set_parent_attribute(PyObject *op, PyObject *value, void *unused)
{
    (void)unused;
    return greenlet_set_parent((PyGreenlet *)op, value);
}

static int
set_dict(PyObject *op, PyObject *value, void *unused)
{
    PyGreenlet *self = (PyGreenlet *)op;

    (void)unused;
    if (value == NULL || !PyDict_Check(value)) {
        PyErr_SetString(PyExc_TypeError,
                        value == NULL ? "__dict__ may not be deleted"
                                      : "__dict__ must be a dictionary");
        return -1;
    }
    PyObject *old = self->dict;
    self->dict = Py_NewRef(value);
    Py_XDECREF(old);
    return 0;
}

static PyMethodDef greenlet_methods[] = {
    {"switch", (PyCFunction)(void (*)(void))greenlet_meth_switch,
     METH_FASTCALL | METH_KEYWORDS, greenlet_switch_doc},
    {"throw", greenlet_meth_throw, METH_VARARGS, greenlet_throw_doc},
    {"__getstate__", greenlet_getstate, METH_NOARGS,
     PyDoc_STR("Greenlets cannot be pickled.")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef greenlet_getset[] = {
    {"__dict__", PyObject_GenericGetDict, set_dict, NULL, NULL},
    {"run", get_run, set_run,
     PyDoc_STR("What the greenlet will call; only before it starts."), NULL},
    {"parent", get_parent, set_parent_attribute,
     PyDoc_STR("Who gets the result."), NULL},
    {"dead", look_dead, NULL, PyDoc_STR("Whether it has finished."), NULL},
    {"gr_frame", look_frame, NULL,
     PyDoc_STR("Its topmost frame while it is suspended, else None."), NULL},
    {"gr_context", look_context, look_set_context,
     PyDoc_STR("Its contextvars.Context, or None."), NULL},
    {"_stack_saved", look_stack_saved, NULL,
     PyDoc_STR("Bytes of C stack in use while it is suspended."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef greenlet_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(PyGreenlet, weakreflist),
     READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(PyGreenlet, dict), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(greenlet_doc,
             "greenlet(run=None, parent=None)\n"
             "--\n\n"
             "A coroutine that runs when, and only when, somebody switches "
             "to it.\n\n"
             "run is called at the first switch; its result goes to parent, "
             "by default the\ngreenlet that made this one.");

static PyType_Slot greenlet_slots[] = {
    {Py_tp_doc, (void *)greenlet_doc},
    {Py_tp_new, greenlet_new},
    {Py_tp_init, greenlet_init},
    {Py_tp_dealloc, greenlet_dealloc},
    {Py_tp_finalize, greenlet_finalize},
    {Py_tp_traverse, greenlet_traverse},
    {Py_tp_clear, greenlet_clear},
    {Py_tp_repr, look_repr},
    {Py_nb_bool, look_bool},
    {Py_tp_methods, greenlet_methods},
    {Py_tp_getset, greenlet_getset},
    {Py_tp_members, greenlet_members},
    {0, NULL},
};

static PyType_Spec greenlet_spec = {
    /* What errors and repr() call it; see greenlet_register(). */
    .name = "greenlet.greenlet",
    .basicsize = sizeof(PyGreenlet),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = greenlet_slots,
};

/* Give the type what it shares with the module, and the module where it is
   found: pickle looks for it there. */
static int
complete_type(PyObject *module, PyTypeObject *type)
{
    static const char *const shared[] = {"getcurrent", "error", "GreenletExit",
                                         "settrace", "gettrace"};
    PyObject *name = PyModule_GetNameObject(module);
    int err = name == NULL ? -1
                           : PyObject_SetAttrString((PyObject *)type,
                                                    "__module__", name);

    Py_XDECREF(name);
    for (size_t i = 0; err == 0 && i < sizeof(shared) / sizeof(*shared); i++) {
        PyObject *value = PyObject_GetAttrString(module, shared[i]);
        err = value == NULL
                  ? -1
                  : PyObject_SetAttrString((PyObject *)type, shared[i], value);
        Py_XDECREF(value);
    }
    return err;
}

int
greenlet_register(PyObject *module, struct celext_state *state)
{
    if (celext_add_type(module, &state->greenlet_type, &greenlet_spec, NULL) <
        0) {
        return -1;
    }
    state->greenlet_type->tp_vectorcall = greenlet_vectorcall;
    return complete_type(module, state->greenlet_type);
}
