/* SPDX-License-Identifier: MIT */
/*
 * Receiving and sending.
 *
 * Received bytes land in a common buffer first, and an object of
 * their very size is made when they are there: a small message asked for with
 * recv(65536) costs no large allocation, and a greenlet that waits holds none.
 * Nothing runs between the system call and the copy, so one buffer will do.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_socket.py, test_socket_errors.py
 */
#include "ext/socket.h"

#include <errno.h>

#include "base/check.h"
#include "ext/hub.h"

/* What fits; a larger recv() goes to an object of its own. */
#define SCRATCH (64L * 1024)

static char scratch[SCRATCH];

/* The common buffer: the process's where there is a GIL, else the hub's.
   NULL: none can be had. */
static char *
common_buffer(void)
{
    if (!CELEXT_FREE_THREADED) {
        return scratch;
    }
    struct cel__worker *worker = cel__worker();
    struct hub *hub = worker == NULL ? NULL : worker->embedder;
    if (hub != NULL && hub->scratch == NULL) {
        hub->scratch = PyMem_RawMalloc(SCRATCH); /* cpylint: by callers */
    }
    return hub == NULL ? NULL : hub->scratch;
}

/* ---- arguments */

/* The arguments (size, flags=0) of recv() and recvfrom(). */
static int
parse_size(PyObject *const *args, Py_ssize_t nargs, const char *format,
           Py_ssize_t *size, int *flags)
{
    *flags = 0;
    if (cel__likely(nargs == 1 && PyLong_CheckExact(args[0]))) {
        *size = PyLong_AsSsize_t(args[0]);
        if (*size == -1 && PyErr_Occurred()) {
            return -1;
        }
    }
    else if (sock_parse(args, nargs, NULL, format, NULL, size, flags) < 0) {
        return -1;
    }
    if (*size < 0) {
        PyErr_Format(PyExc_ValueError, "negative buffersize in %s",
                     strchr(format, ':') + 1);
        return -1;
    }
    return 0;
}

/* Whether send() and sendall() take so many arguments; -1 with TypeError,
   worded as CPython does since 3.15. */
static int
check_count(Py_ssize_t nargs, const char *format)
{
    bool few = nargs < 1;

    if ((!few && nargs <= 2) || Py_Version < 0x030F0000) {
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "%s expected at %s, got %zd",
                 strchr(format, ':') + 1,
                 few ? "least 1 argument" : "most 2 arguments", nargs);
    return -1;
}

/* The arguments (data, flags=0) of send() and sendall(); `view` is to be
   released. */
static int
parse_data(PyObject *const *args, Py_ssize_t nargs, const char *format,
           Py_buffer *view, int *flags)
{
    *flags = 0;
    if (cel__likely(nargs == 1)) {
        return PyObject_GetBuffer(args[0], view, PyBUF_SIMPLE);
    }
    if (check_count(nargs, format) < 0) {
        return -1;
    }
    return sock_parse(args, nargs, NULL, format, NULL, view, flags);
}

/* The arguments of recv_into() and recvfrom_into(). */
struct room {
    Py_buffer view;
    Py_ssize_t len; /* how many bytes are asked for */
    int flags;
};

/* What (buffer, nbytes=0, flags=0) are; room->view is to be released. */
static int
parse_room(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
           const char *format, struct room *room)
{
    static const char *const names[] = {"buffer", "nbytes", "flags", NULL};

    *room = (struct room){.len = 0};
    if (cel__likely(nargs == 1 && kwnames == NULL)) {
        if (PyObject_GetBuffer(args[0], &room->view, PyBUF_WRITABLE) == 0) {
            room->len = room->view.len;
            return 0;
        }
        PyErr_Clear(); /* the parser below words it as CPython does */
        room->view.obj = NULL;
    }
    if (sock_parse(args, nargs, kwnames, format, names, &room->view,
                   &room->len, &room->flags) < 0) {
        return -1;
    }
    if (room->len < 0) {
        PyErr_Format(PyExc_ValueError, "negative buffersize in %s",
                     strchr(format, ':') + 1);
        PyBuffer_Release(&room->view);
        return -1;
    }
    if (room->len == 0) {
        room->len = room->view.len;
    }
    return 0;
}

/* ---- recv */

