/* SPDX-License-Identifier: MIT */
/*
 * Debuggers: a backtrace on a coroutine's stack is whole and ends there.
 *
 * The program runs itself under gdb, if there is one, stops it inside a
 * coroutine while another one is suspended, and reads what gdb says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "coro/switch.h"
#include "tap.h"

enum {
    SIZE = 65536
};

static _Alignas(16) char stacks[2][SIZE];
static void *test; /* the test's own context */

/* Read by gdb. */
void *suspended;

/* Where gdb stops. */
void stop_here(void);

/* What follows a call keeps it from being the function's last act, and so
   the function's frame in the backtrace. */
static void
stay(void)
{
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) void
stop_here(void)
{
    stay();
}

__attribute__((noinline)) static void
park_inner(void)
{
    cel__switch(&suspended, test);
    stay();
}

static void *
park_entry(void *arg)
{
    (void)arg;
    park_inner();
    stay();
    return test;
}

__attribute__((noinline)) static void
run_inner(void)
{
    stop_here();
    stay();
}

static void *
run_entry(void *arg)
{
    (void)arg;
    run_inner();
    return test;
}

TEST(one_coroutine_parks_and_one_runs)
{
    cel__switch(&test,
                cel__switch_prepare(stacks[0] + SIZE, park_entry, NULL));
    CHECK(suspended != NULL);
    cel__switch(&test, cel__switch_prepare(stacks[1] + SIZE, run_entry, NULL));
}

/* What gdb says, between two lines that it was made to print. */
static char said[16384];

static const char command[] =
    "timeout 60 gdb -nx -batch"
    " -ex 'set debuginfod enabled off' -ex 'info address coroutine_start'"
    " -ex 'break stop_here' -ex run"
    " -ex 'echo RUNNING\\n' -ex backtrace"
    /* What the end of cel__switch() would do; see switch_x86_64.S. */
    " -ex 'frame 0' -ex 'set $at = (unsigned long *)suspended'"
    " -ex 'set $rip = $at[6]' -ex 'set $rbp = $at[5]'"
    " -ex 'set $rsp = $at + 7'"
    " -ex 'echo SUSPENDED\\n' -ex backtrace -ex 'echo END\\n' -ex kill"
    " --args %s -n one_coroutine_parks_and_one_runs 2>&1";

static const char *
machine(void)
{
    static struct utsname system;

    CHECK_EQ(uname(&system), 0);
    return system.machine;
}

static void
ask_gdb(void)
{
    char self[256];
    char line[1024];

    if (strcmp(machine(), "x86_64") != 0) {
        SKIP("the commands know the frame of x86-64 only");
    }
    if (CEL__ASAN || CEL__TSAN) {
        SKIP("not under a sanitizer");
    }
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    CHECK_GT(n, 0);
    self[n] = '\0';
    (void)snprintf(line, sizeof(line), command, self);
    FILE *pipe = popen(line, "r"); /* NOLINT(cert-env33-c): our words */
    CHECK(pipe != NULL);
    size_t len = fread(said, 1, sizeof(said) - 1, pipe);
    said[len] = '\0';
    (void)pclose(pipe);
    printf("%s\n", said);
    if (strstr(said, "RUNNING") == NULL || strstr(said, "#0") == NULL) {
        SKIP("no gdb, or it cannot run programs here");
    }
    if (strstr(said, "No symbol \"coroutine_start\"") != NULL) {
        SKIP("the portable switch has no such frames");
    }
}

/* Check that the lines from `title` to `end` are these frames, no more. */
static void
check_frames(const char *title, const char *end, const char *const *frames)
{
    const char *at = strstr(said, title);
    const char *stop = strstr(said, end);
    char number[16];
    int n = 0;

    CHECK(at != NULL);
    CHECK(stop != NULL);
    for (; frames[n] != NULL; n++) {
        (void)snprintf(number, sizeof(number), "#%d ", n);
        at = strstr(at, number);
        CHECK(at != NULL);
        const char *name = strstr(at, frames[n]);
        const char *newline = strchr(at, '\n');
        CHECK(name != NULL);
        CHECK(newline != NULL);
        CHECK(name < newline);
    }
    (void)snprintf(number, sizeof(number), "#%d ", n);
    const char *more = strstr(at, number);
    CHECK(more == NULL || more > stop);
    const char *complaint = strstr(said, "Backtrace stopped");
    CHECK(complaint == NULL);
}

TEST(gdb_shows_a_running_and_a_suspended_coroutine_to_their_first_frame)
{
    static const char *const running[] = {
        "stop_here", "run_inner", "run_entry", "coroutine_start", NULL};
    static const char *const parked[] = {"park_inner", "park_entry",
                                         "coroutine_start", NULL};

    ask_gdb();
    check_frames("RUNNING\n", "SUSPENDED\n", running);
    check_frames("SUSPENDED\n", "END\n", parked);
}
