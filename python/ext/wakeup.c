/* SPDX-License-Identifier: MIT */
/*
 * Signals that end a sleep: see wakeup.h.
 *
 * The pipe can't be made where the need for it is seen, in the hook before a
 * sleep: it takes Python code (only _signal.set_wakeup_fd() can say that a
 * full pipe is not worth a warning: a program that computes for a minute under
 * a profiler's timer fills it).  So the first sleep is cut short and the hub
 * greenlet makes it.
 *
 * Threads: see wakeup.h.
 *
 * Tests: tests/python/test_interrupt.py
 */
#include "ext/wakeup.h"

#include <errno.h>
#include <fcntl.h>

#include "base/fork.h"
#include "base/sys.h"
#include "ext/hub.h"

/* How often to see whether somebody has set another descriptor, or none: each
   look is two system calls. */
#define CHECK_EVERY (100 * CEL_MSEC)

static struct hub *
hub_of(struct wakeup *wakeup)
{
    return cel__container(wakeup, struct hub, wakeup);
}

/* Empty the pipe, into the user's descriptor if there is one. */
static void
drain(struct wakeup *wakeup)
{
    char numbers[64];
    ssize_t n;

    do {
        n = cel__sys_read(wakeup->fds[0], numbers, sizeof(numbers));
        if (n > 0 && wakeup->users != NULL) {
            /* Full or closed: CPython would warn at most. */
            (void)cel__sys_write((int)PyLong_AsLong(wakeup->users), numbers,
                                 (size_t)n);
        }
    } while (n == (ssize_t)sizeof(numbers));
}

/* The pipe can be read from, or its wait was taken back; runs no Python. */
static void
came(struct cel__op *op)
{
    struct wakeup *wakeup = cel__container(op, struct wakeup, op);
    struct hub *hub = hub_of(wakeup);

    hub->worker->nexpected++;
    drain(wakeup);
    hub_call_queue(&hub->chores);
}

/* Wait for the pipe, which is no reason to go on waiting. */
static void
watch(struct hub *hub)
{
    struct wakeup *wakeup = &hub->wakeup;

    drain(wakeup);
    if (wakeup->op.state != CEL__OP_IDLE) {
        return;
    }
    wakeup->op = (struct cel__op){.code = CEL__OP_POLL,
                                  .fd = wakeup->fds[0],
                                  .events = CEL__READABLE,
                                  .done = came};
    if (cel__loop_submit(&hub->worker->loop, &wakeup->op) == 0) {
        hub->worker->nexpected--;
    }
    else {
        hub_call_queue(&hub->chores);
    }
}

/*
 * Let CPython write to `fd`, an int.  Returns what it wrote to before, new, or
 * NULL with an exception.  The function is CPython's and runs no Python code.
 */
static PyObject *
exchange(struct wakeup *wakeup, PyObject *fd, PyObject *warn)
{
    PyObject *args[2] = {fd, warn};

    return PyObject_Vectorcall(wakeup->set, args, 1, wakeup->warn);
}

static void
close_pipe(struct hub *hub)
{
    struct wakeup *wakeup = &hub->wakeup;

    cel__loop_cancel(&hub->worker->loop, &wakeup->op, -ECANCELED);
    cel__loop_forget(&hub->worker->loop, wakeup->fds[0], -ECANCELED);
    (void)cel__sys_close(wakeup->fds[0]);
    (void)cel__sys_close(wakeup->fds[1]);
    Py_CLEAR(wakeup->set);
    Py_CLEAR(wakeup->warn);
    Py_CLEAR(wakeup->ours);
    Py_CLEAR(wakeup->users);
    wakeup->state = WAKEUP_NONE;
}

/* Let CPython write to the pipe; `before` is the number of an earlier one.
   Returns 0, or -1 with an exception: not in the main thread. */
