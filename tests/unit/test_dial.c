/* SPDX-License-Identifier: MIT */
/*
 * Connecting to names and listening at them; who wins among addresses.
 */
#include "celadon/dial.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "celadon/net.h"
#include "coros.h"
#include "dnsd.h"
#include "names/race.h"
#include "sched/worker.h"
#include "sockets.h"

/* The port of the listener `fd`, as text. */
static const char *
port_of(int fd)
{
    static char text[8];
    struct sockaddr_in6 in6 = {0}; /* the port is where IPv4's is */
    socklen_t len = sizeof(in6);

    CHECK_EQ(getsockname(fd, (struct sockaddr *)&in6, &len), 0);
    (void)snprintf(text, sizeof(text), "%d", ntohs(in6.sin6_port));
    return text;
}

/* The family of who `fd` is connected to. */
static int
family_of(int fd)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof(addr);

    CHECK_EQ(getpeername(fd, (struct sockaddr *)&addr, &len), 0);
    return addr.ss_family;
}

/* A connection to `host` comes out at `listener`. */
static void
meet(int listener, const char *host, const char *service)
{
    char byte;

    int fd = cel_dial(host, service, CEL_FOREVER);
    CHECK_GE(fd, 0);
    int conn = cel_accept(listener, NULL, NULL, CEL_FOREVER);
    CHECK_GE(conn, 0);
    CHECK_EQ(cel_send_all(fd, "x", 1, CEL_FOREVER), 1);
    CHECK_EQ(cel_recv_all(conn, &byte, 1, CEL_FOREVER), 1);
    CHECK_EQ(byte, 'x');
    CHECK_EQ(cel_close(conn), 0);
    CHECK_EQ(cel_close(fd), 0);
}

static bool
has_ipv6(void)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);

    in6.sin6_addr = in6addr_loopback;
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0;
    if (fd >= 0) {
        CHECK_EQ(close(fd), 0);
    }
    return has;
}

/* `where` with the port of `listener`. */
static const char *
at_port(const char *where, int listener)
{
    static char text[64];

    (void)snprintf(text, sizeof(text), "%s:%s", where, port_of(listener));
    return text;
}

static int
every_form(void *arg)
{
    char unix_path[64];

    (void)arg;
    int fd = cel_listen_at("127.0.0.1:0", 0, 0, CEL_FOREVER);
    CHECK_GE(fd, 0);
    meet(fd, "127.0.0.1", port_of(fd));
    meet(fd, at_port("127.0.0.1", fd), NULL);
    CHECK_EQ(cel_close(fd), 0);
    fd = cel_listen_at("*:0", 0, 0, CEL_FOREVER);
    CHECK_GE(fd, 0);
    meet(fd, "127.0.0.1", port_of(fd));
    CHECK_EQ(cel_close(fd), 0);
    (void)snprintf(unix_path, sizeof(unix_path), "unix:@celadon-dial-%d",
                   getpid());
    fd = cel_listen_at(unix_path, 0, 0, CEL_FOREVER);
    CHECK_GE(fd, 0);
    meet(fd, unix_path, NULL);
    CHECK_EQ(cel_close(fd), 0);
    (void)snprintf(unix_path, sizeof(unix_path), "unix:%s",
                   tap_path("listener"));
    fd = cel_listen_at(unix_path, 0, 0, CEL_FOREVER);
    CHECK_GE(fd, 0);
    meet(fd, unix_path, NULL);
    CHECK_EQ(cel_listen_at(unix_path, 0, 0, CEL_FOREVER), -EADDRINUSE);
    return 0;
}

TEST(addresses_are_listened_at_and_dialled_as_text)
{
    run(every_form);
}

