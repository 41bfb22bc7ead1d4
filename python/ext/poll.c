/* SPDX-License-Identifier: MIT */
/*
 * Waiting for bare descriptors: wait_read() and its kin, and poll().
 *
 * poll() is poll(2) for greenlets: it asks the kernel without waiting, and
 * where nothing is ready waits until a descriptor may be and asks again.  So
 * its answers are the kernel's own; the loop only says when to ask.
 * select.select(), select.poll and select.epoll are made of these in Python.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_select.py
 */
#include "ext/state.h"

#include <errno.h>
#include <poll.h>

#include "base/check.h"
#include "base/sys.h"
#include "ext/greenlet.h"
#include "ext/hub.h"

/* ---- one descriptor */

/* Raise what a wait that took too long raises: `exc`, a class or an instance,
   or TimeoutError. */
static void
raise_timeout(PyObject *exc)
{
    if (exc == NULL || exc == Py_None) {
        PyErr_SetString(PyExc_TimeoutError, "timed out");
    }
    else if (PyExceptionInstance_Check(exc)) {
        PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
    }
    else if (PyExceptionClass_Check(exc)) {
        PyErr_SetNone(exc);
    }
    else {
        PyErr_SetString(PyExc_TypeError, "timeout_exc must be an exception");
    }
}

