/* SPDX-License-Identifier: MIT */
/*
 * Python callables on the pool's threads.
 *
 * A thread of the pool gets its Python thread state with its first call and
 * keeps it until it ends, so that what a call leaves in its thread (a hub of
 * its own, thread-local data) is found by the next and cleaned up at the end.
 * As long as it has no call it counts as idle: the deadlock detector of the
 * other threads need not wait for it.
 *
 * Who gives a call up leaves it to the pool.  The result is then dropped by
 * the thread that made it, which has the GIL for that.
 *
 * Threads: with the GIL, but for what the pool calls.
 *
 * Tests: tests/python/test_offload.py
 */
#include "ext/offload.h"

#include <pthread.h>

#include "base/check.h"
#include "base/fork.h"
#include "ext/compat.h"
#include "ext/greenlet.h"
#include "ext/hub.h"
#include "pool/pool.h"

/* Invariants: result and exc are never both set; both are NULL until it has
   been called, then one of them is set. */
struct call {
    struct cel__job job; /* first */
    PyInterpreterState *interp;
    PyObject *callable;
    PyObject *args;
    PyObject *kwargs; /* may be NULL */
    PyObject *result;
    PyObject *exc;
    struct cel__wait *wait; /* on the caller's stack */
};

/* ---- Python on threads that are not Python's */

/* A thread's state, until the thread ends. */
static pthread_key_t state_key;
/* How many there are; `counting` guards both. */
static struct celext_mutex counting;
static int nstates;
static unsigned states_forks; /* cel__fork_count() that nstates belongs to */

/* Count `change` more.  Returns how many there are. */
static int
count(int change)
{
    celext_lock(&counting);
    if (states_forks != cel__fork_count()) {
        states_forks = cel__fork_count(); /* those threads are the parent's */
        nstates = 0;
    }
    nstates += change;
    int result = nstates;
    celext_unlock(&counting);
    return result;
}

int
offload_states(void)
{
    return count(0);
}

/* Enter the interpreter.  False: memory is short. */
static bool
enter(PyInterpreterState *interp) /* cpylint: leave() is the other half */
{
    PyThreadState *ts = pthread_getspecific(state_key);

    if (ts != NULL) {
        PyEval_RestoreThread(ts);
        return true;
    }
    ts = PyThreadState_New(interp);
    if (ts == NULL) {
        return false;
    }
    PyEval_RestoreThread(ts);
    (void)count(1);
    /* Without a place for it, it is lost when the thread ends. */
    (void)pthread_setspecific(state_key, ts);
    return true;
}

static void
leave(void) /* cpylint: of enter() */
{
    (void)PyEval_SaveThread();
}

/* The thread ends. */
static void
drop_state(void *value) /* cpylint: deleting the state lets go too */
{
    PyThreadState *ts = value;

    if (!Py_IsInitialized() || celext_finalizing()) {
        return; /* the interpreter has freed it, or is about to */
    }
    PyEval_RestoreThread(ts);
    (void)count(-1);
    PyThreadState_Clear(ts);
    PyThreadState_DeleteCurrent();
}

static void
make_key(void)
{
    if (pthread_key_create(&state_key, drop_state) != 0) {
        cel__panic("no thread-specific data left");
    }
}

/* ---- the job */

/* Drop what `call` refers to, and it. */
static void
free_call(struct call *call)
{
    Py_XDECREF(call->callable);
    Py_XDECREF(call->args);
    Py_XDECREF(call->kwargs);
    Py_XDECREF(call->result);
    Py_XDECREF(call->exc);
    PyMem_RawFree(call);
}

static void
run(struct cel__job *job)
{
    struct call *call = (struct call *)job;

    if (!enter(call->interp)) {
        return;
    }
    call->result = PyObject_Call(call->callable, call->args, call->kwargs);
    if (call->result == NULL) {
        call->exc = celext_take_raised();
    }
    leave();
}

static void
done(struct cel__job *job)
{
    struct call *call = (struct call *)job;

    cel__wait_finish(call->wait, 0);
}

