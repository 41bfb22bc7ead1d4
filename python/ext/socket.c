/* SPDX-License-Identifier: MIT */
/*
 * The socket type: making, closing, timeouts.
 *
 * A new socket is non-blocking from the system call on that makes it, and so
 * is CPython's idea of it.  settimeout() and setblocking() only note what the
 * user wants; they cost no system call.  Closing first ends the waits of
 * others on the descriptor, in every thread, so that none of them wakes up on
 * the next socket of that number.
 *
 * A descriptor that is given away by detach() becomes blocking again if the
 * socket was, for its next user knows nothing of us (multiprocessing's pipes
 * are made so).
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_socket.py, test_socket_errors.py
 */
#include "ext/socket.h"

#include <errno.h>
#include <math.h>

#include "base/check.h"
#include "base/sys.h"
#include "ext/compat.h"
#include "ext/guard.h"
#include "ext/hub.h"

/* ---- timeouts */

static int
timeout_overflow(void)
{
    PyErr_SetString(PyExc_OverflowError,
                    "timestamp too large to convert to C _PyTime_t");
    return -1;
}

/* A number of seconds in nanoseconds, rounded up, as CPython does it. */
static int
read_seconds(PyObject *value, cel_time *timeout)
{
    /* Since 3.15 CPython takes whatever is a real number. */
    if (PyFloat_Check(value) ||
        (Py_Version >= 0x030F0000 && !PyLong_Check(value))) {
        double seconds = PyFloat_AsDouble(value);
        if (seconds == -1 && PyErr_Occurred()) {
            return -1;
        }
        if (isnan(seconds)) {
            PyErr_SetString(PyExc_ValueError,
                            "Invalid value NaN (not a number)");
            return -1;
        }
        double ns = seconds * 1e9;
        ns = ns >= 0 ? ceil(ns) : floor(ns);
        if (!(ns >= -0x1p63 && ns < 0x1p63)) {
            return timeout_overflow();
        }
        *timeout = (cel_time)ns;
        return 0;
    }
    long long seconds = PyLong_AsLongLong(value);
    if (seconds == -1 && PyErr_Occurred()) {
        return PyErr_ExceptionMatches(PyExc_OverflowError) ? timeout_overflow()
                                                           : -1;
    }
    if (seconds > INT64_MAX / CEL_SEC || seconds < INT64_MIN / CEL_SEC) {
        return timeout_overflow();
    }
    *timeout = seconds * CEL_SEC;
    return 0;
}

int
sock_timeout_read(PyObject *value, cel_time *timeout)
{
    if (value == Py_None) {
        *timeout = -1;
        return 0;
    }
    if (read_seconds(value, timeout) < 0) {
        if (Py_Version >= 0x030E0000 && Py_Version < 0x030F0000 &&
            PyErr_ExceptionMatches(PyExc_TypeError)) {
            /* As CPython words it in 3.14 alone. */
            PyErr_Format(PyExc_TypeError,
                         "'%T' object cannot be interpreted as an integer "
                         "or float",
                         value);
        }
        return -1;
    }
    if (*timeout < 0) {
        PyErr_SetString(PyExc_ValueError, "Timeout value out of range");
        return -1;
    }
    /* CPython waits by poll(2), in milliseconds. */
    if (*timeout / CEL_MSEC > INT32_MAX) {
        PyErr_SetString(PyExc_OverflowError,
                        "timeout doesn't fit into C timeval");
        return -1;
    }
    return 0;
}

int
sock_timeout_default(struct celext_state *state, cel_time *timeout)
{
    PyObject *value = PyObject_CallNoArgs(state->getdefaulttimeout);

    if (value == NULL) {
        return -1;
    }
    int err = sock_timeout_read(value, timeout);
    Py_DECREF(value);
    return err;
}