static PyObject *
wait_for(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
         PyObject *names, uint32_t events)
{
    static const char *const known[] = {"fileno", "timeout", "timeout_exc",
                                        NULL};
    static const char *const what[] = {NULL, "wait_read",  NULL,
                                       NULL, "wait_write", "wait_readwrite"};
    PyObject *values[3] = {NULL, NULL, NULL};
    struct hub *hub = hub_get(PyModule_GetState(module));
    cel_time deadline;
    int64_t result;

    if (hub == NULL || celext_arguments(what[events], known, args, nargs,
                                        names, values) < 0) {
        return NULL;
    }
    if (values[0] == NULL) {
        PyErr_Format(PyExc_TypeError, "%s() needs a descriptor", what[events]);
        return NULL;
    }
    int fd = PyObject_AsFileDescriptor(values[0]);
    if (fd < 0 || celext_deadline(values[1], &deadline) < 0) {
        return NULL;
    }
    do {
        if (!hub_await_fd(hub, fd, events, deadline, what[events], &result)) {
            return NULL;
        }
    } while (result == -ECANCELED); /* the loop made it its own meanwhile */
    if (result == -ETIMEDOUT) {
        raise_timeout(values[2]);
        return NULL;
    }
    if (result < 0) {
        return celext_oserror(result);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(wait_read_doc,
             "wait_read($module, fileno, timeout=None, timeout_exc=None)\n"
             "--\n\n"
             "Wait until the descriptor is readable.\n\n"
             "After timeout seconds raise timeout_exc (TimeoutError).");

static PyObject *
core_wait_read(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
               PyObject *names)
{
    return wait_for(module, args, nargs, names, CEL__READABLE);
}

PyDoc_STRVAR(wait_write_doc,
             "wait_write($module, fileno, timeout=None, timeout_exc=None)\n"
             "--\n\n"
             "Wait until the descriptor is writable; else as wait_read().");

static PyObject *
core_wait_write(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                PyObject *names)
{
    return wait_for(module, args, nargs, names, CEL__WRITABLE);
}

PyDoc_STRVAR(
    wait_readwrite_doc,
    "wait_readwrite($module, fileno, timeout=None, timeout_exc=None)\n"
    "--\n\n"
    "Wait until the descriptor is either; else as wait_read().");

static PyObject *
core_wait_readwrite(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                    PyObject *names)
{
    return wait_for(module, args, nargs, names, CEL__READABLE | CEL__WRITABLE);
}

PyDoc_STRVAR(
    cancel_wait_doc,
    "cancel_wait($module, fileno, errno, /)\n"
    "--\n\n"
    "End this thread's waits for the descriptor with OSError(errno).");

static PyObject *
core_cancel_wait(PyObject *module, PyObject *args)
{
    struct cel__worker *worker = cel__worker();
    PyObject *fileno;
    int code;

    (void)module;
    if (!PyArg_ParseTuple(args, "Oi:cancel_wait", &fileno, &code)) {
        return NULL;
    }
    int fd = PyObject_AsFileDescriptor(fileno);
    if (fd < 0) {
        return NULL;
    }
    if (code <= 0) {
        PyErr_SetString(PyExc_ValueError, "errno must be positive");
        return NULL;
    }
    if (worker != NULL) {
        bool owned = cel__loop_owns(&worker->loop, fd);
        cel__loop_forget(&worker->loop, fd, -code);
        if (owned) {
            cel__loop_own(&worker->loop, fd);
        }
    }
    Py_RETURN_NONE;
}

/* ---- many */

/* What one poll() waits for; on the heap, for it may be large. */
struct pollset {
    struct pollfd *fds;
    struct cel__op *ops; /* one a descriptor; zeroed: not submitted */
    nfds_t count;
};

static void
pollset_fini(struct pollset *set)
{
    PyMem_Free(set->fds);
    PyMem_Free(set->ops);
}

/* Fill one entry from (fd, events). */
static int
read_pair(struct pollfd *out, PyObject *item)
{
    int fd;
    int events;

    if (!PyTuple_Check(item)) {
        PyErr_SetString(PyExc_TypeError, "expected pairs (fd, events)");
        return -1;
    }
    if (!PyArg_ParseTuple(item, "ii:poll", &fd, &events)) {
        return -1;
    }
    out->fd = fd;
    out->events = (short)events;
    return 0;
}

/* Fill `set`, which is zeroed, from the sequence of (fd, events). */
static int
pollset_init(struct pollset *set, PyObject *pairs)
{
    PyObject *fast = PySequence_Fast(pairs, "expected a sequence of pairs");

    if (fast == NULL) {
        return -1;
    }
    Py_ssize_t count = PySequence_Fast_GET_SIZE(fast);
    set->count = (nfds_t)count;
    set->fds = PyMem_Calloc((size_t)count + 1, sizeof(*set->fds));
    set->ops = PyMem_Calloc((size_t)count + 1, sizeof(*set->ops));
    if (set->fds == NULL || set->ops == NULL) {
        Py_DECREF(fast);
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (read_pair(&set->fds[i], PySequence_Fast_GET_ITEM(fast, i)) < 0) {
            Py_DECREF(fast);
            return -1;
        }
    }
    Py_DECREF(fast);
    return 0;
}

/* What is ready now: how many, or -1 with an exception. */
static int
look(struct pollset *set)
{
    int n;

    while ((n = cel__sys_poll(set->fds, set->count, 0)) == -EINTR) {
        if (PyErr_CheckSignals() < 0) {
            return -1;
        }
    }
    if (n < 0) {
        celext_oserror(n);
        return -1;
    }
    return n;
}

/* The list of (fd, revents). */
static PyObject *
show(const struct pollset *set)
{
    PyObject *list = PyList_New(0);

    for (nfds_t i = 0; list != NULL && i < set->count; i++) {
        if (set->fds[i].revents == 0) {
            continue;
        }
        PyObject *pair = Py_BuildValue("(ii)", set->fds[i].fd,
                                       (unsigned short)set->fds[i].revents);
        if (pair == NULL || PyList_Append(list, pair) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(pair);
    }
    return list;
}

/* An operation has ended; runs no Python. */
static void
op_done(struct cel__op *op)
{
    cel__wake(op->waiter);
}

/* What the loop is to watch: it knows two directions and urgent data. */
static uint32_t
interest(short events)
{
    uint32_t wanted = (uint16_t)events;

    if ((wanted & (POLLRDNORM | POLLRDBAND | POLLRDHUP)) != 0) {
        wanted |= CEL__READABLE;
    }
    if ((wanted & (POLLWRNORM | POLLWRBAND)) != 0) {
        wanted |= CEL__WRITABLE;
    }
    return wanted;
}

/*
 * Let the loop watch all of `set`, none of which was ready.  Returns how many
 * may be ready already, or a negative errno.
 */
static int
arm(struct hub *hub, struct pollset *set)
{
    int nready = 0;

    for (nfds_t i = 0; i < set->count; i++) {
        struct cel__op *op = &set->ops[i];
        if (set->fds[i].fd < 0) {
            continue; /* as poll(2) has it */
        }
        *op = (struct cel__op){.code = CEL__OP_POLL,
                               .fd = set->fds[i].fd,
                               .events = interest(set->fds[i].events),
                               .tried = true,
                               .done = op_done,
                               .waiter = hub->worker->current};
        int err = cel__loop_submit(&hub->worker->loop, op);
        if (err < 0) {
            return err;
        }
        nready += err;
    }
    return nready;
}

/* Take all operations back.  Returns how many had ended by themselves. */
static int
disarm(struct hub *hub, struct pollset *set)
{
    int nended = 0;

    for (nfds_t i = 0; i < set->count; i++) {
        if (set->ops[i].state == CEL__OP_ARMED) {
            cel__loop_cancel(&hub->worker->loop, &set->ops[i], 0);
        }
        else {
            nended += set->fds[i].fd >= 0;
        }
        cel__assert(set->ops[i].state == CEL__OP_IDLE);
    }
    return nended;
}

/* Wait until one may be ready.  Returns 1, 0 (`deadline` passed) or -1 with an
   exception. */
static int
wait_for_any(struct hub *hub, struct pollset *set, cel_time deadline)
{
    int ended = 0;

    int nready = arm(hub, set);
    if (nready == 0) {
        ended = hub_park(hub, deadline, "poll");
    }
    (void)disarm(hub, set);
    if (nready < 0) {
        celext_oserror(nready);
        return -1;
    }
    return ended < 0 ? -1 : ended == 0;
}

PyDoc_STRVAR(poll_doc,
             "poll($module, pairs, timeout=None, /)\n"
             "--\n\n"
             "Wait until one of the pairs (fd, events) is ready, at most\n"
             "timeout seconds.  Returns the list of (fd, what it is ready\n"
             "for), as poll(2).");

static PyObject *
core_poll(PyObject *module, PyObject *args)
{
    struct hub *hub = hub_get(PyModule_GetState(module));
    struct pollset set = {NULL, NULL, 0};
    PyObject *pairs;
    PyObject *timeout = NULL;
    PyObject *result = NULL;
    cel_time deadline;
    int n;

    if (hub == NULL || !PyArg_ParseTuple(args, "O|O:poll", &pairs, &timeout) ||
        celext_deadline(timeout, &deadline) < 0 ||
        pollset_init(&set, pairs) < 0 || hub_spend(hub) < 0) {
        pollset_fini(&set);
        return NULL;
    }
    int more = 1;
    while ((n = look(&set)) == 0 && more > 0 && deadline != CEL_AT_ONCE) {
        more = wait_for_any(hub, &set, deadline);
    }
    if (n >= 0 && more >= 0) {
        result = show(&set);
    }
    pollset_fini(&set);
    return result;
}

/* The casts are for CPython's one type of function pointer. */
#define FUNCTION(name) (PyCFunction)(void (*)(void))(name)

static PyMethodDef poll_functions[] = {
    {"wait_read", FUNCTION(core_wait_read), METH_FASTCALL | METH_KEYWORDS,
     wait_read_doc},
    {"wait_write", FUNCTION(core_wait_write), METH_FASTCALL | METH_KEYWORDS,
     wait_write_doc},
    {"wait_readwrite", FUNCTION(core_wait_readwrite),
     METH_FASTCALL | METH_KEYWORDS, wait_readwrite_doc},
    {"cancel_wait", core_cancel_wait, METH_VARARGS, cancel_wait_doc},
    {"poll", core_poll, METH_VARARGS, poll_doc},
    {NULL, NULL, 0, NULL},
};

int
poll_register(PyObject *module, struct celext_state *state)
{
    (void)state;
    return PyModule_AddFunctions(module, poll_functions);
}
