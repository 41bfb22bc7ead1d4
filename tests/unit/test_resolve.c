/* SPDX-License-Identifier: MIT */
/*
 * Names to addresses: numeric ones, this machine's, and those that are not.
 * Nothing here asks a name server.
 */
#include "celadon/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "celadon/run.h"
#include "coros.h"

static const struct addrinfo stream = {.ai_family = AF_INET,
                                       .ai_socktype = SOCK_STREAM};

static void
expect(const struct addrinfo *found, const char *host, int port)
{
    char text[INET_ADDRSTRLEN];
    struct sockaddr_in in;

    CHECK(found != NULL);
    CHECK_EQ(found->ai_family, AF_INET);
    CHECK_EQ(found->ai_addrlen, sizeof(in));
    memcpy(&in, found->ai_addr, sizeof(in));
    CHECK(inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text)) != NULL);
    CHECK_STR(text, host);
    CHECK_EQ(ntohs(in.sin_port), port);
}

static int
numeric(void *arg)
{
    struct addrinfo *found = NULL;

    (void)arg;
    CHECK_EQ(cel_resolve("127.0.0.1", "8080", &stream, &found, CEL_AT_ONCE),
             0);
    expect(found, "127.0.0.1", 8080);
    cel_resolve_free(found);
    struct addrinfo passive = stream;
    passive.ai_flags = AI_PASSIVE;
    CHECK_EQ(cel_resolve(NULL, "80", &passive, &found, CEL_AT_ONCE), 0);
    expect(found, "0.0.0.0", 80);
    cel_resolve_free(found);
    cel_resolve_free(NULL);
    return 0;
}

TEST(numeric_names_are_read_at_once)
{
    run(numeric);
}

static int
by_name(void *arg)
{
    struct addrinfo *found = NULL;

    (void)arg;
    int err = cel_resolve("localhost", "8080", &stream, &found, CEL_FOREVER);
    if (err == -ENOENT || err == -EAGAIN) {
        SKIP("localhost is not known here");
    }
    CHECK_EQ(err, 0);
    expect(found, "127.0.0.1", 8080);
    cel_resolve_free(found);
    CHECK_EQ(cel_resolve("localhost", NULL, NULL, &found, CEL_FOREVER), 0);
    cel_resolve_free(found);
    return 0;
}

TEST(names_are_resolved_on_the_pool)
{
    run(by_name);
}

static int
fail(void *arg)
{
    static struct addrinfo mark;
    struct addrinfo *found = &mark;
    struct addrinfo hints = stream;

    (void)arg;
    hints.ai_flags = AI_NUMERICHOST;
    CHECK_EQ(cel_resolve("not.a.number", "80", &hints, &found, CEL_FOREVER),
             -ENOENT);
    CHECK_EQ(cel_resolve("127.0.0.1", "nosuchservice", &stream, &found,
                         CEL_FOREVER),
             -EPROTONOSUPPORT);
    CHECK_EQ(cel_resolve("127.0.0.1", "65536", NULL, &found, CEL_FOREVER),
             -EPROTONOSUPPORT);
    CHECK_EQ(cel_resolve(NULL, "99999999999999999999", &stream, &found,
                         CEL_FOREVER),
             -EPROTONOSUPPORT);
    hints.ai_flags = 0;
    hints.ai_family = 12345;
    CHECK_EQ(cel_resolve("127.0.0.1", "80", &hints, &found, CEL_FOREVER),
             -EAFNOSUPPORT);
    hints.ai_family = AF_INET;
    hints.ai_socktype = 54321;
    CHECK_EQ(cel_resolve("127.0.0.1", "80", &hints, &found, CEL_FOREVER),
             -ESOCKTNOSUPPORT);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = 0x7fff0000;
    CHECK_EQ(cel_resolve("127.0.0.1", "80", &hints, &found, CEL_FOREVER),
             -EINVAL);
    CHECK_EQ(cel_resolve(NULL, NULL, &stream, &found, CEL_FOREVER), -ENOENT);
    CHECK_PTR(found, &mark);
    return 0;
}

TEST(what_can_not_be_resolved_says_why)
{
    run(fail);
}

static int
resolve_cancelled(void *arg)
{
    struct addrinfo *found = NULL;

    (void)arg;
    cel_cancel(cel_self());
    CHECK_EQ(cel_resolve("localhost", "80", &stream, &found, CEL_FOREVER),
             -ECANCELED);
    CHECK_PTR(found, NULL);
    return 0;
}

TEST(a_cancelled_coroutine_resolves_no_names)
{
    run(resolve_cancelled);
}

static int
resolve_hastily(void *arg)
{
    struct addrinfo *found = NULL;

    (void)arg;
    for (int i = 0; i < 20; i++) {
        int err = cel_resolve("localhost", "80", &stream, &found,
                              i == 0 ? CEL_AT_ONCE
                                     : cel_after(10 * CEL_USEC * i));
        if (err == 0) {
            cel_resolve_free(found);
        }
        else {
            CHECK(err == -ETIMEDOUT || err == -ENOENT || err == -EAGAIN);
        }
    }
    return 0;
}

TEST(an_answer_that_comes_too_late_is_dropped)
{
    run(resolve_hastily);
}

TEST(outside_of_a_coroutine_only_numbers_are_read)
{
    struct addrinfo *found = NULL;

    CHECK_EQ(cel_resolve("localhost", "80", &stream, &found, CEL_FOREVER),
             -EPERM);
    CHECK_EQ(cel_resolve("127.0.0.1", "80", &stream, &found, CEL_FOREVER), 0);
    cel_resolve_free(found);
}
