/* SPDX-License-Identifier: MIT */
/*
 * Numeric addresses as text, and back.
 */
#include "celadon/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "tap.h"

/* Parse `text`; it must come back as `expected`. */
static void
round_trip(const char *text, const char *expected)
{
    struct sockaddr_storage addr;
    socklen_t len;
    char back[CEL_ADDR_TEXT];

    CHECK_EQ(cel_addr_parse(text, &addr, &len), 0);
    CHECK_EQ(
        cel_addr_format((struct sockaddr *)&addr, len, back, sizeof(back)),
        strlen(expected));
    CHECK_STR(back, expected);
}

static void
refuse(const char *text)
{
    struct sockaddr_storage addr;
    socklen_t len = 77;

    memset(&addr, 0x5a, sizeof(addr));
    struct sockaddr_storage before = addr;
    CHECK_EQ(cel_addr_parse(text, &addr, &len), -EINVAL);
    CHECK_EQ(len, 77);
    CHECK_MEM(&addr, &before, sizeof(addr));
}

TEST(addresses_survive_a_round_trip)
{
    round_trip("127.0.0.1:80", "127.0.0.1:80");
    round_trip("0.0.0.0:0", "0.0.0.0:0");
    round_trip("255.255.255.255:65535", "255.255.255.255:65535");
    round_trip("*:8080", "0.0.0.0:8080");
    round_trip("[::1]:80", "[::1]:80");
    round_trip("[0:0::0:1]:080", "[::1]:80");
    round_trip("[::ffff:1.2.3.4]:1", "[::ffff:1.2.3.4]:1");
    round_trip("[fe80::1%lo]:443", "[fe80::1%lo]:443");
    round_trip("[fe80::1%4000000]:443", "[fe80::1%4000000]:443");
    round_trip("unix:/run/server.sock", "unix:/run/server.sock");
    round_trip("unix:relative", "unix:relative");
    round_trip("unix:@abstract", "unix:@abstract");
    round_trip("unix:/with:colon:80", "unix:/with:colon:80");
}

TEST(what_is_no_address_is_refused)
{
    static const char *const wrong[] = {
        "",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:99999999999999999999",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1: 1",
        "127.0.0.1:8o",
        "127.0.0.1.1:80",
        "256.0.0.1:80",
        "localhost:80",
        ":80",
        "::1:80",
        "[::1]",
        "[::1:80",
        "::1]:80",
        "[]:80",
        "[::1%]:80",
        "[::1%no-such-interface]:80",
        "[127.0.0.1]:80",
        "**:80",
        "unix:",
        "unix:@",
        "UNIX:/x",
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        refuse(wrong[i]);
    }
}

TEST(a_name_too_long_is_refused)
{
    char text[1000];

    memset(text, 'x', sizeof(text));
    memcpy(text, "unix:", 5);
    text[5 + 108] = '\0';
    refuse(text);
    text[5 + 107] = '\0';
    round_trip(text, text);
    memset(text, '1', sizeof(text));
    memcpy(text + 900, ":80", 4);
    refuse(text);
}

TEST(formatting_knows_its_limits)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
    char text[CEL_ADDR_TEXT];

    CHECK_EQ(cel_addr_format((struct sockaddr *)&in, sizeof(in), text, 11),
             10);
    CHECK_STR(text, "0.0.0.0:80");
    text[0] = 'k';
    CHECK_EQ(cel_addr_format((struct sockaddr *)&in, sizeof(in), text, 10),
             -ENOSPC);
    CHECK_EQ(text[0], 'k');
    CHECK_EQ(cel_addr_format((struct sockaddr *)&in, 4, text, sizeof(text)),
             -EINVAL);
    CHECK_EQ(cel_addr_format((struct sockaddr *)&in, 0, text, sizeof(text)),
             -EINVAL);
    CHECK_EQ(cel_addr_format((struct sockaddr *)&in, 4096, text, sizeof(text)),
             -EINVAL);
    in.sin_family = AF_UNSPEC;
    CHECK_EQ(cel_addr_format((struct sockaddr *)&in, sizeof(in), text,
                             sizeof(text)),
             -EINVAL);
}

TEST(odd_unix_names_are_shown)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    const socklen_t head = offsetof(struct sockaddr_un, sun_path);
    char text[CEL_ADDR_TEXT];

    CHECK_EQ(cel_addr_format((struct sockaddr *)&un, head, text, sizeof(text)),
             5);
    CHECK_STR(text, "unix:");
    memcpy(un.sun_path, "\0a\0b\x7f", 5);
    CHECK_EQ(
        cel_addr_format((struct sockaddr *)&un, head + 5, text, sizeof(text)),
        10);
    CHECK_STR(text, "unix:@a?b?");
    /* A path that fills its room has no NUL. */
    memset(un.sun_path, 'p', sizeof(un.sun_path));
    CHECK_EQ(cel_addr_format((struct sockaddr *)&un, sizeof(un), text,
                             sizeof(text)),
             5 + sizeof(un.sun_path));
}