/* Whether MSG_WAITALL is for us: the kernel heeds it only where it blocks. */
static bool
wants_all(sockobject *self, int flags)
{
    return (flags & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL &&
           sock_own(self)->timeout < 0 && self->type == SOCK_STREAM;
}

/* Receive into `op`, of which buf and len are set.  As sock_run(); what came
   before an error counts. */
static int
receive(sockobject *self, struct cel__op *op, const char *what)
{
    op->code = CEL__OP_RECV;
    if (cel__likely(!wants_all(self, op->flags))) {
        return sock_run(self, op, what);
    }
    op->whole = true;
    if (sock_attempt(self, op, what) < 0) {
        return -1;
    }
    if (op->result < 0 && op->moved > 0) {
        op->result = (int64_t)op->moved;
    }
    if (op->result < 0) {
        celext_oserror(op->result);
        return -1;
    }
    return 0;
}

/* recv() of more than the common buffer holds, or of a given number. */
static PyObject *
recv_large(sockobject *self, Py_ssize_t size, int flags)
{
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, size);

    if (bytes == NULL) {
        return NULL;
    }
    struct cel__op op = {
        .buf = PyBytes_AS_STRING(bytes), .len = (size_t)size, .flags = flags};
    if (receive(self, &op, "recv") < 0) {
        Py_DECREF(bytes);
        return NULL;
    }
    if (op.result < size) {
        (void)_PyBytes_Resize(&bytes, (Py_ssize_t)op.result);
    }
    return bytes;
}

PyDoc_STRVAR(recv_doc, "recv($self, bufsize, flags=0, /)\n"
                       "--\n\n"
                       "Receive up to bufsize bytes, waiting for some.\n\n"
                       "b'' means that the peer has closed its side.");

static PyObject *
io_recv(PyObject *op_self, PyObject *const *args, Py_ssize_t nargs)
{
    sockobject *self = (sockobject *)op_self;
    Py_ssize_t size;
    int flags;

    if (parse_size(args, nargs, "n|i:recv", &size, &flags) < 0) {
        return NULL;
    }
    if (size == 0) {
        return PyBytes_FromStringAndSize(NULL, 0);
    }
    char *buffer = common_buffer();
    if (cel__unlikely(size > SCRATCH) || wants_all(self, flags) ||
        cel__unlikely(buffer == NULL)) {
        return recv_large(self, size, flags);
    }
    struct cel__op op = {.code = CEL__OP_RECV,
                         .buf = buffer,
                         .len = (size_t)size,
                         .flags = flags};
    if (sock_run(self, &op, "recv") < 0) {
        return NULL;
    }
    /* With MSG_TRUNC the count is of the whole datagram. */
    return PyBytes_FromStringAndSize(
        buffer, op.result < size ? (Py_ssize_t)op.result : size);
}

PyDoc_STRVAR(recv_into_doc,
             "recv_into($self, /, buffer, nbytes=0, flags=0)\n"
             "--\n\n"
             "Receive up to nbytes bytes (0: as many as there is room for)\n"
             "into a writable buffer.  Returns how many came.");

static PyObject *
io_recv_into(PyObject *op_self, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    struct room room;

    if (parse_room(args, nargs, kwnames, "w*|ni:recv_into", &room) < 0) {
        return NULL;
    }
    if (room.len > room.view.len) {
        PyErr_SetString(PyExc_ValueError,
                        "buffer too small for requested bytes");
        PyBuffer_Release(&room.view);
        return NULL;
    }
    struct cel__op op = {
        .buf = room.view.buf, .len = (size_t)room.len, .flags = room.flags};
    int err = room.len == 0 ? 0 : receive((sockobject *)op_self, &op, "recv");
    PyBuffer_Release(&room.view);
    return err < 0 ? NULL : PyLong_FromLongLong(op.result);
}

/* ---- recvfrom */

/* Receive with the sender's address.  Returns it, new, and the count in
   `*n`; NULL with an exception. */
static PyObject *
receive_from(sockobject *self, void *buf, size_t len, int flags, Py_ssize_t *n)
{
    union sock_addr addr;
    struct iovec iov = {.iov_base = buf, .iov_len = len};
    struct msghdr msg = {.msg_name = &addr,
                         .msg_namelen = sizeof(addr),
                         .msg_iov = &iov,
                         .msg_iovlen = 1};
    struct cel__op op = {.code = CEL__OP_RECVMSG, .msg = &msg, .flags = flags};

    addr.any.sa_family = AF_UNSPEC;
    if (sock_run(self, &op, "recvfrom") < 0) {
        return NULL;
    }
    *n = (Py_ssize_t)op.result;
    return sock_addr_show(&addr, msg.msg_namelen);
}

