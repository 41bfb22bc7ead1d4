/* SPDX-License-Identifier: MIT */
/*
 * CPython 3.14.  See pystate_since_314.h.
 *
 * PyUnstable_ThreadState_SetStackProtection is of 3.14.1 (gh-139653).
 */
#ifndef CELEXT_PYSTATE_314_H
#define CELEXT_PYSTATE_314_H

#if PY_VERSION_HEX < 0x030E0100
#error "celadon needs CPython 3.14.1 or newer: 3.14.0 has no stack protection"
#endif

/* Among the debug offsets, see pystate.c. */
#define PYSTATE_OF_INTERP 16
#define PYSTATE_CHUNK_AT  7
#define PYSTATE_FRAME_AT  9

static inline struct _PyInterpreterFrame *
pystate_own_bottom(PyThreadState *ts)
{
    (void)ts;
    return NULL;
}

static inline void
pystate_own_switched(PyThreadState *ts)
{
    (void)ts;
}

static inline void
pystate_own_instrument(PyThreadState *ts)
{
    (void)ts; /* the next RESUME or jump back does it */
}

#include "ext/pystate_since_314.h"

#endif
