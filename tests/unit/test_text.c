/* SPDX-License-Identifier: MIT */
/* Text without stdio: what it looks like, and where it goes. */
#include "see/text.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"

static struct cel__text text;

static void
check(const char *wanted)
{
    CHECK_STR(cel__text_string(&text), wanted);
    cel__text_init(&text, -1);
}

TEST(numbers_and_strings_follow_each_other)
{
    cel__text_init(&text, -1);
    cel__text_put(&text, "a");
    cel__text_number(&text, 0);
    cel__text_put(&text, " ");
    cel__text_number(&text, UINT64_MAX);
    check("a0 18446744073709551615");
    cel__text_hex(&text, 0xdeadbeef);
    check("0xdeadbeef");
    cel__text_put(&text, NULL);
    check("?");
}

TEST(a_span_is_in_the_unit_that_fits)
{
    cel__text_init(&text, -1);
    cel__text_span(&text, 17 * CEL_USEC);
    check("17 us");
    cel__text_span(&text, -1);
    check("0 us");
    cel__text_span(&text, 1203 * CEL_MSEC);
    check("1.203 s");
    cel__text_span(&text, 5 * CEL_SEC + 7 * CEL_MSEC);
    check("5.007 s");
    cel__text_span(&text, 12 * CEL_MSEC);
    check("0.012 s");
}

TEST(without_a_descriptor_the_rest_is_dropped)
{
    cel__text_init(&text, -1);
    for (int i = 0; i < CEL__TEXT; i++) {
        cel__text_put(&text, "ab");
    }
    CHECK_EQ(strlen(cel__text_string(&text)), CEL__TEXT - 1);
    CHECK_EQ(text.error, 0);
}

TEST(a_long_line_reaches_its_descriptor_whole)
{
    char got[4096];
    int fds[2];

    CHECK_EQ(pipe(fds), 0);
    cel__text_init(&text, fds[1]);
    for (int i = 0; i < 1000; i++) {
        cel__text_put(&text, "xyz");
    }
    cel__text_line(&text);
    CHECK_EQ(text.error, 0);
    CHECK_EQ(read(fds[0], got, sizeof(got)), 3001);
    CHECK_MEM(got, "xyzxyz", 6);
    CHECK_EQ(got[3000], '\n');
    (void)close(fds[0]);
    (void)close(fds[1]);
}

TEST(the_first_error_is_kept)
{
    cel__text_init(&text, 1000000);
    cel__text_put(&text, "nowhere");
    cel__text_line(&text);
    CHECK_EQ(text.error, -EBADF);
    cel__text_put(&text, "again");
    cel__text_line(&text);
    CHECK_EQ(text.error, -EBADF);
}
