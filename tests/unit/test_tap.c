/* SPDX-License-Identifier: MIT */
/*
 * The harness: what passes, and that what fails is seen to fail.
 *
 * Tests that fail on purpose are only there when CELADON_TAP_SELF is set:
 * this program is called again with it, and what it prints is read.
 */
#include "tap.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Run the test `name` of this program; its exit status, and its output. */
static int
run_again(const char *name, const char *slow, char *text, size_t size)
{
    char self[256];
    char command[512];

    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    CHECK_GT(n, 0);
    self[n] = '\0';
    (void)snprintf(command, sizeof(command),
                   "CELADON_TAP_SELF=1 CELADON_TEST_SLOW=%s '%s' %s 2>&1",
                   slow, self, name);
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
