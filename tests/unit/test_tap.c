/* SPDX-License-Identifier: MIT */
/*
 * The harness: what passes, and that what fails is seen to fail.
 *
 * Tests that fail on purpose are only there when CELADON_TAP_SELF is set:
 * this program is called again with it, and what it prints is read.
 */
#include "tap.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    TOLD = 9 /* where a test that leaves something says what */
};

/* This program; not /proc/self/exe, which under valgrind is valgrind. */
static const char *
self(void)
{
    static char path[256];

    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    CHECK_GT(n, 0);
    path[n] = '\0';
    return path;
}

/* Run the test `name` of this program; its exit status, and its output. */
static int
run_again(const char *name, const char *slow, char *text, size_t size)
{
    char command[512];

    (void)snprintf(command, sizeof(command),
                   "CELADON_TAP_SELF=1 CELADON_TEST_SLOW=%s '%s' %s 2>&1",
                   slow, self(), name);
    /* NOLINTNEXTLINE(cert-env33-c): the command is our own. */
    FILE *pipe = popen(command, "r");
    CHECK(pipe != NULL);
    size_t len = fread(text, 1, size - 1, pipe);
    text[len] = '\0';
    int status = pclose(pipe);
    return WEXITSTATUS(status);
}

TEST(checks_that_hold_pass)
{
    CHECK(1 + 1 == 2);
    CHECK_EQ(sizeof(char), 1);
    CHECK_NE(-1, 1);
    CHECK_LT(-1, 0);
    CHECK_GE(0, 0);
    CHECK_STR("a", "a");
    CHECK_STR(NULL, NULL);
    CHECK_PTR(NULL, NULL);
    CHECK_MEM("abc", "abd", 2);
}

static void
fails_by_a_check(void)
{
    puts("said before");
    CHECK_EQ(20 + 1, 22);
}

static void
fails_by_a_signal(void)
{
    raise(SIGTERM);
}

static void
fails_by_its_time(void)
{
    pause();
}

/* A file, and a process that nobody waits for, which holds TOLD open. */
static void
leaves_much(void)
{
    const char *path = tap_save("file", "text");

    if (fork() == 0) {
        for (;;) {
            pause();
        }
    }
    CHECK_EQ(write(TOLD, path, strlen(path) + 1), strlen(path) + 1);
    if (getenv("CELADON_TAP_HANGS") != NULL) {
        pause();
    }
}

static void
skips(void)
{
    SKIP("to see it done");
}

__attribute__((constructor)) static void
add_when_asked(void)
{
    static struct tap__test tests[] = {
        {"fails_by_a_check", fails_by_a_check, NULL},
        {"fails_by_a_signal", fails_by_a_signal, NULL},
        {"fails_by_its_time", fails_by_its_time, NULL},
        {"leaves_much", leaves_much, NULL},
        {"skips", skips, NULL},
    };

    if (getenv("CELADON_TAP_SELF") != NULL) {
        for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
            tap__add(&tests[i]);
        }
    }
}

TEST(a_failing_check_is_shown_with_both_sides)
{
    char text[2048];

    CHECK_EQ(run_again("fails_by_a_check", "1", text, sizeof(text)), 1);
    CHECK(strstr(text, "not ok 1 - fails_by_a_check") != NULL);
    CHECK(strstr(text, "# said before\n") != NULL);
    CHECK(strstr(text, "20 + 1 == 22 does not hold: 21, 22") != NULL);
    CHECK(strstr(text, "\n0 passed, 1 failed, 0 skipped\n") != NULL);
}

TEST(a_test_killed_by_a_signal_fails)
{
    char text[2048];

    CHECK_EQ(run_again("fails_by_a_signal", "1", text, sizeof(text)), 1);
    CHECK(strstr(text, "killed by signal 15") != NULL);
}

TEST(a_test_that_hangs_is_killed)
{
    char text[2048];

    CHECK_EQ(run_again("fails_by_its_time", "0.02", text, sizeof(text)), 1);
    CHECK(strstr(text, "not done after") != NULL);
}

TEST(only_skipped_tests_exit_77)
{
    char text[2048];

    CHECK_EQ(run_again("skips", "1", text, sizeof(text)), 77);
    CHECK(strstr(text, "ok 1 - skips # SKIP to see it done\n") != NULL);
}

/* Run leaves_much() of this program; the harness, killed at once if `killed`,
   and all that it started must end, or this does not.  False where the test
   was out of time before it could leave anything. */
static bool
nothing_left(const char *slow, bool hangs, bool killed)
{
    char path[64] = "";
    size_t len = 0;
    int told[2];

    CHECK_EQ(pipe(told), 0);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        CHECK_EQ(setenv("CELADON_TAP_SELF", "1", 1), 0);
        CHECK_EQ(setenv("CELADON_TEST_SLOW", slow, 1), 0);
        CHECK(!hangs || setenv("CELADON_TAP_HANGS", "1", 1) == 0);
        CHECK_EQ(dup2(told[1], TOLD), TOLD);
        (void)close(told[0]);
        (void)close(told[1]);
        execl(self(), "test_tap", "leaves_much", (char *)NULL);
        _exit(127);
    }
    (void)close(told[1]);
    while (read(told[0], path + len, 1) == 1 && path[len] != '\0') {
        CHECK_LT(++len, sizeof(path) - 1);
    }
    if (killed) {
        CHECK_EQ(kill(child, SIGKILL), 0);
    }
    CHECK_EQ(read(told[0], path + len, 1), 0); /* nobody holds it */
    CHECK_EQ(waitpid(child, NULL, 0), child);
    if (len == 0) {
        return false;
    }
    *strrchr(path, '/') = '\0';
    CHECK_EQ(access(path, F_OK), -1);
    CHECK_EQ(errno, ENOENT);
    return true;
}

TEST(of_a_test_that_passes_nothing_is_left)
{
    CHECK(nothing_left("1", false, false));
}

TEST(of_a_test_that_hangs_nothing_is_left)
{
    CHECK(nothing_left("0.02", true, false) ||
          nothing_left("0.5", true, false)); /* a slow machine */
}

TEST(of_a_harness_that_is_killed_nothing_is_left)
{
    CHECK(nothing_left("1", true, true));
}
