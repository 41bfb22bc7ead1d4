/* SPDX-License-Identifier: MIT */
/*
 * What happened, in order: one letter each.
 *
 * Threads: one.
 */
#ifndef CEL_TEST_TRACE_H
#define CEL_TEST_TRACE_H

#include <string.h>

#include "base/fault.h"
#include "tap.h"

static char trace[64];

static inline void
note(char what)
{
    size_t len = strlen(trace);

    CHECK_LT(len, sizeof(trace) - 1);
    trace[len] = what;
}

static inline void
needs_order(void)
{
    if (CEL__HARD) {
        SKIP("a hard build shuffles the run queue");
    }
}

#endif
