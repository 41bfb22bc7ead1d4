/* SPDX-License-Identifier: MIT */
/*
 * A name server for tests.
 *
 * Threads: a process of its own, in the test's group, which the harness
 * kills.
 */
#include "dnsd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <signal.h>

#include "sockets.h"
#include "tap.h"

enum {
    TYPE_A = 1,
    TYPE_CNAME = 5,
    TYPE_SOA = 6,
    TYPE_AAAA = 28,
    SERVFAIL = 2,
    NXDOMAIN = 3,
    REFUSED = 5,
    TTL = 300,
    HEAD = 12,  /* bytes of a message's header */
    MOST = 2048 /* questions between two marks */
};

/* A message being made of the question it answers. */
struct reply {
    unsigned char bytes[4096];
    size_t len;
    unsigned nanswers;
    unsigned nauthorities;
    int type;       /* of the question */
    char name[256]; /* of the question */
    char label[64]; /* its first label */
    in_port_t port; /* of who asks; 0: by TCP */
    bool is_new;    /* it was not asked since the last mark */
};

/* Questions since the last mark.  By UDP a process that asks has one port. */
struct asked {
    char name[256];
    int type;
    in_port_t port;
};

static struct dnsd_seen *seen;
static struct sockaddr_in server;

static void
put16(struct reply *reply, unsigned n)
{
    reply->bytes[reply->len++] = (unsigned char)(n >> 8);
    reply->bytes[reply->len++] = (unsigned char)n;
}

/* A record's head, of the name that is `at` bytes into the message. */
static void
put_record(struct reply *reply, unsigned at, int type, unsigned ttl,
           unsigned len)
{
    put16(reply, 0xc000 | at);
    put16(reply, (unsigned)type);
    put16(reply, 1);
    put16(reply, 0);
    put16(reply, ttl);
    put16(reply, len);
    reply->nanswers++;
}

static void
put_a(struct reply *reply, unsigned at, uint32_t addr, unsigned ttl)
{
    if (reply->type == TYPE_A) {
        put_record(reply, at, TYPE_A, ttl, 4);
        put16(reply, addr >> 16);
        put16(reply, addr & 0xffff);
    }
}

/* 2001:db8::N */
static void
put_aaaa(struct reply *reply, unsigned n)
{
    if (reply->type == TYPE_AAAA) {
        put_record(reply, HEAD, TYPE_AAAA, TTL, 16);
        put16(reply, 0x2001);
        put16(reply, 0x0db8);
        for (int i = 0; i < 5; i++) {
            put16(reply, 0);
        }
        put16(reply, n);
    }
}

/* "at is an alias of label.test"; returns where that name is. */
static unsigned
put_cname(struct reply *reply, unsigned at, const char *label)
{
    unsigned len = (unsigned)strlen(label);

    put_record(reply, at, TYPE_CNAME, TTL, len + 7);
    unsigned where = (unsigned)reply->len;
    reply->bytes[reply->len++] = (unsigned char)len;
    memcpy(reply->bytes + reply->len, label, len);
    reply->len += len;
    memcpy(reply->bytes + reply->len, "\4test", 6);
    reply->len += 6;
    return where;
}

/* The zone's, which says for how long there is nothing. */
static void
put_soa(struct reply *reply, unsigned least)
{
    put_record(reply, HEAD, TYPE_SOA, TTL, 24);
    reply->nanswers--;
    reply->nauthorities++;
    put16(reply, 0xc000 | HEAD);
    put16(reply, 0xc000 | HEAD);
    for (int i = 0; i < 9; i++) {
        put16(reply, 0);
    }
    put16(reply, least);
}

static bool
is(const struct reply *reply, const char *label)
{
    return strcasecmp(reply->label, label) == 0;
}

static void
put_big(struct reply *reply)
{
    if (reply->port != 0) {
        reply->bytes[2] |= 2; /* truncated */
        return;
    }
    for (unsigned i = 0; i < 64; i++) {
        put_a(reply, HEAD, 0x0a010000U + i, TTL);
    }
}

static void
put_alias(struct reply *reply)
{
    unsigned at = put_cname(reply, HEAD, "second");

    at = put_cname(reply, at, "third");
    put_a(reply, at, 0xc0000203U, TTL);
}

