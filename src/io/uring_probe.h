/* SPDX-License-Identifier: MIT */
/*
 * Whether asking for io_uring is survived, and why it is refused.
 *
 * Threads: any.
 */
#ifndef CEL_URING_PROBE_H
#define CEL_URING_PROBE_H

#include <stdbool.h>
#include <stddef.h>

/* Returns false where a seccomp filter kills the process that asks; what else
   may be against it, asking tells. */
bool cel__uring_probe(void);

/*
 * Setting a ring up has failed with `err`.  Returns -ENOSYS where that means
 * that this system will not have it: `*reason` says why; else `err`.
 */
int cel__uring_probe_explain(int err, const char **reason);

/* Write what decides that on this system, for people, as snprintf(3). */
int cel__uring_probe_facts(char *text, size_t size);

#endif
