/* SPDX-License-Identifier: MIT */
/*
 * The system call of an operation on a file.
 *
 * Threads: any.
 */
#ifndef CEL_FILEOP_H
#define CEL_FILEOP_H

#include <stdint.h>

#include "io/backend.h"

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
