/* SPDX-License-Identifier: MIT */
/* Answers of name servers that say that there is nothing. */
#include "names/negative.h"

#include <string.h>

#include "tap.h"

/* "nope.test", A: denied, with an SOA record of 600 s whose least is 60. */
static const uint8_t
    denial
        [] =
            {
                0,    7,    0x84, 0x83, 0,   1, 0,   0,
                0,    1,    0,    0, /* header */
                4,    'n',  'o',  'p',  'e', 4, 't', 'e',
                's',  't',  0,    0,    1,   0, 1, /* question */
                0xc0, 0x11, 0,    6,    0,   1, 0,   0,
                0x02, 0x58, 0,    24, /* SOA */
                0xc0, 0x11, 0xc0, 0x11, 0,   0, 0,   1,
                0,    0,    0,    2,    0,   0, 0,   3,
                0,    0,    0,    4,    0,   0, 0,   60,
};

static uint8_t message[512];
static char name[CEL__NEGATIVE_NAME];
static uint32_t ttl;

/* Whether `denial` with byte `at` changed to `value` denies. */
static bool
denies_with(size_t at, uint8_t value)
{
    memcpy(message, denial, sizeof(denial));
    message[at] = value;
    return cel__negative_read(message, sizeof(denial), name, &ttl);
}

TEST(a_denial_names_the_host_and_the_least_time)
{
    CHECK(cel__negative_read(denial, sizeof(denial), name, &ttl));
    CHECK_STR(name, "nope.test");
    CHECK_EQ(ttl, 60);
    /* The record's own is less. */
    CHECK(denies_with(sizeof(denial) - 2, 0xff));
    CHECK_EQ(ttl, 600);
    CHECK(denies_with(3, 0x80)); /* the name exists, without an address */
    CHECK_EQ(ttl, 60);
    CHECK(denies_with(24, 28));
    CHECK_EQ(ttl, 60);
}

TEST(without_the_zones_record_there_is_no_time)
{
    CHECK(denies_with(9, 0)); /* none is counted */
    CHECK_EQ(ttl, 0);
    CHECK(denies_with(30, 2)); /* it is an NS record */
    CHECK_EQ(ttl, 0);
    CHECK(denies_with(sizeof(denial) - 4, 0x80)); /* beyond all times */
    CHECK_EQ(ttl, 0);
    CHECK(denies_with(33, 0x80));
    CHECK_EQ(ttl, 0);
}

TEST(other_messages_deny_nothing)
{
    CHECK(!denies_with(2, 0x04));  /* a question */
    CHECK(!denies_with(2, 0x86));  /* truncated */
    CHECK(!denies_with(3, 0x82));  /* the server failed */
    CHECK(!denies_with(5, 2));     /* two questions */
    CHECK(!denies_with(24, 15));   /* for mail */
    CHECK(!denies_with(12, 0xc0)); /* the name is elsewhere */
    CHECK(!denies_with(14, '.'));
    CHECK(!denies_with(7, 9)); /* nine answers, and they are not there */
}

TEST(an_answer_is_no_denial_and_an_alias_to_nothing_is)
{
    /* The record in the place of the answers, as A and as CNAME. */
    memcpy(message, denial, sizeof(denial));
    message[7] = 1;
    message[9] = 0;
    message[30] = 1;
    CHECK(!cel__negative_read(message, sizeof(denial), name, &ttl));
    message[30] = 5;
    CHECK(cel__negative_read(message, sizeof(denial), name, &ttl));
    CHECK_EQ(ttl, 0);
}

TEST(messages_that_end_too_early_deny_nothing_or_for_no_time)
{
    for (size_t len = 0; len < sizeof(denial); len++) {
        if (cel__negative_read(denial, len, name, &ttl)) {
            CHECK_GE(len, 27);
            CHECK_EQ(ttl, 0);
        }
    }
}
