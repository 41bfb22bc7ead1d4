/* SPDX-License-Identifier: MIT */
/*
 * Answers that are remembered, and for how long.
 */
#include "names/cache.h"

#include <stdio.h>

#include "tap.h"

static struct cel__cache cache;

static struct cel__answer *
make(size_t naddrs, uint32_t ttl)
{
    struct cel__answer *answer = cel__answer_make(naddrs, "canon.test");

    CHECK(answer != NULL);
    answer->ttl = ttl;
    return answer;
}

static void
keep(const char *name, uint32_t ttl, cel_time now)
{
    struct cel__answer *answer = make(1, ttl);

    cel__cache_put(&cache, name, AF_INET, answer, now);
    cel__answer_unref(answer);
}

static bool
has(const char *name, int family, cel_time now)
{
    struct cel__answer *answer = cel__cache_find(&cache, name, family, now);

    cel__answer_unref(answer);
    return answer != NULL;
}

TEST(an_answer_is_found_until_it_expires)
{
    keep("a.test", 10, CEL_SEC);
    CHECK(has("a.test", AF_INET, CEL_SEC));
    CHECK(has("A.TEST", AF_INET, 10 * CEL_SEC));
    CHECK(!has("a.test", AF_INET6, CEL_SEC));
    CHECK(!has("b.test", AF_INET, CEL_SEC));
    CHECK(!has("a.test", AF_INET, 11 * CEL_SEC));
    CHECK(!has("a.test", AF_INET, CEL_SEC)); /* it is gone for good */
    cel__cache_clear(&cache);
}

TEST(a_newer_answer_takes_the_place_of_an_older)
{
    keep("a.test", 10, CEL_SEC);
    keep("a.test", 100, CEL_SEC);
    CHECK(has("a.test", AF_INET, 50 * CEL_SEC));
    cel__cache_clear(&cache);
    CHECK(!has("a.test", AF_INET, CEL_SEC));
}

TEST(no_answer_is_believed_for_ever)
{
    keep("a.test", UINT32_MAX, 0);
    CHECK(has("a.test", AF_INET, CEL__CACHE_TTL_MAX - 1));
    CHECK(!has("a.test", AF_INET, CEL__CACHE_TTL_MAX));
    cel__cache_clear(&cache);
}

TEST(nothing_is_believed_for_a_minute_at_most)
{
    struct cel__answer *nothing = make(0, 3600);

    cel__cache_put(&cache, "no.test", AF_INET, nothing, 0);
    cel__answer_unref(nothing);
    CHECK(has("no.test", AF_INET, CEL__CACHE_NOTHING_MAX - 1));
    CHECK(!has("no.test", AF_INET, CEL__CACHE_NOTHING_MAX));
    cel__cache_clear(&cache);
}

TEST(what_does_not_live_or_is_too_large_is_not_kept)
{
    struct cel__answer *large = make(CEL__CACHE_ADDRS + 1, 10);

    keep("a.test", 0, CEL_SEC);
    CHECK(!has("a.test", AF_INET, CEL_SEC));
    cel__cache_put(&cache, "large.test", AF_INET, large, CEL_SEC);
    cel__answer_unref(large);
    CHECK(!has("large.test", AF_INET, CEL_SEC));
}

TEST(the_number_of_names_is_bounded)
{
    char name[32];
    int n = 0;

    for (int i = 0; i < 10 * CEL__CACHE_SIZE; i++) {
        (void)snprintf(name, sizeof(name), "n%d.test", i);
        keep(name, 10, CEL_SEC);
        CHECK(has(name, AF_INET, CEL_SEC));
    }
    for (int i = 0; i < 10 * CEL__CACHE_SIZE; i++) {
        (void)snprintf(name, sizeof(name), "n%d.test", i);
        n += has(name, AF_INET, CEL_SEC);
    }
    CHECK_LE(n, CEL__CACHE_SIZE);
    CHECK_GT(n, CEL__CACHE_SIZE / 2);
    cel__cache_clear(&cache);
}
