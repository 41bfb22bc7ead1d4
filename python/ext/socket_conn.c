/* SPDX-License-Identifier: MIT */
/*
 * Making connections: accept, connect, bind.
 *
 * accept() is one system call per connection of a burst: the new object is
 * made directly, as a copy of CPython's part of the listener, and nothing is
 * asked of the kernel about what it just handed over.
 *
 * Out of descriptors, a server that waits for connections can only wait for
 * some to end.  So accept() on a blocking socket tries again, first after
 * 10 ms, then ever less often up to once a second, and says so once; with a
 * timeout it raises the error at the deadline, without blocking at once.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_socket.py, test_socket_errors.py
 */
#include "ext/socket.h"

#include <errno.h>

#include "base/log.h"
#include "base/sys.h"
#include "ext/hub.h"
#include "ext/offload.h"

/* How long accept() waits when there are no descriptors left. */
#define STARVED_FIRST (10 * CEL_MSEC)
#define STARVED_MOST  CEL_SEC

/* How long connect() waits for room in a unix listener's queue, which the
   kernel doesn't announce. */
#define BACKLOG_FULL (2 * CEL_MSEC)

/* ---- accept */

/* What is passed when there may be no more descriptors soon. */
static bool
is_starved(int64_t code)
{
    return code == -EMFILE || code == -ENFILE || code == -ENOBUFS ||
           code == -ENOMEM;
}

/*
 * No connection can be taken because of `code`: let `*pause` pass.  Returns 0,
 * or -1 with an exception.
 */
static int
outlast(sockobject *self, int64_t code, cel_time deadline, cel_time *pause)
{
    struct sock_own *own = sock_own(self);
    struct celext_state *state = sock_state(self);
    struct hub *hub = state == NULL ? NULL : hub_get(state);

    if (hub == NULL) {
        return -1;
    }
    cel_time until = cel_after(*pause);
    if (own->timeout == 0 || until > deadline) {
        celext_oserror(code);
        return -1;
    }
    if (!own->starved) {
        own->starved = true;
        cel__log("accept on descriptor %d: %s; waiting for some to be closed",
                 self->fd, strerror((int)-code));
    }
    *pause = *pause * 2 < STARVED_MOST ? *pause * 2 : STARVED_MOST;
    return hub_sleep(hub, until);
}

/*
 * An accept() counts as an eighth of a call that did not wait, so that one
 * turn empties a queue of 512: who connects while it is full comes again after
 * a second, which is worse than to be served a little later.
 */
#define ACCEPTS_A_CALL 8

/* Keep accept() from being charged, but for each eighth. */
static void
charge_seldom(struct sock_own *own)
{
    struct cel__worker *worker = cel__worker();

    own->taken = (uint8_t)((own->taken + 1) % ACCEPTS_A_CALL);
    if (worker != NULL && own->taken != 0) {
        worker->budget++;
    }
}

/* Take a connection.  Suspends.  Returns its descriptor, or -1 with an
   exception. */
static int
accept_fd(sockobject *self, union sock_addr *addr, socklen_t *len)
{
    struct sock_own *own = sock_own(self);
    cel_time pause = STARVED_FIRST;
    cel_time deadline = CEL_FOREVER;
    struct cel__op op = {
        .code = CEL__OP_ACCEPT, .addr = &addr->any, .addrlen = len};

    own->listens = true;
    for (;;) {
        *len = sizeof(*addr);
        charge_seldom(own);
        if (sock_attempt(self, &op, "accept") < 0) {
            return -1;
        }
        if (cel__likely(op.result >= 0)) {
            own->starved = false;
            return (int)op.result;
        }
        if (!is_starved(op.result)) {
            celext_oserror(op.result);
            return -1;
        }
        if (deadline == CEL_FOREVER) {
            deadline = sock_deadline(self);
        }
        if (outlast(self, op.result, deadline, &pause) < 0) {
            return -1;
        }
    }
}

/* A socket for the descriptor `fd` (stolen), accepted by `self`.  New. */
static PyObject *
make_accepted(struct celext_state *state, sockobject *self, int fd)
{
    PyTypeObject *type = state->socket_type;
    sockobject *made = (sockobject *)type->tp_alloc(type, 0);

    if (made == NULL) {
        (void)cel__sys_close(fd);
        return NULL;
    }
    memcpy((char *)made + sizeof(PyObject), (char *)self + sizeof(PyObject),
           (size_t)sock_layout.base_size - sizeof(PyObject));
    made->fd = fd;
    *sock_slot(made, sock_layout.io_refs) = PyLong_FromLong(0);
    *sock_slot(made, sock_layout.closed) = Py_NewRef(Py_False);
    sock_opened(made, self->fd);
    if (sock_timeout_default(state, &sock_own(made)->timeout) < 0 ||
        PySys_Audit("socket.__new__", "Oiii", made, made->family, made->type,
                    made->proto) < 0) {
        Py_DECREF(made);
        return NULL;
    }
    return (PyObject *)made;
}

