/* SPDX-License-Identifier: MIT */
/* The last word, and when an assertion has one. */
#include "base/check.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

/* Run `fn` in a child; what it wrote to stderr, and its wait status. */
static int
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
