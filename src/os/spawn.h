/* SPDX-License-Identifier: MIT */
/*
 * A child process from its birth to its exec.
 *
 * Threads: any.
 */
#ifndef CEL_SPAWN_H
#define CEL_SPAWN_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

/* What the child is to become.  The caller fills in all above `err`. */
struct cel__spawn {
    const char *const *argv;
    const char *const *env;
    const char *cwd; /* NULL: ours */
    int stdio[3];    /* our descriptors that become its 0, 1 and 2; -1:
                            it is closed there */
    const int *keep; /* more descriptors that it has, as they are here */
    size_t nkeep;
    unsigned flags;      /* CEL_PROCESS_GROUP, CEL_PROCESS_SESSION */
    int err;             /* why there was no exec: a negative errno (child) */
    char file[PATH_MAX]; /* what is tried now (child) */
};

/* Whether this system has what is needed: 0 or -ENOSYS. */
int cel__spawn_possible(void);

/*
 * Start it.  The thread waits until the exec has succeeded or failed, for
 * some tenths of a millisecond.  All descriptors but those asked for are
 * closed in the child, all signals have their default action and none is
 * blocked.
 *
 * Returns its number, and in `*pidfd` its descriptor, close-on-exec; or a
 * negative errno, of whichever step failed, and nothing is left of it.
 */
int cel__spawn(struct cel__spawn *spawn, int *pidfd);

#endif
