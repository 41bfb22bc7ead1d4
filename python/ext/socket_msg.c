/* SPDX-License-Identifier: MIT */
/*
 * Messages with ancillary data, and files: recvmsg, sendmsg, sendfile.
 *
 * What CPython's methods take and give here is intricate and seldom in a
 * hurry, so theirs are called, non-blocking, and again when the descriptor is
 * ready.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_socket.py
 */
#include "ext/socket.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "ext/compat.h"
#include "ext/hub.h"

/* What one sendfile(2) is asked for at most: as the standard library. */
#define SENDFILE_MOST ((int64_t)1 << 30)

/* The flags of recvmsg(), recvmsg_into() and sendmsg() are the third argument;
   what is no number is reported by the method itself. */
static int
third_as_flags(PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs < 3 || !PyLong_Check(args[2])) {
        return 0;
    }
    long flags = PyLong_AsLong(args[2]);
    PyErr_Clear();
    return (int)flags;
}

PyDoc_STRVAR(recvmsg_doc,
             "recvmsg($self, bufsize, ancbufsize=0, flags=0, /)\n"
             "--\n\n"
             "Receive data and ancillary data: (data, ancdata, msg_flags,\n"
             "address).");

static PyObject *
msg_recvmsg(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    return sock_call_base((sockobject *)op, "recvmsg", args, nargs,
                          CEL__READABLE, third_as_flags(args, nargs));
}

PyDoc_STRVAR(recvmsg_into_doc,
             "recvmsg_into($self, buffers, ancbufsize=0, flags=0, /)\n"
             "--\n\n"
             "As recvmsg(), into buffers: (count, ancdata, msg_flags,\n"
             "address).");

static PyObject *
msg_recvmsg_into(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    return sock_call_base((sockobject *)op, "recvmsg_into", args, nargs,
                          CEL__READABLE, third_as_flags(args, nargs));
}

PyDoc_STRVAR(sendmsg_doc,
             "sendmsg(buffers[, ancdata[, flags[, address]]])\n"
             "\n"
             "Send the buffers as one message, with ancillary data.\n"
             "Returns how many bytes were taken.");

static PyObject *
msg_sendmsg(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    sockobject *self = (sockobject *)op;
    PyObject *copy[4];

    if (nargs != 4 || args[3] == Py_None) {
        return sock_call_base(self, "sendmsg", args, nargs, CEL__WRITABLE,
                              third_as_flags(args, nargs));
    }
    PyObject *addr = sock_addr_resolve(self, args[3]);
    if (addr == NULL) {
        return NULL;
    }
    for (int i = 0; i < 3; i++) {
        copy[i] = args[i];
    }
    copy[3] = addr;
    PyObject *result = sock_call_base(self, "sendmsg", copy, 4, CEL__WRITABLE,
                                      third_as_flags(args, nargs));
    Py_DECREF(addr);
    return result;
}

/* ---- sendfile */

/* A run of sendfile(2). */
struct sending {
    int in;
    int64_t offset;
    int64_t left; /* bytes; INT64_MAX: to the end */
    int64_t sent;
};

/* Tell the caller to send piece by piece instead, because of `code`: not a
   file that the kernel can read.  Returns -1. */
static int
give_up(int code)
{
    PyObject *module = PyImport_ImportModule("socket");
    PyObject *type = module == NULL
                         ? NULL
                         : PyObject_GetAttrString(module, "_GiveupOnSendfile");

    if (type != NULL) {
        PyErr_SetString(type, strerror(code));
    }
    Py_XDECREF(type);
    Py_XDECREF(module);
    return -1;
}

/* One system call.  It may read from a disk: others run Python meanwhile. */
static ssize_t
send_some(sockobject *self, const struct sending *run)
{
    off_t offset = (off_t)run->offset;
    size_t most = (size_t)(run->left < SENDFILE_MOST ? run->left
                                                     : SENDFILE_MOST);
    int fd = self->fd;
    ssize_t n;

    Py_BEGIN_ALLOW_THREADS
    n = cel__sys_sendfile(fd, run->in, &offset, most);
    Py_END_ALLOW_THREADS
    return n;
}

/* Send until all is sent.  Returns 0, or -1 with an exception. */
static int
send_all(sockobject *self, struct sending *run)
{
    while (run->left > 0) {
        if (sock_spend(self) < 0) {
            return -1;
        }
        ssize_t n = send_some(self, run);
        if (n == 0) {
            return 0; /* the end of the file */
        }
        if (n > 0) {
            run->offset += n;
            run->sent += n;
            run->left -= run->left == INT64_MAX ? 0 : n;
        }
        else if (n == -EAGAIN) {
            /* As in the standard library the timeout is for each piece. */
            if (sock_wait(self, CEL__WRITABLE, sock_deadline(self),
                          "sendfile") < 0) {
                return -1;
            }
        }
        else {
            if (run->sent == 0) {
                return give_up((int)-n);
            }
            celext_oserror(n);
            return -1;
        }
    }
    return 0;
}