static void
drop(struct cel__job *job)
{
    struct call *call = (struct call *)job;

    if (enter(call->interp)) {
        free_call(call);
        leave();
    }
}

static struct call *
make_call(PyObject *callable, PyObject *args, PyObject *kwargs)
{
    struct call *call = PyMem_RawCalloc(1, sizeof(*call));

    if (call == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    call->job.run = run;
    call->job.done = done;
    call->job.drop = drop;
    call->interp = PyInterpreterState_Get();
    call->callable = Py_NewRef(callable);
    call->args = Py_NewRef(args);
    call->kwargs = Py_XNewRef(kwargs);
    return call;
}

/*
 * Wait for the end of `call`.  Returns 0 (`call` is the caller's again) or -1
 * with what ended the wait (it is not).
 */
static int
await(struct hub *hub, struct call *call)
{
    PyObject *exc = NULL;

    for (;;) {
        int ended = hub_wait(hub, call->wait, CEL_FOREVER, "offload");
        if (ended > 0) {
            break;
        }
        PyObject *raised = celext_take_raised();
        if (call->wait->done || cel__pool_withdraw(&call->job)) {
            Py_XSETREF(exc, raised);
            break;
        }
        if (cel__pool_abandon(&call->job)) {
            Py_XDECREF(exc);
            celext_raise(raised);
            return -1;
        }
        /* Its end is on its way, and must find us here. */
        Py_XSETREF(exc, raised);
    }
    if (exc == NULL) {
        return 0;
    }
    free_call(call);
    celext_raise(exc);
    return -1;
}

/* What came of `call`, which is freed. */
static PyObject *
take_result(struct call *call)
{
    PyObject *result = call->result;
    PyObject *exc = call->exc;

    call->result = NULL;
    call->exc = NULL;
    free_call(call);
    if (exc != NULL) {
        celext_raise(exc);
    }
    else if (result == NULL) {
        PyErr_NoMemory();
    }
    return result;
}

PyObject *
offload_call(struct celext_state *state, PyObject *callable, PyObject *args,
             PyObject *kwargs)
{
    struct hub *hub = hub_get(state);
    struct cel__wait wait;

    if (hub == NULL) {
        return NULL;
    }
    if (hub_current(hub)->is_hub) {
        return PyObject_Call(callable, args, kwargs);
    }
    struct call *call = make_call(callable, args, kwargs);
    if (call == NULL) {
        return NULL;
    }
    call->wait = &wait;
    do {
        cel__wait_init(&wait, hub->worker->current);
        if (cel__pool_submit(hub->worker, &call->job) < 0) {
            free_call(call);
            return PyObject_Call(callable, args, kwargs);
        }
        if (await(hub, call) < 0) {
            return NULL;
        }
        /* In the child of a fork what its parent's thread had not called
           yet is called again. */
    } while (call->job.lost && call->result == NULL && call->exc == NULL);
    return take_result(call);
}

PyDoc_STRVAR(offload_doc,
             "offload($module, callable, /, *args, **kwargs)\n"
             "--\n\n"
             "callable(*args, **kwargs) on another thread, while the other\n"
             "greenlets run.");

static PyObject *
core_offload(PyObject *module, PyObject *args, PyObject *kwargs)
{
    if (PyTuple_GET_SIZE(args) < 1) {
        PyErr_SetString(PyExc_TypeError, "offload() needs a callable first");
        return NULL;
    }
    PyObject *rest = PyTuple_GetSlice(args, 1, PyTuple_GET_SIZE(args));
    if (rest == NULL) {
        return NULL;
    }
    PyObject *result = offload_call(PyModule_GetState(module),
                                    PyTuple_GET_ITEM(args, 0), rest, kwargs);
    Py_DECREF(rest);
    return result;
}

static PyMethodDef offload_functions[] = {
    {"offload", (PyCFunction)(void (*)(void))core_offload,
     METH_VARARGS | METH_KEYWORDS, offload_doc},
    {NULL, NULL, 0, NULL},
};

int
offload_register(PyObject *module, struct celext_state *state)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)state;
    (void)pthread_once(&once, make_key);
    return PyModule_AddFunctions(module, offload_functions);
}