static void
sleep_ms(int ms)
{
    struct timespec time = {.tv_nsec = ms * 1000000L};

    (void)nanosleep(&time, NULL);
}

/* Names that have no records; returns the code, or -1: it may have some. */
static int
code_of(const struct reply *reply)
{
    if (strstr(reply->name, ".nowhere.test") != NULL) {
        return NXDOMAIN;
    }
    if (is(reply, "broken")) {
        return SERVFAIL;
    }
    if (is(reply, "gone") || is(reply, "brief")) {
        return NXDOMAIN;
    }
    if (is(reply, "refused")) {
        return REFUSED;
    }
    return is(reply, "empty") || is(reply, "nodata") ? 0 : -1;
}

/* The records of the question; false: there is no such name. */
static bool
put_records(struct reply *reply)
{
    static unsigned once;
    const char *label = reply->label;

    if (is(reply, "a") || is(reply, "late")) {
        put_a(reply, HEAD, 0xc0000201U, TTL);
    }
    else if (is(reply, "both")) {
        put_a(reply, HEAD, 0xc0000202U, TTL);
        put_aaaa(reply, 2);
    }
    else if (is(reply, "six")) {
        put_aaaa(reply, 6);
    }
    else if (is(reply, "alias")) {
        put_alias(reply);
    }
    else if (is(reply, "big")) {
        put_big(reply);
    }
    else if (is(reply, "once")) {
        once += reply->is_new;
        put_a(reply, HEAD, 0x0a020000U + once, 1);
    }
    else if (label[0] == 'n' && label[1] >= '0' && label[1] <= '9') {
        uint32_t n = (uint32_t)strtoul(label + 1, NULL, 10);
        put_a(reply, HEAD, 0x0a000000U + n, TTL);
    }
    else {
        return false;
    }
    return true;
}

/* Read the question, and leave the message at its end.  False: it is none. */
static bool
read_question(struct reply *reply, size_t len)
{
    size_t at = HEAD;
    size_t n = 0;

    while (at < len && reply->bytes[at] != 0) {
        size_t label = reply->bytes[at++];
        if (label > 63 || at + label >= len || n + label + 1 >= 255) {
            return false;
        }
        memcpy(reply->name + n, reply->bytes + at, label);
        n += label;
        reply->name[n++] = '.';
        at += label;
    }
    if (n == 0 || at + 5 > len) {
        return false;
    }
    reply->name[n - 1] = '\0';
    (void)snprintf(reply->label, sizeof(reply->label), "%.*s",
                   (int)strcspn(reply->name, "."), reply->name);
    reply->type = reply->bytes[at + 1] << 8 | reply->bytes[at + 2];
    reply->len = at + 5;
    return true;
}

/* Whether nobody asked that since the last mark; NULL is a mark. */
static bool
is_new(const struct reply *reply)
{
    static struct asked asked[MOST];
    static size_t nasked;

    if (reply == NULL) {
        nasked = 0;
        return true;
    }
    for (size_t i = 0; i < nasked; i++) {
        if (asked[i].type == reply->type && asked[i].port == reply->port &&
            strcasecmp(asked[i].name, reply->name) == 0) {
            return false;
        }
    }
    if (nasked < MOST) {
        asked[nasked].type = reply->type;
        asked[nasked].port = reply->port;
        memcpy(asked[nasked].name, reply->name, sizeof(reply->name));
        nasked++;
    }
    return true;
}

/* Make the question of `len` bytes its answer.  False: there is none. */
static bool
answer(struct reply *reply, size_t len, in_port_t port)
{
    reply->nanswers = 0;
    reply->nauthorities = 0;
    reply->port = port;
    if (len < HEAD || !read_question(reply, len)) {
        return false;
    }
    reply->is_new = is_new(reply);
    if (reply->is_new) {
        (void)atomic_fetch_add(port == 0 ? &seen->tcp : &seen->udp, 1);
    }
    if (is(reply, "silent")) {
        (void)atomic_fetch_add(&seen->silent, 1);
        return false;
    }
    reply->bytes[2] = 0x84; /* an answer, authoritative */
    reply->bytes[3] = 0x80; /* recursion: at hand */
    if (is(reply, "late")) {
        sleep_ms(100);
    }
    int code = code_of(reply);
    if (code < 0) {
        code = put_records(reply) ? 0 : NXDOMAIN;
    }
    if (is(reply, "gone") || is(reply, "nodata") || is(reply, "brief")) {
        put_soa(reply, is(reply, "brief") ? 1 : TTL);
    }
    reply->bytes[3] |= (unsigned char)code;
    memset(reply->bytes + 6, 0, 6);
    reply->bytes[7] = (unsigned char)reply->nanswers;
    reply->bytes[9] = (unsigned char)reply->nauthorities;
    return true;
}

