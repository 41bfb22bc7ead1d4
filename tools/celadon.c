/* SPDX-License-Identifier: MIT */
/*
 * The command `celadon`: what the library is and has chosen here, and what the
 * coroutines of a running process do.
 *
 *     celadon info
 *     celadon dump PID
 *
 * A process that was started with CELADON_DUMP=1 is asked by a signal, and
 * prints the dump to its own standard error; of any other gdb reads it, which
 * takes the right to trace it, and stops it for a moment.
 *
 * Tests: tests/unit/test_command.c, tests/fuzz/fuzz_proc.c
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "celadon/info.h"

/* Where the script for gdb is installed; CELADON_GDB names another. */
static const char script[] = CEL__GDB_SCRIPT;

static int
complain(const char *what, const char *why)
{
    (void)fprintf(stderr, "celadon: %s: %s\n", what, why);
    return 1;
}

static int
info(void)
{
    static char text[4096];

    (void)cel_info_report(text, sizeof(text));
    return fputs(text, stdout) < 0 ? 1 : 0;
}

/* Read /proc/PID/NAME into `text`, as a string.  Returns its length, or -1. */
static ssize_t
read_proc(long pid, const char *name, char *text, size_t size)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%ld/%s", pid, name);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return -1;
    }
    size_t n = fread(text, 1, size - 1, file);
    (void)fclose(file);
    text[n] = '\0';
    return (ssize_t)n;
}

/* Whether CELADON_DUMP=1 is among the strings that fill `n` bytes; a 0 byte
   follows. */
static bool
has_setting(const char *text, ssize_t n)
{
    for (const char *at = text; at < text + n; at += strlen(at) + 1) {
        if (strcmp(at, "CELADON_DUMP=1") == 0) {
            return true;
        }
    }
    return false;
}

/* Whether SIGQUIT is handled, by what the kernel says of the process. */
static bool
handles_signal(const char *status)
{
    const char *mask = strstr(status, "\nSigCgt:");

    return mask != NULL &&
           (strtoull(mask + strlen("\nSigCgt:"), NULL, 16) >> (SIGQUIT - 1) &
            1) != 0;
}

/* Whether it had CELADON_DUMP=1 at its start, and does as that says. */
static bool
dumps_itself(long pid)
{
    static char text[1 << 17];

    return has_setting(text, read_proc(pid, "environ", text, sizeof(text))) &&
           read_proc(pid, "status", text, sizeof(text)) >= 0 &&
           handles_signal(text);
}

static int
dump_by_gdb(const char *pid)
{
    const char *other = getenv("CELADON_GDB");
    const char *const arguments[] = {"gdb",
                                     "-nx",
                                     "-batch",
                                     "-iex",
                                     "set debuginfod enabled off",
                                     "-p",
                                     pid,
                                     "-x",
                                     other != NULL ? other : script,
                                     "-ex",
                                     "celadon dump",
                                     NULL};

    (void)execvp(arguments[0], (char *const *)(uintptr_t)arguments);
    return complain("gdb can't be run, and the process was not started with "
                    "CELADON_DUMP=1",
                    strerror(errno));
}

static int
dump(const char *number)
{
    char *end;
    long pid = strtol(number, &end, 10);

    if (pid <= 0 || pid > INT_MAX || *end != '\0') {
        return complain(number, "no number of a process");
    }
    if (kill((pid_t)pid, 0) < 0) {
        return complain(number, strerror(errno));
    }
    if (!dumps_itself(pid)) {
        return dump_by_gdb(number);
    }
    if (kill((pid_t)pid, SIGQUIT) < 0) {
        return complain(number, strerror(errno));
    }
    (void)fprintf(stderr,
                  "celadon: process %ld prints it to its standard "
                  "error, /proc/%ld/fd/2\n",
                  pid, pid);
    return 0;
}

int
main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "info") == 0) {
        return info();
    }
    if (argc == 3 && strcmp(argv[1], "dump") == 0) {
        return dump(argv[2]);
    }
    (void)fputs("usage: celadon info\n"
                "       celadon dump PID\n",
                stderr);
    return 2;
}
