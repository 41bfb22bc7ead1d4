/* SPDX-License-Identifier: MIT */
/*
 * The import-time check that the thread state is laid out as we know it.
 *
 * A greenlet is run through everything that is switched: frames, a handled
 * exception, a context variable and recursion.  An interpreter with another
 * layout would crash or mix them up here, before anything depends on it.
 *
 * Threads: with the GIL.
 */
#include "ext/pystate.h"

#include "ext/greenlet.h"

/* The minor version that is running, not the one compiled against. */
static bool
same_version(void)
{
    return (Py_Version >> 16) == (PY_VERSION_HEX >> 16);
}

/* Fields whose place an appended or removed one would shift. */
static bool
plausible(PyThreadState *ts)
{
    char *chunk = (char *)ts->datastack_chunk;
    char *top = (char *)ts->datastack_top;
    char *limit = (char *)ts->datastack_limit;

    return ts->interp == PyInterpreterState_Get() && ts->exc_info != NULL &&
           chunk <= top && top <= limit &&
           (chunk == NULL ||
            (size_t)(limit - chunk) == ts->datastack_chunk->size);
}

int
pystate_check(PyObject *module)
{
    (void)module;
    if (same_version() && plausible(PyThreadState_Get())) {
        return 0;
    }
    PyErr_Format(PyExc_ImportError,
                 "this celadon was built for CPython %d.%d and does not know "
                 "the interpreter it runs on (%s); install a celadon built "
                 "for it",
                 PY_MAJOR_VERSION, PY_MINOR_VERSION, Py_GetVersion());
    return -1;
}
