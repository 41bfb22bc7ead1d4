/* SPDX-License-Identifier: MIT */
/*
 * The system call of an operation on a file.
 *
 * Threads: any.
 */
#ifndef CEL_FILEOP_H
#define CEL_FILEOP_H

#include <stdbool.h>
#include <stdint.h>

#include "io/backend.h"

/* The offset that stands for where the file itself stands. */
#define CEL__FILEOP_HERE ((int64_t)-1)

/* The most bytes that one call is asked to move (the kernel's MAX_RW_COUNT,
   64 KiB pages). */
#define CEL__FILEOP_MOST ((size_t)0x7fff0000)

/* Whether it is one of enum cel__fileop_code. */
static inline bool
cel__fileop_is(const struct cel__op *op)
{
    return op->code >= CEL__FILEOP_OPEN;
}

/*
 * Make the call of `op`, which may block the thread.  Returns its result, or
 * a negative errno.  It asks for CEL__FILEOP_MOST bytes at most.
 */
int64_t cel__fileop_call(const struct cel__op *op);

/*
 * Make the call of `op`, a READ or WRITE, as far as memory has what it takes
 * (the page cache).  Never blocks.  Returns as cel__fileop_call(); -EAGAIN:
 * the call would block, or can't be made so.
 */
int64_t cel__fileop_try(const struct cel__op *op);

#endif
