/* SPDX-License-Identifier: MIT */
/*
 * The extension module celadon._core: its state and its functions.
 *
 * Importing it starts no thread, opens no descriptor and installs no handler;
 * a thread gets its hub at its first wait.
 *
 * Threads: with the GIL.
 */
#include "ext/state.h"

#include "base/sys.h"
#include "celadon/info.h"
#include "celadon/see.h"
#include "ext/compat.h"
#include "ext/greenlet.h"
#include "ext/hub.h"
#include "ext/task.h"

PyMODINIT_FUNC PyInit__core(void);

static struct celext_state *
state_of(PyObject *module)
{
    return PyModule_GetState(module);
}

int
celext_add_type(PyObject *module, PyTypeObject **slot, PyType_Spec *spec,
                PyObject *bases)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, bases);

    if (type == NULL) {
        return -1;
    }
    *slot = (PyTypeObject *)type;
    return PyModule_AddType(module, *slot);
}

void
celext_dealloc(PyObject *op, inquiry clear)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    PyObject_ClearWeakRefs(op);
    if (clear != NULL) {
        (void)clear(op);
    }
    type->tp_free(op);
    Py_DECREF(type);
}

PyDoc_STRVAR(getcurrent_doc, "getcurrent($module, /)\n"
                             "--\n\n"
                             "The greenlet that runs now.");

static PyObject *
core_getcurrent(PyObject *module, PyObject *unused)
{
    (void)unused;
    return greenlet_getcurrent(state_of(module));
}

PyDoc_STRVAR(get_hub_doc, "get_hub($module, /)\n"
                          "--\n\n"
                          "The calling thread's hub, made at the first call.");

static PyObject *
core_get_hub(PyObject *module, PyObject *unused)
{
    struct hub *hub = hub_get(state_of(module));

    (void)unused;
    return hub == NULL ? NULL : Py_NewRef((PyObject *)hub->glet->self);
}

PyDoc_STRVAR(has_hub_doc, "has_hub($module, /)\n"
                          "--\n\n"
                          "Whether the calling thread has a hub already.");

static PyObject *
core_has_hub(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyBool_FromLong(cel__worker() != NULL);
}

PyDoc_STRVAR(sleep_doc,
             "sleep($module, /, seconds=0, ref=True)\n"
             "--\n\n"
             "Let others run for at least so many seconds; 0: until each has "
             "had its turn.\n\n"
             "Suspends.  ref=False: nobody needs to wait for the end of it.");

