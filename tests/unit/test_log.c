/* SPDX-License-Identifier: MIT */
/* The sink, and how a line is cut. */
#include "base/log.h"

#include <string.h>

#include "celadon/see.h"
#include "tap.h"

static char said[512];
static int nlines;

static void
keep(const char *text)
{
    strncpy(said, text, sizeof(said) - 1);
    nlines++;
}

TEST(without_a_sink_lines_are_dropped)
{
    CHECK(!cel__log_wanted());
    cel__log("nobody %s", "listens");
}

TEST(a_line_reaches_the_sink_that_is_set)
{
    cel_log_to(keep);
    CHECK(cel__log_wanted());
    cel__log("%s is %d", "six", 6);
    CHECK_STR(said, "six is 6");
    CHECK_EQ(nlines, 1);
    cel_log_to(NULL);
    cel__log("not this");
    CHECK_EQ(nlines, 1);
}

TEST(a_long_line_is_cut_at_255_bytes)
{
    char text[400];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    cel_log_to(keep);
    cel__log("%s", text);
    CHECK_EQ(strlen(said), 255);
}
