/* SPDX-License-Identifier: MIT */
/*
 * The count of forks, kept by a handler that fork() runs in the child.
 *
 * Handlers are registered when somebody first needs them, so that loading the
 * library changes nothing.
 *
 * Threads: any.
 *
 * Tests: unit/test_fork.c
 */
#include "base/fork.h"

#include <pthread.h>

#include "base/check.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Written in a child before fork() returns there, when it has one thread. */
static volatile unsigned count;

static void
in_child(void)
{
    count = count + 1;
}

void
cel__fork_handle(void (*before)(void), void (*parent)(void),
                 void (*child)(void))
{
    /* It fails only when a few bytes cannot be had, before anything has
       begun; going on would share a backend with the parent unseen. */
    if (pthread_atfork(before, parent, child) != 0) {
        cel__panic("no memory to watch for fork()");
    }
}

static void
watch(void)
{
    cel__fork_handle(NULL, NULL, in_child);
}

unsigned
cel__fork_count(void)
{
    (void)pthread_once(&once, watch);
    return count;
}
