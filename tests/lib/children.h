/* SPDX-License-Identifier: MIT */
/*
 * Child processes for tests, and what must not be left of them.
 *
 * Threads: a run's.
 */
#ifndef CEL_TEST_CHILDREN_H
#define CEL_TEST_CHILDREN_H

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "celadon/net.h"
#include "celadon/process.h"
#include "coros.h"
#include "pidfds.h"

#define LIMIT 1000000 /* bytes of output; more than pipes hold */

/* How many descriptors are open. */
static inline int
ndescriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    CHECK(dir != NULL);
    while (readdir(dir) != NULL) {
        n++;
    }
    (void)closedir(dir);
    return n;
}

/* Whether no child, alive or dead, is left. */
static inline bool
no_children(void)
{
    siginfo_t info;

    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1;
}

static inline cel_process *
spawn(const char *const argv[], const cel_process_options *options)
{
    cel_process *process = NULL;

    CHECK_EQ(cel_process_spawn(&process, argv, options), 0);
    return process;
}

static inline cel_process *
shell(const char *script, const cel_process_options *options)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};

    return spawn(argv, options);
}

static inline int
status_of(cel_process *process)
{
    int status = -1;

    CHECK_EQ(cel_process_wait(process, &status, CEL_FOREVER), 0);
    return status;
}

/* With all three streams pipes. */
static inline cel_process_options
piped(void)
{
    cel_process_options options;

    cel_process_options_init(&options);
    for (int i = 0; i < 3; i++) {
        options.stdio[i] = CEL_STDIO_PIPE;
    }
    return options;
}

/* What `script` writes, started as `options` say; it must succeed. */
static inline char *
output_of(const char *script, const cel_process_options *options)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    const cel_process_input input = {.limit = LIMIT};
    cel_process_output output;

    CHECK_EQ(cel_process_run(argv, options, &input, &output, CEL_FOREVER), 0);
    CHECK_EQ(output.status, 0);
    free(output.err);
    return output.out;
}

static inline void
expect(const char *script, const cel_process_options *options,
       const char *text)
{
    char *out = output_of(script, options);

    CHECK_STR(out, text);
    free(out);
}

/* Read `text`, in as many pieces as it comes. */
static inline void
expect_bytes(int fd, const char *text)
{
    char bytes[64];
    size_t len = 0;

    while (len < strlen(text)) {
        ssize_t n = cel_read(fd, bytes + len, strlen(text) - len, CEL_FOREVER);
        CHECK_GT(n, 0);
        len += (size_t)n;
    }
    CHECK_MEM(bytes, text, len);
}

#endif
