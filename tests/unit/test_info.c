/* SPDX-License-Identifier: MIT */
/*
 * The report of what was chosen.
 */
#include "celadon/info.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "celadon/run.h"
#include "tap.h"

static char report[4096];

/* The report has the line `line`. */
static void
check_line(const char *line)
{
    char wanted[256];

    CHECK_LT(cel_info_report(report, sizeof(report)), sizeof(report));
    (void)snprintf(wanted, sizeof(wanted), "\n%s\n", line);
    if (strstr(report, wanted) == NULL) {
        printf("%s", report);
        CHECK_STR("", line);
    }
}

static void
ask_for(const char *backend)
{
    CHECK_EQ(setenv("CELADON_BACKEND", backend, 1), 0);
}

TEST(the_report_names_the_choice_and_the_reason)
{
    ask_for("");
    check_line("backend: epoll, the best for most");
    ask_for("poll");
    check_line("backend: poll, as CELADON_BACKEND says");
    check_line("epoll: can be had, by CELADON_BACKEND=epoll");
    ask_for("select");
    check_line("backend: none; CELADON_BACKEND=select: there is none such: "
               "choose uring, epoll or poll");
}

static int
report_inside(void *arg)
{
    (void)arg;
    check_line("backend: poll");
    return 0;
}

TEST(in_a_run_the_report_names_what_that_has)
{
    cel_options options;

    cel_options_init(&options);
    options.backend = "poll";
    CHECK_EQ(cel_run(report_inside, NULL, &options), 0);
}

TEST(a_report_that_does_not_fit_is_cut)
{
    char text[16];

    size_t len = cel_info_report(report, sizeof(report));
    CHECK_EQ(strlen(report), len);
    CHECK_EQ(cel_info_report(text, sizeof(text)), len);
    CHECK_EQ(memcmp(text, report, 15), 0);
    CHECK_EQ(text[15], '\0');
    CHECK_EQ(cel_info_report(NULL, 0), len);
}

TEST(a_refusal_has_a_reason)
{
    CHECK(cel_info_refusal("poll") == NULL);
    CHECK(cel_info_refusal("epoll") == NULL);
    CHECK(strstr(cel_info_refusal("select"), "none such") != NULL);
    ask_for("select");
    CHECK(strstr(cel_info_refusal(NULL), "none such") != NULL);
    CHECK_EQ(cel_run(report_inside, NULL, NULL), -EINVAL);
}

TEST(the_report_tells_what_decides_of_io_uring)
{
    struct rlimit locked = {.rlim_cur = 65536, .rlim_max = 65536};

    CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &locked), 0);
    CHECK_GT(cel_info_report(report, sizeof(report)), 0);
    const char *facts = strstr(report, "\nio_uring: Linux 6.1 ");
    CHECK(facts != NULL);
    CHECK(strstr(facts, "kernel.io_uring_disabled") != NULL);
    CHECK(strstr(facts, " seccomp filter; ") != NULL);
    CHECK(strstr(facts, "; 64 KiB of memory may be locked\n") != NULL);
}

TEST(the_version_is_the_projects)
{
    CHECK_EQ(strncmp(cel_info_version(), "0.", 2), 0);
    CHECK_GT(cel_info_report(report, sizeof(report)), 0);
    CHECK(strstr(report, cel_info_version()) != NULL);
}