static void
serve_udp(int fd)
{
    struct reply reply;
    struct sockaddr_in from = {0};
    socklen_t len = sizeof(from);
    ssize_t n = recvfrom(fd, reply.bytes, 512, 0, (struct sockaddr *)&from,
                         &len);
    unsigned mark = atomic_load(&seen->marks) + 1;

    if (n == sizeof(mark)) {
        if (memcmp(reply.bytes, &mark, sizeof(mark)) == 0) {
            (void)is_new(NULL);
            atomic_store(&seen->marks, mark);
        }
    }
    else if (n > 0 && answer(&reply, (size_t)n, from.sin_port)) {
        (void)sendto(fd, reply.bytes, reply.len, 0, (struct sockaddr *)&from,
                     len);
    }
}

/* One connection, one question, both whole. */
static void
serve_tcp(int listener)
{
    int fd = accept(listener, NULL, NULL);
    unsigned char head[2];
    struct reply reply;

    if (recv(fd, head, 2, MSG_WAITALL) == 2) {
        size_t len = (size_t)(head[0] << 8 | head[1]);
        if (len <= 512 &&
            recv(fd, reply.bytes, len, MSG_WAITALL) == (ssize_t)len &&
            answer(&reply, len, 0)) {
            head[0] = (unsigned char)(reply.len >> 8);
            head[1] = (unsigned char)reply.len;
            (void)send(fd, head, 2, MSG_NOSIGNAL | MSG_MORE);
            (void)send(fd, reply.bytes, reply.len, MSG_NOSIGNAL);
        }
    }
    (void)close(fd);
}

_Noreturn static void
serve(int udp, int tcp)
{
    struct pollfd fds[2] = {{.fd = udp, .events = POLLIN},
                            {.fd = tcp, .events = POLLIN}};

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        if (poll(fds, 2, 60000) <= 0) {
            _exit(0);
        }
        if ((fds[0].revents & POLLIN) != 0) {
            serve_udp(udp);
        }
        if ((fds[1].revents & POLLIN) != 0) {
            serve_tcp(tcp);
        }
    }
}

const struct dnsd_seen *
dnsd_start(void)
{
    const int room = 4 << 20;
    char text[32];
    int tcp = tcp_listener(&server);
    int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    /* Somebody may have a datagram socket at the listener's port. */
    while (bind(udp, (struct sockaddr *)&server, sizeof(server)) < 0) {
        CHECK_EQ(errno, EADDRINUSE);
        (void)close(tcp);
        tcp = tcp_listener(&server);
    }
    CHECK_EQ(fcntl(tcp, F_SETFL, 0), 0);
    (void)setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
    seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(seen != MAP_FAILED);
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0) {
        serve(udp, tcp);
    }
    (void)close(udp);
    (void)close(tcp);
    (void)snprintf(text, sizeof(text), "127.0.0.1:%d", ntohs(server.sin_port));
    CHECK_EQ(setenv("CELADON_DNS", text, 1), 0);
    CHECK_EQ(setenv("LOCALDOMAIN", "", 1), 0);
    return seen;
}

void
dnsd_mark(void)
{
    unsigned mark = atomic_load(&seen->marks) + 1;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    /* Behind all that was asked before: one thread's datagrams are in order.
       Of one that comes twice the second is none. */
    while (atomic_load(&seen->marks) < mark) {
        CHECK_EQ(sendto(fd, &mark, sizeof(mark), 0,
                        (const struct sockaddr *)&server, sizeof(server)),
                 sizeof(mark));
        sleep_ms(1);
    }
    CHECK_EQ(close(fd), 0);
}