static int
install(struct wakeup *wakeup, int before)
{
    PyObject *signal = PyImport_ImportModule("_signal");

    if (signal != NULL) {
        wakeup->set = PyObject_GetAttrString(signal, "set_wakeup_fd");
        Py_DECREF(signal);
    }
    wakeup->warn = Py_BuildValue("(s)", "warn_on_full_buffer");
    wakeup->ours = PyLong_FromLong(wakeup->fds[1]);
    if (wakeup->set == NULL || wakeup->warn == NULL || wakeup->ours == NULL) {
        return -1;
    }
    PyObject *old = exchange(wakeup, wakeup->ours, Py_False);
    if (old == NULL) {
        return -1;
    }
    long number = PyLong_AsLong(old);
    if (number < 0 || number == before) {
        Py_DECREF(old);
        return 0;
    }
    wakeup->users = old;
    old = exchange(wakeup, wakeup->users, Py_True);
    Py_XDECREF(old);
    return old == NULL ? -1 : 0;
}

static void
open_pipe(struct hub *hub, int before)
{
    struct wakeup *wakeup = &hub->wakeup;

    wakeup->state = WAKEUP_NONE;
    if (cel__sys_pipe2(wakeup->fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        return;
    }
    if (install(wakeup, before) < 0) {
        PyErr_Clear();
        close_pipe(hub);
        return;
    }
    wakeup->checked = hub->worker->now;
    wakeup->forks = cel__fork_count();
    wakeup->state = WAKEUP_READY;
}

void
wakeup_tend(struct hub *hub)
{
    struct wakeup *wakeup = &hub->wakeup;
    int before = -1;

    if (wakeup->state == WAKEUP_READY && wakeup->forks != cel__fork_count()) {
        before = wakeup->fds[1];
        close_pipe(hub);
        wakeup->state = WAKEUP_ASKED;
    }
    if (wakeup->state == WAKEUP_ASKED) {
        open_pipe(hub, before);
    }
    if (wakeup->state == WAKEUP_READY) {
        watch(hub);
    }
}

void
wakeup_close(struct hub *hub)
{
    if (hub->wakeup.state == WAKEUP_READY) {
        close_pipe(hub);
    }
}

/* Put the pipe in place, and see whether the user had something there. */
static void
check(struct hub *hub)
{
    struct wakeup *wakeup = &hub->wakeup;
    /* An error makes an exception, that might start the collector. */
    int collecting = PyGC_Disable();

    wakeup->checked = hub->worker->now;
    PyObject *old = exchange(wakeup, wakeup->ours, Py_False);
    if (old == NULL) {
        PyErr_Clear();
    }
    else if (PyLong_AsLong(old) == wakeup->fds[1] || PyLong_AsLong(old) < 0) {
        Py_CLEAR(old);
    }
    Py_XSETREF(wakeup->users, old);
    if (collecting) {
        PyGC_Enable();
    }
}

void
wakeup_before_sleep(struct hub *hub)
{
    struct wakeup *wakeup = &hub->wakeup;

    if (cel__unlikely(wakeup->state == WAKEUP_NEW) ||
        (wakeup->state == WAKEUP_READY &&
         cel__unlikely(wakeup->forks != cel__fork_count()))) {
        if (wakeup->state == WAKEUP_NEW) {
            wakeup->state = WAKEUP_ASKED;
        }
        hub_call_queue(&hub->chores);
        cel__loop_wake(&hub->worker->loop);
        return;
    }
    if (wakeup->state == WAKEUP_READY &&
        (wakeup->users != NULL ||
         hub->worker->now - wakeup->checked > CHECK_EVERY)) {
        check(hub);
    }
}

void
wakeup_after_sleep(struct hub *hub)
{
    struct wakeup *wakeup = &hub->wakeup;

    if (wakeup->state == WAKEUP_READY && wakeup->users != NULL) {
        int collecting = PyGC_Disable();
        PyObject *old = exchange(wakeup, wakeup->users, Py_True);
        if (old == NULL) {
            PyErr_Clear(); /* they have closed it */
        }
        Py_XDECREF(old);
        if (collecting) {
            PyGC_Enable();
        }
    }
}