static int
both_families(void *arg)
{
    (void)arg;
    int fd = cel_listen_at(":0", 0, 0, CEL_FOREVER);
    CHECK_GE(fd, 0);
    meet(fd, "127.0.0.1", port_of(fd));
    if (!has_ipv6()) {
        return 0;
    }
    meet(fd, "::1", port_of(fd));
    meet(fd, at_port("[::1]", fd), NULL);
    CHECK_EQ(cel_close(fd), 0);
    fd = cel_listen_at(":0", 0, CEL_V6ONLY, CEL_FOREVER);
    CHECK_GE(fd, 0);
    meet(fd, "::1", port_of(fd));
    CHECK_EQ(cel_dial("127.0.0.1", port_of(fd), CEL_FOREVER), -ECONNREFUSED);
    return 0;
}

TEST(a_port_alone_is_of_both_families)
{
    run(both_families);
}

static int
wrong(void *arg)
{
    (void)arg;
    static const char *const texts[] = {
        "",      "80",    "::1:80", "[::1]",    "[]:80",
        "host:", "unix:", "unix:@", "127.0.0.1"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        CHECK_EQ(cel_listen_at(texts[i], 0, 0, CEL_FOREVER), -EINVAL);
        CHECK_EQ(cel_dial(texts[i], NULL, CEL_FOREVER), -EINVAL);
    }
    CHECK_EQ(cel_dial(":80", NULL, CEL_FOREVER), -EINVAL);
    CHECK_EQ(cel_dial(NULL, "80", CEL_FOREVER), -EINVAL);
    CHECK_EQ(cel_listen_at("*:0", 0, 1 << 20, CEL_FOREVER), -EINVAL);
    CHECK_EQ(cel_listen_at(":65536", 0, 0, CEL_FOREVER), -EPROTONOSUPPORT);
    CHECK_EQ(cel_dial("127.0.0.1", "70000", CEL_FOREVER), -EPROTONOSUPPORT);
    CHECK_EQ(cel_listen_at("192.0.2.1:0", 0, 0, CEL_FOREVER), -EADDRNOTAVAIL);
    CHECK_EQ(cel_dial("unix:@celadon-nobody", NULL, CEL_FOREVER),
             -ECONNREFUSED);
    int fd = cel_listen_at("127.0.0.1:0", 0, 0, CEL_FOREVER);
    CHECK_GE(fd, 0);
    CHECK_EQ(cel_listen_at(at_port("127.0.0.1", fd), 0, 0, CEL_FOREVER),
             -EADDRINUSE);
    const char *where = at_port("127.0.0.1", fd);
    CHECK_EQ(cel_close(fd), 0);
    CHECK_EQ(cel_dial(where, NULL, CEL_FOREVER), -ECONNREFUSED);
    fd = cel_listen_at("127.0.0.1:0", 0, CEL_REUSEPORT, CEL_FOREVER);
    CHECK_GE(fd, 0);
    CHECK_GE(
        cel_listen_at(at_port("127.0.0.1", fd), 0, CEL_REUSEPORT, CEL_FOREVER),
        0);
    return 0;
}

TEST(what_is_no_place_says_so)
{
    run(wrong);
}

static int
by_name(void *arg)
{
    (void)arg;
    int fd = cel_listen_at("our.name:0", 0, 0, CEL_FOREVER);
    CHECK_GE(fd, 0);
    meet(fd, "our.name", port_of(fd));
    meet(fd, at_port("our.name", fd), NULL);
    CHECK_EQ(cel_dial("none.test", "80", CEL_FOREVER), -ENOENT);
    CHECK_EQ(cel_dial("none.test:80", NULL, CEL_FOREVER), -ENOENT);
    CHECK_EQ(cel_dial("our.name", "nosuchservice", CEL_FOREVER),
             -EPROTONOSUPPORT);
    CHECK_EQ(cel_dial("broken.test", "80", CEL_FOREVER), -EAGAIN);
    CHECK_EQ(cel_dial("silent.test", "80", cel_after(20 * CEL_MSEC)),
             -ETIMEDOUT);
    CHECK_EQ(cel_listen_at("none.test:80", 0, 0, CEL_FOREVER), -ENOENT);
    CHECK_EQ(cel_listen_at("a.test:80", 0, 0, CEL_FOREVER), -EADDRNOTAVAIL);
    return 0;
}

