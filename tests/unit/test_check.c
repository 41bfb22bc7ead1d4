/* SPDX-License-Identifier: MIT */
/* The last word, and when an assertion has one. */
#include "base/check.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dying.h"

static void
panic(void)
{
    cel__panic("lost %d of %s", 3, "them");
}

TEST(a_panic_says_a_line_and_aborts)
{
    char text[1024];
    int status = in_child(panic, text, sizeof(text));

    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGABRT);
    CHECK(strstr(text, "celadon: lost 3 of them\n") == text);
}

static void
panic_at_length(void)
{
    cel__panic("%2000d", 1);
}

TEST(a_long_panic_is_cut_but_ends_its_line)
{
    char text[4096];

    (void)in_child(panic_at_length, text, sizeof(text));
    char *newline = strchr(text, '\n');
    CHECK(newline != NULL);
    CHECK_LE(newline - text, 512);
}

static void
assert_what_is_false(void)
{
    cel__assert(1 + 1 == 3);
}

TEST(assertions_are_for_hard_builds)
{
    char text[1024];
    int status = in_child(assert_what_is_false, text, sizeof(text));

    if (CEL__HARD) {
        CHECK(WIFSIGNALED(status));
        CHECK(strstr(text, "1 + 1 == 3") != NULL);
    }
    else {
        CHECK_EQ(status, 0);
    }
}
