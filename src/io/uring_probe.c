/* SPDX-License-Identifier: MIT */
/*
 * Asking for io_uring in a child, where a seccomp filter may kill who does.
 *
 * Most filters fail the call, but some (systemd's SystemCallFilter=, Android)
 * end the process.  So a process under a filter lets a child ask first, which
 * shares its memory and costs little.  It sends no SIGCHLD and runs no fork
 * handlers: nobody hears of it.
 *
 * Threads: any; at worst two ask at once.
 *
 * Tests: unit/test_uring.c
 */
#include "io/uring_probe.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/sys_uring.h"

/* For two system calls and their signal frames. */
#define STACK_SIZE 16384

enum verdict {
    UNKNOWN,
    SURVIVED,
    KILLED
};

static int
ask(void *arg)
{
    (void)arg;
    /* With no parameters it fails wherever it is allowed. */
    (void)syscall(SYS_io_uring_setup, 1, NULL);
    _exit(0);
}

/* Let a child ask.  Returns whether it survived; where there can be no child
   nothing is known, and it is taken for killed. */
static bool
survives(void)
{
    int status = -1;
    char *stack = cel__alloc_aligned(64, STACK_SIZE);

    if (stack == NULL) {
        return false;
    }
    pid_t child = clone(ask, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK, NULL);
    if (child > 0) {
        while (waitpid(child, &status, (int)__WCLONE) == -1 &&
               errno == EINTR) {}
    }
    free(stack);
    return child > 0 && WIFEXITED(status);
}

bool
cel__uring_probe(void)
{
    static atomic_int verdict;
    /* Relaxed: the answer is the same for all who ask. */
    int known = atomic_load_explicit(&verdict, memory_order_relaxed);

    if (known == UNKNOWN) {
        /* 2: under a filter (SECCOMP_MODE_FILTER). */
        bool filtered = prctl(PR_GET_SECCOMP, 0UL, 0UL, 0UL, 0UL) == 2;
        known = !filtered || survives() ? SURVIVED : KILLED;
        atomic_store_explicit(&verdict, known, memory_order_relaxed);
    }
    return known == SURVIVED;
}