TEST(names_are_listened_at_and_dialled)
{
    if (!CEL__HAVE_ARES) {
        SKIP("built without c-ares: only the system's names are known");
    }
    (void)dnsd_start();
    CHECK_EQ(
        setenv("CARES_HOSTS", tap_save("hosts", "127.0.0.1 our.name\n"), 1),
        0);
    run(by_name);
}

/*
 * Those who take part in a race, on one port: 127.0.0.N, or ::1.
 */

struct runner {
    struct addrinfo info;
    struct sockaddr_storage addr;
};

static void
place(struct runner *runner, const char *text, int port)
{
    char where[64];

    memset(runner, 0, sizeof(*runner));
    (void)snprintf(where, sizeof(where), "%s:%d", text, port);
    CHECK_EQ(cel_addr_parse(where, &runner->addr, &runner->info.ai_addrlen),
             0);
    runner->info.ai_addr = (struct sockaddr *)&runner->addr;
    runner->info.ai_family = runner->addr.ss_family;
    runner->info.ai_socktype = SOCK_STREAM;
}

/* Listen where `runner` is. */
static void
open_at(struct runner *runner)
{
    CHECK_GE(cel_listen(runner->info.ai_addr, runner->info.ai_addrlen, 1, 0),
             0);
}

static void
may_be_shared(int fd)
{
    int yes = 1;

    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
}

/* Listen where `runner` is, and let nobody in: its queue is full. */
static void
close_up(struct runner *runner)
{
    struct pollfd queue = {.events = POLLIN};
    int full = socket(AF_INET, SOCK_STREAM, 0);

    queue.fd = socket(AF_INET, SOCK_STREAM, 0);
    may_be_shared(queue.fd);
    CHECK_EQ(bind(queue.fd, runner->info.ai_addr, runner->info.ai_addrlen), 0);
    CHECK_EQ(listen(queue.fd, 0), 0);
    CHECK_EQ(connect(full, runner->info.ai_addr, runner->info.ai_addrlen), 0);
    /* Who has connected may be on the way into the queue yet. */
    CHECK_EQ(poll(&queue, 1, -1), 1);
}

static int
race(const struct runner *first, cel_time deadline)
{
    return cel__race_connect(cel__worker(), &first->info, deadline);
}

/*
 * A port that is ours on every address until this process ends: a socket that
 * listens nowhere has it, and lets those that say so as well listen there.
 */
static int
some_port(void)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    struct sockaddr_in any4 = {.sin_family = AF_INET};
    bool both = has_ipv6();
    int fd = socket(both ? AF_INET6 : AF_INET, SOCK_STREAM, 0);

    may_be_shared(fd);
    if (both) {
        int no = 0;
        CHECK_EQ(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)),
                 0);
        CHECK_EQ(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
    }
    else {
        CHECK_EQ(bind(fd, (struct sockaddr *)&any4, sizeof(any4)), 0);
    }
    return (int)strtol(port_of(fd), NULL, 10);
}

/* Three addresses, one after the other, of a port that is ours. */
static void
place_three(struct runner runners[3])
{
    int port = some_port();

    place(&runners[0], "127.0.0.2", port);
    place(&runners[1], "127.0.0.3", port);
    place(&runners[2], "127.0.0.4", port);
    runners[0].info.ai_next = &runners[1].info;
    runners[1].info.ai_next = &runners[2].info;
}

static int
one_fails(void *arg)
{
    struct runner runners[3];

    (void)arg;
    place_three(runners);
    CHECK_EQ(race(runners, CEL_FOREVER), -ECONNREFUSED);
    open_at(&runners[2]);
    int fd = race(runners, CEL_FOREVER);
    CHECK_GE(fd, 0);
    struct sockaddr_in peer;
    socklen_t len = sizeof(peer);
    CHECK_EQ(getpeername(fd, (struct sockaddr *)&peer, &len), 0);
    CHECK_MEM(&peer, &runners[2].addr, sizeof(peer));
    CHECK_EQ(cel_close(fd), 0);
    return 0;
}

TEST(the_next_address_is_tried_where_one_fails)
{
    run(one_fails);
}