/* (first, second), stealing both; NULL where one is. */
static PyObject *
pair(PyObject *first, PyObject *second)
{
    PyObject *both = first == NULL || second == NULL
                         ? NULL
                         : PyTuple_Pack(2, first, second);

    Py_XDECREF(first);
    Py_XDECREF(second);
    return both;
}

PyDoc_STRVAR(recvfrom_doc,
             "recvfrom($self, bufsize, flags=0, /)\n"
             "--\n\n"
             "As recv(), but return (data, address of the sender).");

static PyObject *
io_recvfrom(PyObject *op_self, PyObject *const *args, Py_ssize_t nargs)
{
    sockobject *self = (sockobject *)op_self;
    Py_ssize_t size;
    Py_ssize_t n;
    int flags;

    if (parse_size(args, nargs, "n|i:recvfrom", &size, &flags) < 0) {
        return NULL;
    }
    if (!sock_addr_known(self->family)) {
        return sock_call_base(self, "recvfrom", args, nargs, CEL__READABLE,
                              flags);
    }
    char *buffer = common_buffer();
    if (size > SCRATCH || buffer == NULL) {
        PyObject *bytes = PyBytes_FromStringAndSize(NULL, size);
        PyObject *addr = bytes == NULL
                             ? NULL
                             : receive_from(self, PyBytes_AS_STRING(bytes),
                                            (size_t)size, flags, &n);
        if (addr != NULL && n < size) {
            (void)_PyBytes_Resize(&bytes, n);
        }
        return pair(bytes, addr);
    }
    PyObject *addr = receive_from(self, buffer, (size_t)size, flags, &n);
    if (addr == NULL) {
        return NULL;
    }
    return pair(PyBytes_FromStringAndSize(buffer, n < size ? n : size), addr);
}

PyDoc_STRVAR(recvfrom_into_doc,
             "recvfrom_into($self, /, buffer, nbytes=0, flags=0)\n"
             "--\n\n"
             "As recv_into(), but return (count, address of the sender).");

/* recvfrom_into() of a family whose addresses only CPython can show. */
static PyObject *
recvfrom_into_other(sockobject *self, PyObject *const *args, Py_ssize_t nargs,
                    PyObject *kwnames)
{
    static const char *const names[] = {"buffer", "nbytes", "flags", NULL};
    PyObject *values[3] = {NULL, NULL, NULL};

    if (celext_arguments("recvfrom_into", names, args, nargs, kwnames,
                         values) < 0) {
        return NULL;
    }
    PyObject *zero = PyLong_FromLong(0);
    if (zero == NULL) {
        return NULL;
    }
    for (int i = 1; i < 3; i++) {
        values[i] = values[i] == NULL ? zero : values[i];
    }
    PyObject *result = sock_call_base(self, "recvfrom_into", values,
                                      values[0] ? 3 : 0, CEL__READABLE, 0);
    Py_DECREF(zero);
    return result;
}

static PyObject *
io_recvfrom_into(PyObject *op_self, PyObject *const *args, Py_ssize_t nargs,
                 PyObject *kwnames)
{
    sockobject *self = (sockobject *)op_self;
    struct room room;
    Py_ssize_t n;

    if (!sock_addr_known(self->family)) {
        return recvfrom_into_other(self, args, nargs, kwnames);
    }
    if (parse_room(args, nargs, kwnames, "w*|ni:recvfrom_into", &room) < 0) {
        return NULL;
    }
    if (room.len > room.view.len) {
        PyErr_SetString(PyExc_ValueError,
                        "nbytes is greater than the length of the buffer");
        PyBuffer_Release(&room.view);
        return NULL;
    }
    PyObject *addr = receive_from(self, room.view.buf, (size_t)room.len,
                                  room.flags, &n);
    PyBuffer_Release(&room.view);
    return addr == NULL ? NULL : pair(PyLong_FromSsize_t(n), addr);
}

/* ---- send */

/* send() and sendall(): `whole`. */
static int
transmit(sockobject *self, PyObject *const *args, Py_ssize_t nargs, bool whole,
         Py_ssize_t *sent)
{
    Py_buffer view = {.obj = NULL};
    int flags;

    if (parse_data(args, nargs, whole ? "y*|i:sendall" : "y*|i:send", &view,
                   &flags) < 0) {
        return -1;
    }
    struct cel__op op = {.code = CEL__OP_SEND,
                         .data = view.buf,
                         .len = (size_t)view.len,
                         .flags = flags,
                         .whole = whole};
    int err = sock_run(self, &op, whole ? "sendall" : "send");
    PyBuffer_Release(&view);
    *sent = (Py_ssize_t)op.result;
    return err;
}