static PyObject *
core_sleep(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
           PyObject *names)
{
    static const char *const known[] = {"seconds", "ref", NULL};
    PyObject *values[2] = {NULL, NULL};
    struct hub *hub = hub_get(state_of(module));
    cel_time deadline;

    if (hub == NULL ||
        celext_arguments("sleep", known, args, nargs, names, values) < 0) {
        return NULL;
    }
    if (values[0] == NULL) {
        deadline = CEL_AT_ONCE;
    }
    else if (celext_deadline(values[0], &deadline) < 0) {
        return NULL;
    }
    int unref = values[1] == NULL ? 0 : !PyObject_IsTrue(values[1]);
    hub->worker->nexpected -= unref;
    int err = deadline == CEL_AT_ONCE ? hub_yield(hub)
                                      : hub_sleep(hub, deadline);
    hub->worker->nexpected += unref;
    if (err < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(spawn_doc,
             "spawn($module, func, /, *args, **kwargs)\n"
             "--\n\n"
             "Start a Greenlet that calls func(*args, **kwargs).\n\n"
             "Does not suspend: it runs in its turn.");

static PyObject *
core_spawn(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
           PyObject *names)
{
    struct hub *hub = hub_get(state_of(module));

    return hub == NULL ? NULL : celext_spawn(hub, args, nargs, names);
}

PyDoc_STRVAR(spawn_raw_doc,
             "spawn_raw($module, func, /, *args, **kwargs)\n"
             "--\n\n"
             "Start a raw greenlet that calls func(*args, **kwargs): nobody "
             "can join it.\n\n"
             "Does not suspend.");

static PyObject *
core_spawn_raw(PyObject *module, PyObject *args, PyObject *kwargs)
{
    struct hub *hub = hub_get(state_of(module));

    if (hub == NULL) {
        return NULL;
    }
    if (PyTuple_GET_SIZE(args) < 1) {
        PyErr_SetString(PyExc_TypeError, "spawn_raw() needs a callable first");
        return NULL;
    }
    PyObject *rest = PyTuple_GetSlice(args, 1, PyTuple_GET_SIZE(args));
    PyObject *copy = kwargs == NULL ? NULL : PyDict_Copy(kwargs);
    if (rest == NULL || (kwargs != NULL && copy == NULL)) {
        Py_XDECREF(rest);
        return NULL;
    }
    return celext_spawn_call(hub, PyTuple_GET_ITEM(args, 0), rest, copy);
}

PyDoc_STRVAR(settrace_doc,
             "settrace($module, callback, /)\n"
             "--\n\n"
             "Call callback(event, (origin, target)) after every switch by "
             "hand in this thread;\nNone: no more.  Returns the one before.");

static PyObject *
core_settrace(PyObject *module, PyObject *callback)
{
    struct hub *hub = hub_get(state_of(module));

    if (hub == NULL) {
        return NULL;
    }
    PyObject *old = hub->tracefunc;
    hub->tracefunc = callback == Py_None ? NULL : Py_NewRef(callback);
    return old == NULL ? Py_NewRef(Py_None) : old;
}

PyDoc_STRVAR(gettrace_doc, "gettrace($module, /)\n"
                           "--\n\n"
                           "What settrace() was given last, or None.");

static PyObject *
core_gettrace(PyObject *module, PyObject *unused)
{
    struct hub *hub = hub_get(state_of(module));

    (void)unused;
    if (hub == NULL) {
        return NULL;
    }
    return Py_NewRef(hub->tracefunc == NULL ? Py_None : hub->tracefunc);
}

/* set_hub_class() and set_greenlet_class(): store `type` in `*slot`. */
static PyObject *
set_class(PyObject **slot, PyTypeObject *base, PyObject *type)
{
    if (!PyType_Check(type) || !PyType_IsSubtype((PyTypeObject *)type, base)) {
        PyErr_Format(PyExc_TypeError, "expected a subclass of %s",
                     base->tp_name);
        return NULL;
    }
    Py_XSETREF(*slot, Py_NewRef(type));
    Py_RETURN_NONE;
}

static PyObject *
core_set_hub_class(PyObject *module, PyObject *type)
{
    struct celext_state *state = state_of(module);

    return set_class(&state->hub_class, state->hub_type, type);
}

static PyObject *
core_set_greenlet_class(PyObject *module, PyObject *type)
{
    struct celext_state *state = state_of(module);

    return set_class(&state->task_class, state->task_type, type);
}

PyDoc_STRVAR(report_doc, "report($module, /)\n"
                         "--\n\n"
                         "What was chosen on this system, and why, in lines.");

static PyObject *
core_report(PyObject *module, PyObject *unused)
{
    char text[2048];

    (void)module;
    (void)unused;
    size_t len = cel_info_report(text, sizeof(text));
    return PyUnicode_DecodeUTF8(
        text, (Py_ssize_t)(len < sizeof(text) ? len : sizeof(text) - 1),
        "replace");
}

static PyMethodDef core_methods[] = {
    {"getcurrent", core_getcurrent, METH_NOARGS, getcurrent_doc},
    {"get_hub", core_get_hub, METH_NOARGS, get_hub_doc},
    {"has_hub", core_has_hub, METH_NOARGS, has_hub_doc},
    {"report", core_report, METH_NOARGS, report_doc},
    {"sleep", (PyCFunction)(void (*)(void))core_sleep,
     METH_FASTCALL | METH_KEYWORDS, sleep_doc},
    {"spawn", (PyCFunction)(void (*)(void))core_spawn,
     METH_FASTCALL | METH_KEYWORDS, spawn_doc},
    {"spawn_raw", (PyCFunction)(void (*)(void))core_spawn_raw,
     METH_VARARGS | METH_KEYWORDS, spawn_raw_doc},
    {"settrace", core_settrace, METH_O, settrace_doc},
    {"gettrace", core_gettrace, METH_NOARGS, gettrace_doc},
    {"set_hub_class", core_set_hub_class, METH_O,
     PyDoc_STR("What new hubs are made of: a subclass of Hub.")},
    {"set_greenlet_class", core_set_greenlet_class, METH_O,
     PyDoc_STR("What spawn() makes: a subclass of Greenlet.")},
    {NULL, NULL, 0, NULL},
};

int
celext_arguments(const char *function, const char *const *known,
                 PyObject *const *args, Py_ssize_t nargs, PyObject *names,
                 PyObject **values)
{
    Py_ssize_t count = 0;

    while (known[count] != NULL) {
        count++;
    }
    if (nargs > count) {
        PyErr_Format(PyExc_TypeError,
                     "%s() takes at most %zd arguments (%zd given)", function,
                     count, nargs);
        return -1;
    }
    for (Py_ssize_t i = 0; i < nargs; i++) {
        values[i] = args[i];
    }
    Py_ssize_t nnames = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    for (Py_ssize_t i = 0; i < nnames; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        Py_ssize_t k = 0;
        while (k < count &&
               PyUnicode_CompareWithASCIIString(name, known[k]) != 0) {
            k++;
        }
        if (k == count || values[k] != NULL) {
            PyErr_Format(PyExc_TypeError,
                         k == count
                             ? "%s() got an unexpected keyword argument '%U'"
                             : "%s() got multiple values for argument '%U'",
                         function, name);
            return -1;
        }
        values[k] = args[nargs + i];
    }
    return 0;
}

/* ---- the state */

/* Make an exception class of this module and add it. */
static int
add_exception(PyObject *module, PyObject **slot, const char *name,
              PyObject *base, const char *doc)
{
    *slot = PyErr_NewExceptionWithDoc(name, doc, base, NULL);
    if (*slot == NULL) {
        return -1;
    }
    return PyModule_AddObjectRef(module, strrchr(name, '.') + 1, *slot);
}

static int
add_exceptions(PyObject *module, struct celext_state *state)
{
    PyObject *queue = PyImport_ImportModule("queue");

    if (queue == NULL) {
        return -1;
    }
    state->empty = PyObject_GetAttrString(queue, "Empty");
    state->full = PyObject_GetAttrString(queue, "Full");
    Py_DECREF(queue);
    if (state->empty == NULL || state->full == NULL ||
        add_exception(module, &state->error, "celadon._core.error",
                      PyExc_Exception, "A switch that cannot be made.") < 0 ||
        add_exception(module, &state->greenlet_exit,
                      "celadon._core.GreenletExit", PyExc_BaseException,
                      "Raised in a greenlet to end it; not an error.") < 0 ||
        add_exception(module, &state->loop_exit, "celadon._core.LoopExit",
                      PyExc_Exception,
                      "Nothing is left that could wake the main greenlet.") <
            0 ||
        add_exception(module, &state->blocked_error,
                      "celadon._core.BlockingSwitchOutError",
                      PyExc_AssertionError,
                      "A wait was tried in the hub.") < 0 ||
        add_exception(module, &state->switch_error,
                      "celadon._core.InvalidSwitchError", PyExc_AssertionError,
                      "Somebody switched to a greenlet that waits.") < 0) {
        return -1;
    }
    return 0;
}

/* What the engine has to say: a line on standard error.  Any thread, with or
   without the GIL. */
static void
say(const char *text)
{
    char line[300];
    int n = snprintf(line, sizeof(line), "celadon: %s\n", text);

    if (n > 0 && (size_t)n < sizeof(line)) {
        (void)cel__sys_write(STDERR_FILENO, line, (size_t)n);
    }
}

static int
core_exec(PyObject *module)
{
    static int (*const registers[])(PyObject *, struct celext_state *) = {
        greenlet_register,     hub_register,       task_register,
        timeout_register,      thread_register,    socket_register,
        offload_register,      poll_register,      event_register,
        result_register,       lock_register,      rlock_register,
        semaphore_register,    queue_register,     local_register,
        unswitchable_register, interface_register, capi_register,
    };
    struct celext_state *state = state_of(module);

    /* CPython refuses for us from 3.12 on. */
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError,
                        "celadon does not run in subinterpreters");
        return -1;
    }
    state->list_threads = Py_XNewRef(PySys_GetObject("_current_exceptions"));
    state->str_run = PyUnicode_InternFromString("run");
    state->str_switch = PyUnicode_InternFromString("switch");
    state->str_throw = PyUnicode_InternFromString("throw");
    state->empty_tuple = PyTuple_New(0);
    if (state->str_run == NULL || state->str_switch == NULL ||
        state->str_throw == NULL || state->empty_tuple == NULL ||
        state->list_threads == NULL || add_exceptions(module, state) < 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
        if (registers[i](module, state) < 0) {
            return -1;
        }
    }
    cel_log_to(say);
    return pystate_check();
}

static PyModuleDef_Slot core_slots[] = {
    {Py_mod_exec, core_exec},
    CELEXT_ONE_INTERPRETER CELEXT_NO_GIL{0, NULL},
};

static int
core_traverse(PyObject *module, visitproc visit, void *arg)
{
    /* Every member is a PyObject pointer. */
    PyObject **members = PyModule_GetState(module);
    size_t count = sizeof(struct celext_state) / sizeof(PyObject *);

    for (size_t i = 0; members != NULL && i < count; i++) {
        Py_VISIT(members[i]);
    }
    return 0;
}

/* No clear: hubs and suspended greenlets use the state to the very end. */
struct PyModuleDef celext_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "celadon._core",
    .m_doc = PyDoc_STR("Celadon's engine for Python; see the package."),
    .m_size = sizeof(struct celext_state),
    .m_methods = core_methods,
    .m_slots = core_slots,
    .m_traverse = core_traverse,
};

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&celext_module);
}