/* accept() of a family whose addresses only CPython can show. */
static PyObject *
accept_other(struct celext_state *state, sockobject *self)
{
    PyObject *pair = sock_call_base(self, "_accept", NULL, 0, CEL__READABLE,
                                    0);
    PyObject *addr;
    int fd;

    if (pair == NULL || !PyArg_ParseTuple(pair, "iO", &fd, &addr)) {
        Py_XDECREF(pair);
        return NULL;
    }
    sock_set_blocking(fd, false);
    PyObject *made = make_accepted(state, self, fd);
    PyObject *result = made == NULL ? NULL : PyTuple_Pack(2, made, addr);
    Py_XDECREF(made);
    Py_DECREF(pair);
    return result;
}

PyDoc_STRVAR(accept_doc,
             "accept($self, /)\n"
             "--\n\n"
             "Wait for a connection; return (socket, address of the peer).\n\n"
             "Out of descriptors it waits for some to be closed, at most for\n"
             "the timeout.");

static PyObject *
conn_accept(PyObject *op, PyObject *unused)
{
    sockobject *self = (sockobject *)op;
    struct celext_state *state = sock_state(self);
    union sock_addr addr;
    socklen_t len;

    (void)unused;
    if (state == NULL) {
        return NULL;
    }
    if (!sock_addr_known(self->family)) {
        return accept_other(state, self);
    }
    addr.any.sa_family = AF_UNSPEC;
    int fd = accept_fd(self, &addr, &len);
    if (fd < 0) {
        return NULL;
    }
    PyObject *made = make_accepted(state, self, fd);
    if (made == NULL) {
        return NULL;
    }
    PyObject *shown = sock_addr_show(&addr, len);
    PyObject *result = shown == NULL ? NULL : PyTuple_New(2);
    if (result == NULL) {
        Py_DECREF(made);
        Py_XDECREF(shown);
        return NULL;
    }
    PyTuple_SET_ITEM(result, 0, made);
    PyTuple_SET_ITEM(result, 1, shown);
    return result;
}

PyDoc_STRVAR(raw_accept_doc, "_accept($self, /)\n"
                             "--\n\n"
                             "As accept(), but return (descriptor, address).");

static PyObject *
conn_raw_accept(PyObject *op, PyObject *unused)
{
    sockobject *self = (sockobject *)op;
    union sock_addr addr;
    socklen_t len;

    (void)unused;
    if (!sock_addr_known(self->family)) {
        return sock_call_base(self, "_accept", NULL, 0, CEL__READABLE, 0);
    }
    addr.any.sa_family = AF_UNSPEC;
    int fd = accept_fd(self, &addr, &len);
    if (fd < 0) {
        return NULL;
    }
    PyObject *shown = sock_addr_show(&addr, len);
    if (shown == NULL) {
        (void)cel__sys_close(fd);
        return NULL;
    }
    /* Whose it becomes expects what the system call gives otherwise. */
    sock_set_blocking(fd, true);
    return Py_BuildValue("(iN)", fd, shown);
}

/* ---- connect */

/*
 * connect(2) of an address that only CPython can read.  Returns 0 with 0 or a
 * negative errno in `*code`, or -1 with an exception, as the method `name`
 * words it.
 */
static int
start_other(sockobject *self, PyObject *addr, const char *name, int64_t *code)
{
    PyObject *number = sock_call_base(self, "connect_ex", &addr, 1,
                                      CEL__WRITABLE, MSG_DONTWAIT);

    if (number == NULL) {
        if (strcmp(name, "connect_ex") != 0) {
            PyErr_Clear(); /* the address is no good: it got no further */
            Py_XDECREF(sock_call_base(self, name, &addr, 1, CEL__WRITABLE,
                                      MSG_DONTWAIT));
        }
        return -1;
    }
    *code = -PyLong_AsLong(number);
    Py_DECREF(number);
    return PyErr_Occurred() ? -1 : 0;
}

