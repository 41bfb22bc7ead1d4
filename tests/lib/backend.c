/* SPDX-License-Identifier: MIT */
/*
 * Skips a whole program where the backend that CELADON_BACKEND names can't be
 * had here: io_uring may be forbidden, and valgrind does not see what it
 * writes.
 *
 * Threads: before main().
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/loop.h"
#include "tap.h"

static void
skip(const char *why)
{
    printf("1..0 # SKIP %s\n", why);
    exit(77);
}

__attribute__((constructor)) static void
need_backend(void)
{
    const char *name = getenv("CELADON_BACKEND");
    struct cel__loop loop;

    if (name == NULL || strcmp(name, "uring") != 0) {
        return;
    }
    if (tap_valgrind()) {
        skip("valgrind does not know what io_uring writes");
    }
    int err = cel__loop_open(&loop, NULL);
    if (err == -ENOSYS) {
        skip(loop.reason);
    }
    if (err == 0) {
        cel__loop_close(&loop);
    }
}
