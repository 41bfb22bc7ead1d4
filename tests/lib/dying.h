/* SPDX-License-Identifier: MIT */
/*
 * What is to die, in a child.
 *
 * Threads: one.
 */
#ifndef CEL_TEST_DYING_H
#define CEL_TEST_DYING_H

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

/* The status of a child that calls fn(), and in `text` what it wrote to
   stderr.  It leaves no core, and SIGABRT is as at the start of a program. */
static inline int
in_child(void (*fn)(void), char *text, size_t size)
{
    static const struct rlimit none = {0, 0};
    int fds[2];
    int status;
    size_t len = 0;
    ssize_t n;

    CHECK_EQ(pipe(fds), 0);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        (void)dup2(fds[1], STDERR_FILENO);
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGABRT, SIG_DFL);
        (void)close(fds[0]);
        (void)close(fds[1]);
        fn();
        _exit(0);
    }
    (void)close(fds[1]);
    while ((n = read(fds[0], text + len, size - 1 - len)) > 0) {
        len += (size_t)n;
    }
    text[len] = '\0';
    (void)close(fds[0]);
    CHECK_EQ(waitpid(child, &status, 0), child);
    return status;
}

#endif
