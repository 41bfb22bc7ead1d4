/* SPDX-License-Identifier: MIT */
/*
 * What CELADON_FAULT asks for; the rest is base/fault.h.
 *
 * Threads: any.
 */
#ifndef CEL_TEST_FAULT_H
#define CEL_TEST_FAULT_H

#include <stdbool.h>

#include "base/fault.h"

/* The fault that was asked for. */
struct cel__fault {
    char point[32];       /* which calls count; "*": all */
    unsigned long number; /* the one that fails, from 1 */
    int error;            /* with this */
};

/* Read "NAME:N:ERRNAME".  False: it is not, and `error` may be 0. */
bool cel__fault_read(const char *text, struct cel__fault *fault);

/* Whether the fault that was asked for is still to come; hard builds only. */
bool cel__fault_pending(void);

#endif
