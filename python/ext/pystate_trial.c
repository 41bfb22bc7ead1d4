/* SPDX-License-Identifier: MIT */
/*
 * A trial of switching, when the extension is imported.
 *
 * A function of Python is called twice, here and on a stack of its own, and
 * both switch to each other from inside of all that is switched: frames, a
 * handled exception, a generator, a context variable.  An interpreter that
 * keeps them elsewhere mixes them up here, before anything depends on it.
 *
 * Threads: with the GIL.
 */
#include "ext/pystate.h"

#include "base/sanitize.h"
#include "base/sys_memory.h"
#include "coro/switch.h"
#include "ext/compat.h"

#define STACK_BYTES ((size_t)256 * 1024)

/* More switches than these the probe does not make. */
#define ENOUGH 100

static const char source[] =
    "def probe(name, var, cross):\n"
    "    def deep(n):\n"
    "        return deep(n - 1) if n else cross()\n"
    "    def numbers():\n"
    "        for n in 1, 2:\n"
    "            cross()\n"
    "            yield n\n"
    "    token = var.set(name)\n"
    "    total = 0\n"
    "    try:\n"
    "        raise KeyError(name)\n"
    "    except KeyError as error:\n"
    "        for n in numbers():\n"
    "            deep(20)\n"
    "            total += n\n"
    "        try:\n"
    "            raise\n"
    "        except KeyError as again:\n"
    "            same = again is error\n"
    "    mine = var.get()\n"
    "    var.reset(token)\n"
    "    return same and total == 3 and mine == name\n";

enum {
    HERE,
    THERE
};

struct party {
    void *sp; /* while the other one runs */
    struct pystate ps;
    struct cel__stack stack; /* low == NULL: the thread's own */
    struct cel__sanitize sanitize;
    bool passed;
};

struct trial {
    PyThreadState *ts;
    PyObject *probe; /* borrowed, as all here */
    PyObject *var;
    PyObject *cross;
    struct party parties[2];
    int running; /* whose turn it is */
    bool over;   /* the one there has ended */
};

/* ---- on both stacks */

static void
switch_over(struct trial *trial)
{
    struct party *from = &trial->parties[trial->running];
    struct party *to = &trial->parties[!trial->running];

    pystate_save(trial->ts, &from->ps);
    trial->running = !trial->running;
    cel__sanitize_leave(&from->sanitize, &to->sanitize, 0);
    cel__switch(&from->sp, to->sp);
    cel__sanitize_enter(&from->sanitize, &to->sanitize);
    pystate_load(trial->ts, &from->ps, &from->stack);
}

/* What the probe calls. */
static PyObject *
cross(PyObject *capsule, PyObject *unused)
{
    struct trial *trial = PyCapsule_GetPointer(capsule, NULL);

    (void)unused;
    if (trial == NULL) {
        return NULL;
    }
    if (!trial->over) {
        switch_over(trial);
    }
    Py_RETURN_NONE;
}

/* Call the probe; an error is no pass. */
static bool
passes(struct trial *trial, const char *name)
{
    PyObject *result = PyObject_CallFunction(trial->probe, "sOO", name,
                                             trial->var, trial->cross);
    bool passed = result == Py_True;

    PyErr_Clear();
    Py_XDECREF(result);
    return passed;
}

/* ---- there */

static void *
begin(void *arg)
{
    struct trial *trial = arg;
    struct party *me = &trial->parties[THERE];
    struct party *other = &trial->parties[HERE];

    cel__sanitize_enter(&me->sanitize, &other->sanitize);
    pystate_begin(trial->ts, &me->ps, &me->stack, NULL);
    me->passed = passes(trial, "there");
    PyObject *context = trial->ts->context;
    trial->ts->context = NULL;
    Py_XDECREF(context);
    trial->over = true;
    pystate_end(trial->ts, &me->ps);
    trial->running = HERE;
    cel__sanitize_leave(&me->sanitize, &other->sanitize, 1);
    return other->sp;
}

/* ---- here */

static bool
run(struct trial *trial)
{
    struct party *there = &trial->parties[THERE];
    size_t len = STACK_BYTES + PYSTATE_TAIL;
    void *memory = NULL;

    if (cel__sys_mmap(&memory, len, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                      0) < 0) {
        PyErr_NoMemory();
        return false;
    }
    there->stack = (struct cel__stack){
        .low = memory,
        .top = (char *)memory + STACK_BYTES,
        .end = (char *)memory + len,
    };
    there->sp = cel__switch_prepare(there->stack.top, begin, trial);
    cel__sanitize_root(&trial->parties[HERE].sanitize);
    cel__sanitize_stack(&there->sanitize, there->stack.low, there->stack.top);
    bool passed = passes(trial, "here");
    for (int i = 0; i < ENOUGH && !trial->over; i++) {
        switch_over(trial);
    }
    if (!trial->over) {
        return false; /* somebody stands there still: the memory stays */
    }
    cel__sanitize_fini(&there->sanitize);
    (void)cel__sys_munmap(memory, len);
    return passed && there->passed;
}

/* The function of the source, new, or NULL with an exception. */
static PyObject *
compile_probe(void)
{
    PyObject *probe = NULL;
    PyObject *names = PyDict_New();

    if (names == NULL || PyDict_SetItemString(names, "__builtins__",
                                              PyEval_GetBuiltins()) < 0) {
        Py_XDECREF(names);
        return NULL;
    }
    PyObject *code = Py_CompileString(source, "<celadon>", Py_file_input);
    PyObject *none = code == NULL ? NULL : PyEval_EvalCode(code, names, names);
    if (none != NULL) {
        probe = Py_XNewRef(PyDict_GetItemString(names, "probe"));
    }
    PyDict_Clear(names); /* the function refers to it */
    Py_XDECREF(none);
    Py_XDECREF(code);
    Py_DECREF(names);
    return probe;
}

bool
pystate_trial(void)
{
    static PyMethodDef method = {"cross", cross, METH_NOARGS, NULL};
    struct trial trial = {.ts = PyThreadState_Get()};
    PyObject *capsule = PyCapsule_New(&trial, NULL, NULL);
    bool passed = false;

    trial.probe = compile_probe();
    trial.var = PyContextVar_New("celadon", NULL);
    trial.cross = capsule == NULL ? NULL : PyCFunction_New(&method, capsule);
    if (trial.probe != NULL && trial.var != NULL && trial.cross != NULL) {
        passed = run(&trial);
    }
    Py_XDECREF(trial.cross);
    Py_XDECREF(trial.var);
    Py_XDECREF(trial.probe);
    Py_XDECREF(capsule);
    return passed;
}
