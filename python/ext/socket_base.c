/* SPDX-License-Identifier: MIT */
/*
 * What is known of CPython's own socket objects.
 *
 * Four fields of the C struct are used by their place (Modules/socketmodule.c:
 * PySocketSockObject begins with the descriptor, family, type and protocol
 * since 1991), the slots of the Python class by what their descriptors say.
 * At import both are compared with a real socket, and the module refuses to
 * load where they differ.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_socket.py
 */
#include "ext/socket.h"

#include <netinet/in.h>
#include <stdarg.h>

struct sock_layout sock_layout;

/* ---- the layout */

/* The offset of the slot `name` of the class; -1 with an exception. */
static Py_ssize_t
slot_offset(PyTypeObject *type, const char *name)
{
    PyObject *member = PyDict_GetItemString(type->tp_dict, name);

    if (member == NULL || !Py_IS_TYPE(member, &PyMemberDescr_Type)) {
        PyErr_Format(PyExc_ImportError,
                     "celadon: socket.socket has no slot %s"
                     " in this Python",
                     name);
        return -1;
    }
    return ((PyMemberDescrObject *)member)->d_member->offset;
}

/* The int attribute, or result of the method, `name` equals `expected`. */
static bool
agrees(PyObject *sock, const char *name, int expected)
{
    PyObject *value = PyObject_GetAttrString(sock, name);
    PyObject *result = value;

    if (value != NULL && PyCallable_Check(value)) {
        result = PyObject_CallNoArgs(value);
        Py_DECREF(value);
    }
    if (result == NULL) {
        PyErr_Clear();
        return false;
    }
    long number = PyLong_AsLong(result);
    Py_DECREF(result);
    PyErr_Clear();
    return number == expected;
}

/* Whether a socket made by CPython looks as we think. */
static int
check_with_real_one(PyTypeObject *type)
{
    PyObject *sock = PyObject_CallFunction((PyObject *)type, "iii", AF_INET,
                                           SOCK_STREAM, IPPROTO_TCP);

    if (sock == NULL && PyErr_ExceptionMatches(PyExc_OSError)) {
        PyErr_Clear(); /* no IPv4 in this sandbox */
        sock = PyObject_CallFunction((PyObject *)type, "iii", AF_UNIX,
                                     SOCK_DGRAM, 0);
    }
    if (sock == NULL) {
        return -1;
    }
    const sockobject *raw = (sockobject *)sock;
    bool same = raw->fd >= 0 && agrees(sock, "fileno", raw->fd) &&
                agrees(sock, "family", raw->family) &&
                agrees(sock, "type", raw->type) &&
                agrees(sock, "proto", raw->proto);
    PyObject *closed = PyObject_CallMethod(sock, "close", NULL);
    same = same && closed != NULL && raw->fd == -1;
    Py_XDECREF(closed);
    Py_DECREF(sock);
    PyErr_Clear();
    if (!same) {
        PyErr_SetString(PyExc_ImportError,
                        "celadon: the socket objects of this Python have a "
                        "layout that is not known");
    }
    return same ? 0 : -1;
}

int
sock_layout_find(PyTypeObject *base)
{
    PyTypeObject *raw = base->tp_base;
    const Py_ssize_t align = (Py_ssize_t) _Alignof(struct sock_own);

    if (raw == NULL || raw->tp_basicsize < (Py_ssize_t)sizeof(sockobject) ||
        base->tp_itemsize != 0) {
        PyErr_SetString(PyExc_ImportError,
                        "celadon: socket.socket is not the class of the "
                        "standard library; import celadon before what "
                        "replaces it");
        return -1;
    }
    Py_ssize_t io_refs = slot_offset(base, "_io_refs");
    Py_ssize_t closed = slot_offset(base, "_closed");
    if (io_refs < 0 || closed < 0) {
        return -1;
    }
    sock_layout = (struct sock_layout){
        .base_size = raw->tp_basicsize,
        .io_refs = io_refs,
        .closed = closed,
        .own = (base->tp_basicsize + align - 1) / align * align,
    };
    return check_with_real_one(raw);
}

/* ---- CPython's methods */

/* One call of the base's method `name`. */
static PyObject *
call_base_once(sockobject *self, const char *name, PyObject *const *args,
               Py_ssize_t nargs)
{
    struct celext_state *state = sock_state(self);
    PyObject *stack[8] = {NULL, (PyObject *)self};

    if (state == NULL) {
        return NULL;
    }
    if (nargs > 6) {
        nargs = 6; /* none takes as many: the method says so */
    }
    for (Py_ssize_t i = 0; i < nargs; i++) {
        stack[2 + i] = args[i];
    }
    PyObject *method = PyObject_GetAttrString(
        (PyObject *)sock_base_type(state), name);
    if (method == NULL) {
        return NULL;
    }
    PyObject *result = PyObject_Vectorcall(
        method, stack + 1,
        (size_t)(nargs + 1) | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_DECREF(method);
    return result;
}

PyObject *
sock_call_base(sockobject *self, const char *name, PyObject *const *args,
               Py_ssize_t nargs, uint8_t bit, int flags)
{
    cel_time deadline = sock_deadline(self);

    for (;;) {
        PyObject *result = call_base_once(self, name, args, nargs);
        if (result != NULL || (flags & MSG_DONTWAIT) != 0 ||
            sock_own(self)->timeout == 0 ||
            !PyErr_ExceptionMatches(PyExc_BlockingIOError)) {
            return result;
        }
        PyErr_Clear();
        if (sock_wait(self, bit, deadline, name) < 0) {
            return NULL;
        }
    }
}

/* ---- arguments */

int
sock_parse(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
           const char *format, const char *const *names, ...)
{
    Py_ssize_t nkw = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);
    PyObject *kwargs = nkw == 0 ? NULL : PyDict_New();
    PyObject *tuple = PyTuple_New(nargs);
    int good = 0;

    if (tuple == NULL || (nkw != 0 && kwargs == NULL)) {
        goto drop;
    }
    for (Py_ssize_t i = 0; i < nargs; i++) {
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[i]));
    }
    for (Py_ssize_t i = 0; i < nkw; i++) {
        if (PyDict_SetItem(kwargs, PyTuple_GET_ITEM(kwnames, i),
                           args[nargs + i]) < 0) {
            goto drop;
        }
    }
    va_list into;
    va_start(into, names);
    /* The names are not written to; the cast is for versions before 3.13. */
    good = names == NULL
               ? PyArg_VaParse(tuple, format, into)
               : PyArg_VaParseTupleAndKeywords(
                     tuple, kwargs, format, (char **)(uintptr_t)names, into);
    va_end(into);

drop:
    Py_XDECREF(tuple);
    Py_XDECREF(kwargs);
    return good ? 0 : -1;
}
