/* SPDX-License-Identifier: MIT */
/*
 * Whether asking for io_uring is survived.
 *
 * Threads: any.
 */
#ifndef CEL_URING_PROBE_H
#define CEL_URING_PROBE_H

#include <stdbool.h>

/* Returns false where a seccomp filter kills the process that asks; what else
   may be against it, asking tells. */
bool cel__uring_probe(void);

#endif