/* The file's position becomes where sending stopped, also after an error. */
static int
seek(PyObject *file, const struct sending *run)
{
    if (run->sent == 0) {
        return 0;
    }
    PyObject *raised = celext_take_raised();
    int err = 0;
    if (PyObject_HasAttrString(file, "seek")) {
        PyObject *result = PyObject_CallMethod(file, "seek", "L",
                                               (long long)run->offset);
        err = result == NULL ? -1 : 0;
        Py_XDECREF(result);
    }
    if (raised != NULL) {
        celext_raise(raised);
    }
    return err;
}

/* The descriptor of `file` and whether there is something in it; -1 with an
   exception. */
static int
open_source(PyObject *file, bool *empty)
{
    PyObject *number = PyObject_CallMethod(file, "fileno", NULL);
    int fd = number == NULL ? -1 : (int)PyLong_AsLong(number);
    struct stat status;

    Py_XDECREF(number);
    if (PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_AttributeError) ||
            PyErr_ExceptionMatches(PyExc_OSError)) {
            PyErr_Clear();
            return give_up(EBADF);
        }
        return -1;
    }
    if (fstat(fd, &status) < 0) {
        return give_up(EBADF);
    }
    *empty = status.st_size == 0;
    return fd;
}

PyDoc_STRVAR(sendfile_doc,
             "_sendfile_use_sendfile($self, /, file, offset=0, count=None)\n"
             "--\n\n"
             "What sendfile() does where the kernel can read the file.");

static PyObject *
msg_sendfile(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    static const char *const names[] = {"file", "offset", "count", NULL};
    sockobject *self = (sockobject *)op;
    struct sending run = {.left = INT64_MAX};
    PyObject *file;
    PyObject *count = Py_None;
    long long offset = 0;
    bool empty = false;

    if (sock_parse(args, nargs, kwnames, "O|LO:sendfile", names, &file,
                   &offset, &count) < 0) {
        return NULL;
    }
    PyObject *checked = PyObject_CallMethod(op, "_check_sendfile_params",
                                            "OLO", file, offset, count);
    Py_XDECREF(checked);
    if (checked == NULL || (run.in = open_source(file, &empty)) < 0) {
        return NULL;
    }
    if (empty) {
        return PyLong_FromLong(0);
    }
    if (sock_own(self)->timeout == 0) {
        PyErr_SetString(PyExc_ValueError,
                        "non-blocking sockets are not supported");
        return NULL;
    }
    run.offset = offset;
    if (count != Py_None) {
        run.left = PyLong_AsLongLong(count);
    }
    int err = PyErr_Occurred() ? -1 : send_all(self, &run);
    if (seek(file, &run) < 0 || err < 0) {
        return NULL;
    }
    return PyLong_FromLongLong(run.sent);
}

/* ---- for those who make the calls themselves: celadon.ssl */

static PyObject *
wait_until(PyObject *op, PyObject *timeout, uint8_t bit, const char *what)
{
    cel_time deadline;

    if (celext_deadline(timeout, &deadline) < 0) {
        return NULL;
    }
    int late = sock_wait_until((sockobject *)op, bit, deadline, what);
    return late < 0 ? NULL : PyBool_FromLong(late == 0);
}

PyDoc_STRVAR(wait_read_doc,
             "_wait_read($self, timeout, /)\n"
             "--\n\n"
             "After a read was refused: wait until it is worth another try.\n"
             "Returns False where timeout seconds (None: any) have passed.");

static PyObject *
msg_wait_read(PyObject *op, PyObject *timeout)
{
    return wait_until(op, timeout, CEL__READABLE, "read");
}

PyDoc_STRVAR(wait_write_doc, "_wait_write($self, timeout, /)\n"
                             "--\n\n"
                             "The same after a write was refused.");

static PyObject *
msg_wait_write(PyObject *op, PyObject *timeout)
{
    return wait_until(op, timeout, CEL__WRITABLE, "write");
}

/* The casts are for CPython's one type of method pointer. */
#define METHOD(name) (PyCFunction)(void (*)(void))(name)

PyMethodDef sock_message_methods[] = {
    {"recvmsg", METHOD(msg_recvmsg), METH_FASTCALL, recvmsg_doc},
    {"recvmsg_into", METHOD(msg_recvmsg_into), METH_FASTCALL,
     recvmsg_into_doc},
    {"sendmsg", METHOD(msg_sendmsg), METH_FASTCALL, sendmsg_doc},
    {"_sendfile_use_sendfile", METHOD(msg_sendfile),
     METH_FASTCALL | METH_KEYWORDS, sendfile_doc},
    {"_wait_read", msg_wait_read, METH_O, wait_read_doc},
    {"_wait_write", msg_wait_write, METH_O, wait_write_doc},
    {NULL, NULL, 0, NULL},
};