/* CPython finds out here that a socket is closed. */
static PyObject *
set_timeout(sockobject *self, cel_time timeout)
{
    sock_own(self)->timeout = timeout;
    if (self->fd < 0) {
        return celext_oserror(-EBADF);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(settimeout_doc,
             "settimeout($self, timeout, /)\n"
             "--\n\n"
             "Let calls that wait end with TimeoutError after so many\n"
             "seconds; 0: never wait; None: wait as long as it takes.");

static PyObject *
socket_settimeout(PyObject *op, PyObject *value)
{
    cel_time timeout;

    if (sock_timeout_read(value, &timeout) < 0) {
        return NULL;
    }
    return set_timeout((sockobject *)op, timeout);
}

PyDoc_STRVAR(gettimeout_doc, "gettimeout($self, /)\n"
                             "--\n\n"
                             "The timeout in seconds, or None.");

static PyObject *
socket_gettimeout(PyObject *op, PyObject *unused)
{
    cel_time timeout = sock_own((sockobject *)op)->timeout;

    (void)unused;
    if (timeout < 0) {
        Py_RETURN_NONE;
    }
    return PyFloat_FromDouble((double)timeout / 1e9);
}

PyDoc_STRVAR(setblocking_doc,
             "setblocking($self, flag, /)\n"
             "--\n\n"
             "True: as settimeout(None); False: as settimeout(0).");

static PyObject *
socket_setblocking(PyObject *op, PyObject *flag)
{
    int blocking = PyObject_IsTrue(flag);

    if (blocking < 0) {
        return NULL;
    }
    return set_timeout((sockobject *)op, blocking ? -1 : 0);
}

PyDoc_STRVAR(getblocking_doc, "getblocking($self, /)\n"
                              "--\n\n"
                              "Whether calls may wait.");

static PyObject *
socket_getblocking(PyObject *op, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(sock_own((sockobject *)op)->timeout != 0);
}

static PyObject *
socket_get_timeout(PyObject *op, void *unused)
{
    (void)unused;
    return socket_gettimeout(op, NULL);
}

/* ---- making */

/* Call CPython's __init__, which opens or takes over the descriptor. */
static int
init_base(PyObject *op, struct celext_state *state, const int numbers[3],
          PyObject *fileno)
{
    PyObject *args = Py_BuildValue("(iiiO)", numbers[0], numbers[1],
                                   numbers[2], fileno);

    if (args == NULL) {
        return -1;
    }
    int err = sock_base_type(state)->tp_init(op, args, NULL);
    Py_DECREF(args);
    return err;
}

/* Make CPython's part of a socket that takes over `fileno` non-blocking. */
static int
unblock(PyObject *op, struct celext_state *state)
{
    PyObject *result = PyObject_CallMethod((PyObject *)sock_base_type(state),
                                           "setblocking", "OO", op, Py_False);

    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static int
socket_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"family", "type", "proto", "fileno",
                                        NULL};
    sockobject *self = (sockobject *)op;
    struct celext_state *state = sock_state(self);
    struct sock_own *own = sock_own(self);
    PyObject *fileno = Py_None;
    int numbers[3] = {-1, -1, -1};

    if (state == NULL ||
        !PyArg_ParseTupleAndKeywords(args, kwargs, "|iiiO:socket",
                                     (char **)(uintptr_t)names, &numbers[0],
                                     &numbers[1], &numbers[2], &fileno) ||
        sock_timeout_default(state, &own->timeout) < 0) {
        return -1;
    }
    if (numbers[1] != -1 && (numbers[1] & SOCK_NONBLOCK) != 0) {
        own->timeout = 0;
    }
    if (fileno == Py_None) {
        numbers[0] = numbers[0] == -1 ? AF_INET : numbers[0];
        numbers[1] = numbers[1] == -1 ? SOCK_STREAM : numbers[1];
        numbers[1] |= SOCK_NONBLOCK;
        numbers[2] = numbers[2] == -1 ? 0 : numbers[2];
    }
    if (init_base(op, state, numbers, fileno) < 0 ||
        (fileno != Py_None && unblock(op, state) < 0)) {
        return -1;
    }
    Py_XSETREF(*sock_slot(self, sock_layout.io_refs), PyLong_FromLong(0));
    Py_XSETREF(*sock_slot(self, sock_layout.closed), Py_NewRef(Py_False));
    sock_opened(self, -1);
    return 0;
}

/* ---- closing */

/* Close the descriptor.  Returns 0 or a negative errno. */
static int
close_fd(sockobject *self)
{
    celext_guard(self);
    bool last;
    int fd = sock_take_fd(self, true, &last);

    if (fd < 0) {
        return 0;
    }
    int err = cel__sys_close(fd);
    /* The peer's reset is no failure to close: as CPython. */
    return err == -ECONNRESET ? 0 : err;
}

PyDoc_STRVAR(real_close_doc, "_real_close($self, /, *ignored)\n"
                             "--\n\n"
                             "Close the descriptor, whoever still uses it.");

static PyObject *
socket_real_close(PyObject *op, PyObject *unused)
{
    (void)unused;
    int err = close_fd((sockobject *)op);
    if (err < 0) {
        return celext_oserror(err);
    }
    Py_RETURN_NONE;
}

/* Files made by makefile() that are still open keep the descriptor. */
static bool
has_files(sockobject *self)
{
    PyObject *refs = *sock_slot(self, sock_layout.io_refs);

    return refs != NULL && PyLong_AsLong(refs) > 0;
}

PyDoc_STRVAR(
    close_doc,
    "close($self, /)\n"
    "--\n\n"
    "Close the socket.  Who waits on it gets OSError(EBADF) at once.\n"
    "Files made by makefile() keep it open until they are closed.");

static PyObject *
socket_close(PyObject *op, PyObject *unused)
{
    sockobject *self = (sockobject *)op;

    (void)unused;
    Py_XSETREF(*sock_slot(self, sock_layout.closed), Py_NewRef(Py_True));
    if (has_files(self)) {
        Py_RETURN_NONE;
    }
    /* A subclass may have more to do (SSLSocket does). */
    PyObject *result = PyObject_CallMethod(op, "_real_close", NULL);
    if (result == NULL) {
        return NULL;
    }
    Py_DECREF(result);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(detach_doc,
             "detach($self, /)\n"
             "--\n\n"
             "Give the descriptor away and return it; the socket is closed,\n"
             "the descriptor is not.");

static PyObject *
socket_detach(PyObject *op, PyObject *unused)
{
    celext_guard(op);
    sockobject *self = (sockobject *)op;
    bool last;

    (void)unused;
    Py_XSETREF(*sock_slot(self, sock_layout.closed), Py_NewRef(Py_True));
    int fd = sock_take_fd(self, false, &last);
    if (fd >= 0 && last && sock_own(self)->timeout < 0) {
        sock_set_blocking(fd, true);
    }
    return PyLong_FromLong(fd);
}

/* A socket that nobody refers to any more. */
static void
socket_finalize(PyObject *op)
{
    sockobject *self = (sockobject *)op;

    if (self->fd < 0) {
        return;
    }
    PyObject *pending = celext_take_raised();
    if (PyErr_ResourceWarning(op, 1, "unclosed %R", op) < 0) {
        if (PyErr_ExceptionMatches(PyExc_Warning)) {
            PyErr_WriteUnraisable(op); /* warnings are errors here */
        }
        PyErr_Clear();
    }
    (void)close_fd(self);
    if (pending != NULL) {
        celext_raise(pending);
    }
}

/* ---- the type */

/* What gevent's sockets have behind their wrapper; ours are what they are. */
static PyObject *
socket_get_sock(PyObject *op, void *unused)
{
    (void)unused;
    return Py_NewRef(op);
}

static PyMethodDef life_methods[] = {
    {"settimeout", socket_settimeout, METH_O, settimeout_doc},
    {"gettimeout", socket_gettimeout, METH_NOARGS, gettimeout_doc},
    {"setblocking", socket_setblocking, METH_O, setblocking_doc},
    {"getblocking", socket_getblocking, METH_NOARGS, getblocking_doc},
    {"_real_close", socket_real_close, METH_VARARGS, real_close_doc},
    {"close", socket_close, METH_NOARGS, close_doc},
    {"detach", socket_detach, METH_NOARGS, detach_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef socket_getset[] = {
    {"timeout", socket_get_timeout, NULL,
     PyDoc_STR("The timeout in seconds, or None."), NULL},
    {"_sock", socket_get_sock, NULL, PyDoc_STR("The socket itself."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(
    socket_doc,
    "socket(family=AF_INET, type=SOCK_STREAM, proto=0, fileno=None)\n"
    "--\n\n"
    "A socket whose calls let other greenlets run while they wait.\n\n"
    "In all else as the standard library's, of which it is a\n"
    "subclass.");

/* A method table for the type, joined from those of its files. */
static PyMethodDef *
join_methods(void)
{
    static PyMethodDef *const parts[] = {life_methods, sock_conn_methods,
                                         sock_io_methods,
                                         sock_message_methods};
    enum {
        ROOM = 40
    };
    static PyMethodDef all[ROOM];
    size_t n = 0;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        for (PyMethodDef *def = parts[i]; def->ml_name != NULL; def++) {
            all[n++] = *def;
        }
    }
    cel__assert(n < ROOM);
    return all;
}

/* The class socket.socket of the standard library and what else is needed of
   it.  New; NULL with an exception. */
static PyObject *
find_base(struct celext_state *state)
{
    PyObject *module = PyImport_ImportModule("socket");
    PyObject *base = NULL;

    if (module == NULL) {
        return NULL;
    }
    state->getdefaulttimeout = PyObject_GetAttrString(module,
                                                      "getdefaulttimeout");
    if (state->getdefaulttimeout != NULL) {
        base = PyObject_GetAttrString(module, "socket");
    }
    Py_DECREF(module);
    if (base != NULL &&
        (!PyType_Check(base) || sock_layout_find((PyTypeObject *)base) < 0)) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ImportError,
                            "celadon: socket.socket is not a class");
        }
        Py_CLEAR(base);
    }
    return base;
}

int
socket_register(PyObject *module, struct celext_state *state)
{
    PyType_Slot slots[] = {
        {Py_tp_doc, (void *)(uintptr_t)socket_doc},
        {Py_tp_init, socket_init},
        {Py_tp_finalize, socket_finalize},
        {Py_tp_methods, join_methods()},
        {Py_tp_getset, socket_getset},
        {0, NULL},
    };
    PyObject *base = find_base(state);
    if (base == NULL) {
        return -1;
    }
    /* No traverse, clear or dealloc: those of classes do, for our fields hold
       no reference. */
    PyType_Spec spec = {
        .name = "celadon.socket.socket",
        .basicsize = (int)sock_layout.own + (int)sizeof(struct sock_own),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = slots,
    };
    int err = celext_add_type(module, &state->socket_type, &spec, base);
    Py_DECREF(base);
    return err;
}
