/* SPDX-License-Identifier: MIT */
/*
 * Whether the thread state is laid out as it was where this was compiled.
 *
 * CPython appends fields to it within a minor version, which is harmless, and
 * rearranges it between them; vendors change both.  From 3.13 on the running
 * interpreter says in its debug offsets where the fields are; before, only
 * their values can be looked at.  What passes is then tried (pystate_trial.c).
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_layout.py
 */
#include "ext/pystate.h"

#include <stddef.h>
#include <string.h>

#include "ext/frames.h"

/* What this was compiled for.  Volatile, so that it is read at run time: the
   test changes it in a copy of the extension, which must then be refused. */
struct layout {
    char mark[16]; /* by which the test finds it */
    uint64_t version;
    uint64_t interp; /* offsets in the thread state */
    uint64_t frame;
    uint64_t chunk;
    uint64_t size; /* the least that it may have */
};

#if PY_VERSION_HEX >= 0x030D0000
#define FRAME_AT offsetof(PyThreadState, current_frame)
#else
#define FRAME_AT offsetof(PyThreadState, cframe)
#endif

static const volatile struct layout compiled = {
    .mark = "celadon layout:",
    .version = PY_VERSION_HEX >> 16,
    .interp = offsetof(PyThreadState, interp),
    .frame = FRAME_AT,
    .chunk = offsetof(PyThreadState, datastack_chunk),
    .size = offsetof(PyThreadState, context_ver) + sizeof(uint64_t),
};

#if PY_VERSION_HEX >= 0x030D0000

/* The start of the debug offsets: _Py_DebugOffsets in pycore_runtime.h, from
   3.14 on in pycore_debug_offsets.h.  It is there for debuggers, hence stable
   within a minor version. */
struct debug_offsets {
    char cookie[8];
    uint64_t version;
    uint64_t free_threaded;
    uint64_t of_runtime[3];
    uint64_t of_interp[PYSTATE_OF_INTERP];
    /* The thread state's: its size and the offsets of prev, next, interp,
       current_frame and others, which differ; then a frame's. */
    uint64_t of_thread[PYSTATE_FRAME_AT];
    uint64_t of_frame[7];
};

/* Weak: an interpreter may be linked so that it is out of reach. */
extern const struct debug_offsets _PyRuntime
    __attribute__((weak, visibility("default")));

/* What does not fit, for people; NULL: all does. */
static const char *
misfit(void)
{
    const struct debug_offsets *running = &_PyRuntime;

    if (running == NULL) {
        return NULL;
    }
    if (memcmp(running->cookie, "xdebugpy", 8) != 0 ||
        running->version >> 16 != compiled.version) {
        return "it does not say how it is laid out";
    }
    const uint64_t *thread = running->of_thread;
    if (thread[0] < compiled.size || thread[3] != compiled.interp ||
        thread[4] != compiled.frame ||
        thread[PYSTATE_CHUNK_AT] != compiled.chunk) {
        return "the fields of its thread state are elsewhere";
    }
    if (!frames_known(running->of_frame)) {
        return "its frames look different";
    }
    return NULL;
}

#else

/* Whether the fields hold what they should, were they where we look. */
static bool
plausible(PyThreadState *ts)
{
    char *chunk = (char *)ts->datastack_chunk;
    char *top = (char *)ts->datastack_top;
    char *limit = (char *)ts->datastack_limit;

    return ts->interp == PyInterpreterState_Get() && ts->exc_info != NULL &&
           ts->cframe != NULL && chunk <= top && top <= limit &&
           (chunk == NULL ||
            (size_t)(limit - chunk) == ts->datastack_chunk->size);
}

static const char *
misfit(void)
{
    if (compiled.interp == offsetof(PyThreadState, interp) &&
        plausible(PyThreadState_Get())) {
        return NULL;
    }
    return "the fields of its thread state are elsewhere";
}

#endif

int
pystate_check(void)
{
    const char *why = (Py_Version >> 16) != compiled.version
                          ? "it is another version"
                          : misfit();

    if (why == NULL && pystate_trial()) {
        return 0;
    }
    if (PyErr_Occurred()) {
        return -1;
    }
    PyErr_Format(PyExc_ImportError,
                 "this celadon was built for CPython %d.%d and does not know "
                 "the interpreter it runs on (%s): %s. Build it for this one: "
                 "pip install --force-reinstall --no-cache-dir "
                 "--no-binary celadon celadon",
                 (int)(compiled.version >> 8), (int)(compiled.version & 0xff),
                 Py_GetVersion(),
                 why != NULL ? why : "a trial of switching failed");
    return -1;
}