/* The system call itself, as start_other(). */
static int
start(sockobject *self, PyObject *addr, const char *name, int64_t *code)
{
    union sock_addr raw;
    socklen_t len;

    int known = sock_addr_read(self, addr, &raw, &len);
    if (known < 0) {
        return -1;
    }
    if (known == 0) {
        PyObject *numeric = sock_addr_resolve(self, addr);
        if (numeric == NULL) {
            return -1;
        }
        known = sock_addr_read(self, numeric, &raw, &len);
        if (known == 0) {
            int err = start_other(self, numeric, name, code);
            Py_DECREF(numeric);
            return err;
        }
        Py_DECREF(numeric);
    }
    if (PySys_Audit("socket.connect", "OO", self, addr) < 0) {
        return -1;
    }
    *code = cel__sys_connect(self->fd, &raw.any, len);
    return 0;
}

/* Wait for the connection that is under way.  As start_other(); -ETIMEDOUT
   of ours is -EAGAIN. */
static int
finish(sockobject *self, cel_time deadline, int64_t *code)
{
    struct celext_state *state = sock_state(self);
    struct hub *hub = state == NULL ? NULL : hub_get(state);
    struct cel__op op = {.code = CEL__OP_CONNECT, .fd = self->fd};

    if (hub == NULL) {
        return -1;
    }
    sock_adopt(self, hub->worker);
    if (!hub_await(hub, &op, deadline, "connect", code)) {
        return -1;
    }
    if (self->fd != op.fd) {
        *code = -EBADF;
    }
    else if (*code == -ETIMEDOUT && deadline != CEL_FOREVER &&
             cel_now() >= deadline) {
        *code = -EAGAIN;
    }
    return 0;
}

/*
 * Connect and wait for it.  Returns 0 with 0 or a negative errno in `*code`
 * (-EAGAIN: the timeout has passed), or -1 with an exception.
 */
static int
connect_to(sockobject *self, PyObject *addr, const char *name, int64_t *code)
{
    cel_time timeout = sock_own(self)->timeout;
    cel_time deadline = sock_deadline(self);

    for (;;) {
        if (start(self, addr, name, code) < 0) {
            return -1;
        }
        if (timeout == 0) {
            return 0;
        }
        if (*code == -EINPROGRESS) {
            return finish(self, deadline, code);
        }
        if (*code != -EAGAIN || self->family != AF_UNIX) {
            return 0;
        }
        struct celext_state *state = sock_state(self);
        struct hub *hub = state == NULL ? NULL : hub_get(state);
        cel_time until = cel_after(BACKLOG_FULL);
        if (until > deadline) {
            return 0;
        }
        if (hub == NULL || hub_sleep(hub, until) < 0) {
            return -1;
        }
    }
}

PyDoc_STRVAR(connect_doc,
             "connect($self, address, /)\n"
             "--\n\n"
             "Connect to a remote address and wait until it is done.");

static PyObject *
conn_connect(PyObject *op, PyObject *addr)
{
    sockobject *self = (sockobject *)op;
    int64_t code;

    if (connect_to(self, addr, "connect", &code) < 0) {
        return NULL;
    }
    if (code == 0) {
        Py_RETURN_NONE;
    }
    if (code == -EAGAIN && sock_own(self)->timeout > 0) {
        PyErr_SetString(PyExc_TimeoutError, "timed out");
        return NULL;
    }
    return celext_oserror(code);
}

PyDoc_STRVAR(connect_ex_doc,
             "connect_ex($self, address, /)\n"
             "--\n\n"
             "As connect(), but return an error number instead of raising\n"
             "the error; 0: it is done.");

static PyObject *
conn_connect_ex(PyObject *op, PyObject *addr)
{
    int64_t code;

    if (connect_to((sockobject *)op, addr, "connect_ex", &code) < 0) {
        return NULL;
    }
    return PyLong_FromLongLong(-code);
}

PyDoc_STRVAR(bind_doc, "bind($self, address, /)\n"
                       "--\n\n"
                       "Bind the socket to a local address.");

static PyObject *
conn_bind(PyObject *op, PyObject *addr)
{
    sockobject *self = (sockobject *)op;
    PyObject *numeric = sock_addr_resolve(self, addr);

    if (numeric == NULL) {
        return NULL;
    }
    PyObject *result = sock_call_base(self, "bind", &numeric, 1, 0,
                                      MSG_DONTWAIT);
    Py_DECREF(numeric);
    return result;
}

PyMethodDef sock_conn_methods[] = {
    {"accept", conn_accept, METH_NOARGS, accept_doc},
    {"_accept", conn_raw_accept, METH_NOARGS, raw_accept_doc},
    {"connect", conn_connect, METH_O, connect_doc},
    {"connect_ex", conn_connect_ex, METH_O, connect_ex_doc},
    {"bind", conn_bind, METH_O, bind_doc},
    {NULL, NULL, 0, NULL},
};