static int
some_fail_at_once(void *arg)
{
    struct runner runners[3];

    (void)arg;
    place_three(runners);
    runners[0].info.ai_family = -1; /* socket(2) fails */
    runners[1].info.ai_addrlen = 1; /* connect(2) fails */
    open_at(&runners[2]);
    int null = open("/dev/null", O_RDONLY);
    CHECK_EQ(dup2(null, 0), 0);
    int fd = race(runners, CEL_FOREVER);
    CHECK_GT(fd, 0);
    CHECK_EQ(cel_close(fd), 0);
    CHECK_GE(fcntl(0, F_GETFD), 0);
    return 0;
}

TEST(what_fails_at_once_was_never_descriptor_zero)
{
    run(some_fail_at_once);
}

/* How many descriptors are open. */
static int
count_open(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++) {
        n += fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

static int
one_is_silent(void *arg)
{
    struct runner runners[2];
    int port = some_port();

    (void)arg;
    place(&runners[0], "127.0.0.2", port);
    place(&runners[1], "127.0.0.3", port);
    runners[0].info.ai_next = &runners[1].info;
    close_up(&runners[0]);
    open_at(&runners[1]);
    int before = count_open();
    cel_time begin = cel_now();
    int fd = race(runners, CEL_FOREVER);
    CHECK_GE(fd, 0);
    CHECK_GE(cel_now() - begin, CEL__RACE_HEAD_START);
    struct sockaddr_in peer;
    socklen_t len = sizeof(peer);
    CHECK_EQ(getpeername(fd, (struct sockaddr *)&peer, &len), 0);
    CHECK_MEM(&peer, &runners[1].addr, sizeof(peer));
    CHECK_EQ(cel_close(fd), 0);
    CHECK_EQ(count_open(), before);
    /* Alone it is waited for, in vain. */
    runners[0].info.ai_next = NULL;
    CHECK_EQ(race(runners, cel_after(20 * CEL_MSEC)), -ETIMEDOUT);
    CHECK_EQ(race(runners, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(count_open(), before);
    return 0;
}

TEST(an_address_that_does_not_answer_is_overtaken)
{
    run(one_is_silent);
}

static int
by_turns(void *arg)
{
    struct runner runners[3];
    int port = some_port();

    (void)arg;
    place(&runners[0], "127.0.0.2", port);
    place(&runners[1], "127.0.0.3", port);
    place(&runners[2], "[::1]", port);
    runners[0].info.ai_next = &runners[1].info;
    runners[1].info.ai_next = &runners[2].info;
    close_up(&runners[0]);
    open_at(&runners[1]);
    open_at(&runners[2]);
    int fd = race(runners, CEL_FOREVER);
    CHECK_GE(fd, 0);
    CHECK_EQ(family_of(fd), AF_INET6);
    return 0;
}

TEST(families_take_turns)
{
    if (!has_ipv6()) {
        SKIP("no IPv6 here");
    }
    run(by_turns);
}

static void
race_in_vain(void *arg)
{
    CHECK_EQ(race(arg, CEL_FOREVER), -ECANCELED);
}

static int
cancelling(void *arg)
{
    struct runner runners[2];
    int port = some_port();

    (void)arg;
    place(&runners[0], "127.0.0.2", port);
    place(&runners[1], "127.0.0.3", port);
    runners[0].info.ai_next = &runners[1].info;
    close_up(&runners[0]);
    close_up(&runners[1]);
    int before = count_open();
    cel_coro *coro = go(race_in_vain, runners);
    CHECK_EQ(cel_sleep(cel_after(CEL__RACE_HEAD_START + 10 * CEL_MSEC)), 0);
    cel_cancel(coro);
    join(coro);
    CHECK_EQ(count_open(), before);
    return 0;
}

TEST(a_race_can_be_cancelled)
{
    run(cancelling);
}

TEST(outside_of_a_run_nobody_is_dialled)
{
    CHECK_EQ(cel_dial("127.0.0.1", "80", CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_listen_at("*:0", 0, 0, CEL_FOREVER), -EPERM);
}