PyDoc_STRVAR(send_doc,
             "send($self, data, flags=0, /)\n"
             "--\n\n"
             "Send some of data, waiting until there is room for any.\n"
             "Returns how many bytes were taken.");

static PyObject *
io_send(PyObject *op_self, PyObject *const *args, Py_ssize_t nargs)
{
    Py_ssize_t sent;

    if (transmit((sockobject *)op_self, args, nargs, false, &sent) < 0) {
        return NULL;
    }
    return PyLong_FromSsize_t(sent);
}

PyDoc_STRVAR(sendall_doc,
             "sendall($self, data, flags=0, /)\n"
             "--\n\n"
             "Send all of data.  After an error nobody knows how much of it\n"
             "was sent.");

static PyObject *
io_sendall(PyObject *op_self, PyObject *const *args, Py_ssize_t nargs)
{
    Py_ssize_t sent;

    if (transmit((sockobject *)op_self, args, nargs, true, &sent) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Send `view` to `to`.  Returns the count, new. */
static PyObject *
send_to(sockobject *self, const Py_buffer *view, int flags,
        union sock_addr *to, socklen_t len)
{
    struct iovec iov = {.iov_base = view->buf, .iov_len = (size_t)view->len};
    struct msghdr msg = {
        .msg_name = to, .msg_namelen = len, .msg_iov = &iov, .msg_iovlen = 1};
    struct cel__op op = {.code = CEL__OP_SENDMSG, .msg = &msg, .flags = flags};

    if (sock_run(self, &op, "sendto") < 0) {
        return NULL;
    }
    return PyLong_FromLongLong(op.result);
}

PyDoc_STRVAR(sendto_doc, "sendto(data, [flags,] address)\n"
                         "\n"
                         "As send(), but to this address.");

static PyObject *
io_sendto(PyObject *op_self, PyObject *const *args, Py_ssize_t nargs)
{
    sockobject *self = (sockobject *)op_self;
    PyObject *stack[3];
    union sock_addr to;
    socklen_t len;
    Py_buffer view;

    int flags = nargs == 3 ? (int)PyLong_AsLong(args[1]) : 0;
    int known = 0;
    if (nargs == 2 || (nargs == 3 && !PyErr_Occurred())) {
        known = sock_addr_read(self, args[nargs - 1], &to, &len);
    }
    PyErr_Clear(); /* CPython words it */
    if (known == 0) {
        if (nargs < 2 || nargs > 3) {
            return sock_call_base(self, "sendto", args, nargs, 0, 0);
        }
        PyObject *numeric = sock_addr_resolve(self, args[nargs - 1]);
        if (numeric == NULL) {
            return NULL;
        }
        stack[0] = args[0];
        stack[1] = args[1];
        stack[nargs - 1] = numeric;
        PyObject *result = sock_call_base(self, "sendto", stack, nargs,
                                          CEL__WRITABLE, flags);
        Py_DECREF(numeric);
        return result;
    }
    if (PyObject_GetBuffer(args[0], &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    PyObject *result = NULL;
    if (PySys_Audit("socket.sendto", "OO", self, args[nargs - 1]) == 0) {
        result = send_to(self, &view, flags, &to, len);
    }
    PyBuffer_Release(&view);
    return result;
}

/* The casts are for CPython's one type of method pointer. */
#define METHOD(name) (PyCFunction)(void (*)(void))(name)

PyMethodDef sock_io_methods[] = {
    {"recv", METHOD(io_recv), METH_FASTCALL, recv_doc},
    {"recv_into", METHOD(io_recv_into), METH_FASTCALL | METH_KEYWORDS,
     recv_into_doc},
    {"recvfrom", METHOD(io_recvfrom), METH_FASTCALL, recvfrom_doc},
    {"recvfrom_into", METHOD(io_recvfrom_into), METH_FASTCALL | METH_KEYWORDS,
     recvfrom_into_doc},
    {"send", METHOD(io_send), METH_FASTCALL, send_doc},
    {"sendall", METHOD(io_sendall), METH_FASTCALL, sendall_doc},
    {"sendto", METHOD(io_sendto), METH_FASTCALL, sendto_doc},
    {NULL, NULL, 0, NULL},
};
