/* SPDX-License-Identifier: MIT */
/*
 * Which errors the public calls of a test have returned.  The calls themselves
 * are macros in record_calls.h, which scripts/errors.py makes.
 *
 * Threads: any.
 */
#ifndef CEL_TEST_RECORD_H
#define CEL_TEST_RECORD_H

#include <stddef.h>
#include <stdint.h>

/* Errors have smaller numbers. */
#define RECORD_ERRORS 256

/* The call of that number has returned that. */
void record_note(size_t call, intmax_t result);

/* The result of a call, noted. */
#define RECORD(number, made)                                                  \
    __extension__({                                                           \
        __auto_type result_##number = (made);                                 \
        record_note(number, result_##number);                                 \
        result_##number;                                                      \
    })

#endif
