/* SPDX-License-Identifier: MIT */
/*
 * Sockets and pipes as a program uses them: coroutines on both sides.
 */
#include "celadon/net.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "celadon/see.h"
#include "celadon/transfer.h"
#include "coros.h"
#include "sockets.h"

/* A moment that is only reached where something hangs. */
static cel_time
soon(void)
{
    return cel_after((cel_time)(5e9 * tap_slow()));
}

/* Listen on `text`; the address that a client may use is left in `*addr`. */
static int
listen_on(const char *text, struct sockaddr_storage *addr, socklen_t *len)
{
    CHECK_EQ(cel_addr_parse(text, addr, len), 0);
    int fd = cel_listen((struct sockaddr *)addr, *len, 0, CEL_NODELAY);
    CHECK_GE(fd, 0);
    *len = sizeof(*addr);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)addr, len), 0);
    return fd;
}

static void
echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char bytes[512];
    ssize_t n;

    while ((n = cel_recv(fd, bytes, sizeof(bytes), 0, soon())) > 0) {
        CHECK_EQ(cel_send_all(fd, bytes, (size_t)n, soon()), n);
    }
    CHECK(n == 0 || n == -ECANCELED); /* the run may end before this does */
    CHECK_EQ(cel_close(fd), 0);
}

static void
serve(void *arg)
{
    int listener = (int)(intptr_t)arg;
    int fd;

    while ((fd = cel_accept(listener, NULL, NULL, CEL_FOREVER)) >= 0) {
        CHECK_EQ(cel_go(NULL, echo, (void *)(intptr_t)fd), 0);
    }
    CHECK_EQ(fd, -ECANCELED);
}

/* A conversation over stream sockets at `text`. */
static void
converse(const char *text)
{
    struct sockaddr_storage addr;
    socklen_t len;
    char bytes[600];

    int listener = listen_on(text, &addr, &len);
    cel_coro *server = go(serve, (void *)(intptr_t)listener);
    int fd = cel_connect((struct sockaddr *)&addr, len, soon());
    CHECK_GE(fd, 0);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    for (int i = 0; i < 20; i++) {
        memset(bytes, 'a' + i, sizeof(bytes));
        CHECK_EQ(cel_send_all(fd, bytes, sizeof(bytes), soon()), 600);
        memset(bytes, 0, sizeof(bytes));
        CHECK_EQ(cel_recv_all(fd, bytes, sizeof(bytes), soon()), 600);
        CHECK_EQ(bytes[599], 'a' + i);
    }
    CHECK_EQ(cel_shutdown(fd, SHUT_WR), 0);
    CHECK_EQ(cel_recv(fd, bytes, sizeof(bytes), 0, soon()), 0);
    CHECK_EQ(cel_close(fd), 0);
    CHECK_EQ(cel_close(listener), 0);
    join(server);
}

static int
conversations(void *arg)
{
    char path[96];
    int v6 = socket(AF_INET6, SOCK_STREAM, 0);

    (void)arg;
    converse("127.0.0.1:0");
    if (v6 >= 0) {
        converse("[::1]:0");
        close(v6);
    }
    (void)snprintf(path, sizeof(path), "unix:@celadon-test-%d", getpid());
    converse(path);
    (void)snprintf(path, sizeof(path), "unix:%s", tap_path("listener"));
    converse(path);
    return 0;
}

TEST(an_echo_works_over_every_family)
{
    run(conversations);
}

static int
nobody_connects(void *arg)
{
    struct sockaddr_storage addr;
    socklen_t len;

    (void)arg;
    int listener = listen_on("127.0.0.1:0", &addr, &len);
    CHECK_EQ(cel_accept(listener, NULL, NULL, cel_after(2 * CEL_MSEC)),
             -ETIMEDOUT);
    CHECK_EQ(cel_accept(listener, NULL, NULL, CEL_AT_ONCE), -ETIMEDOUT);
    int fd = cel_connect((struct sockaddr *)&addr, len, soon());
    CHECK_GE(fd, 0);
    struct sockaddr_in peer;
    socklen_t peerlen = sizeof(peer);
    int conn = cel_accept(listener, (struct sockaddr *)&peer, &peerlen,
                          CEL_AT_ONCE);
    CHECK_GE(conn, 0);
    CHECK_EQ(peerlen, sizeof(peer));
    CHECK_EQ(ntohl(peer.sin_addr.s_addr), INADDR_LOOPBACK);
    int value = 0;
    socklen_t size = sizeof(value);
    CHECK_EQ(getsockopt(conn, IPPROTO_TCP, 1 /* TCP_NODELAY */, &value, &size),
             0);
    CHECK_NE(value, 0);
    return 0;
}

TEST(accept_times_out_and_makes_one_attempt)
{
    run(nobody_connects);
}

static int
bad_arguments(void *arg)
{
    struct sockaddr_storage addr;
    socklen_t len;
    char byte;

    (void)arg;
    CHECK_EQ(cel_addr_parse("127.0.0.1:0", &addr, &len), 0);
    struct sockaddr *any = (struct sockaddr *)&addr;
    CHECK_EQ(cel_listen(any, len, 0, 64), -EINVAL);
    CHECK_EQ(cel_udp(any, len, CEL_NODELAY), -EINVAL);
    CHECK_EQ(cel_listen(any, 3, 0, 0), -EINVAL);
    int fd = listen_on("127.0.0.1:0", &addr, &len);
    CHECK_EQ(cel_listen(any, len, 0, 0), -EADDRINUSE);
    CHECK_EQ(cel_recv(fd, &byte, 1, MSG_WAITALL, CEL_FOREVER), -EINVAL);
    CHECK_EQ(cel_recv(fd, &byte, 1, 0, CEL_FOREVER), -ENOTCONN);
    CHECK_EQ(cel_recv(9999, &byte, 1, 0, CEL_FOREVER), -EBADF);
    CHECK_EQ(cel_recv(-1, &byte, 1, 0, CEL_FOREVER), -EBADF);
    CHECK_EQ(cel_accept(9999, NULL, NULL, CEL_FOREVER), -EBADF);
    CHECK_EQ(cel_accept(-1, NULL, NULL, CEL_AT_ONCE), -EBADF);
    CHECK_EQ(cel_read(-1, &byte, 1, CEL_AT_ONCE), -EBADF);
    CHECK_EQ(cel_wait_fd(-1, CEL_READABLE, CEL_AT_ONCE), -EBADF);
    CHECK_EQ(cel_own(9999), -EBADF);
    CHECK_EQ(cel_close(9999), -EBADF);
    CHECK_EQ(cel_close(-1), -EBADF);
    CHECK_EQ(cel_close(fd), 0);
    CHECK_EQ(cel_connect(any, len, soon()), -ECONNREFUSED);
    return 0;
}

TEST(bad_arguments_are_refused)
{
    run(bad_arguments);
}

TEST(a_thread_without_coroutines_is_refused)
{
    struct sockaddr_in in = loopback();
    struct sockaddr *addr = (struct sockaddr *)&in;
    int fds[2] = {-7, -7};
    char byte = 0;

    CHECK_EQ(cel_listen(addr, sizeof(in), 0, 0), -EPERM);
    CHECK_EQ(cel_connect(addr, sizeof(in), CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_udp(addr, sizeof(in), 0), -EPERM);
    CHECK_EQ(cel_socketpair(fds), -EPERM);
    CHECK_EQ(cel_pipe(fds), -EPERM);
    CHECK_EQ(fds[0], -7);
    CHECK_EQ(cel_accept(0, NULL, NULL, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_recv(0, &byte, 1, 0, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_send(0, &byte, 1, 0, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_recv_all(0, &byte, 1, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_recv_all(0, &byte, 0, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_read(0, &byte, 1, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_sendto(0, &byte, 1, addr, sizeof(in), CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_wait_fd(0, CEL_READABLE, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_own(0), -EPERM);
    cel_disown(0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_EQ(cel_close(fds[0]), 0);
}

/* Where connections go that nobody takes: the SYN is dropped. */
static int
full_backlog(void *arg)
{
    struct sockaddr_in in = loopback();
    socklen_t len = sizeof(in);
    int fds[8];
    int n = 0;

    (void)arg;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(bind(listener, (struct sockaddr *)&in, len), 0);
    CHECK_EQ(listen(listener, 0), 0);
    CHECK_EQ(getsockname(listener, (struct sockaddr *)&in, &len), 0);
    do {
        CHECK_LT(n, 8);
        fds[n] = cel_connect((struct sockaddr *)&in, len,
                             cel_after(20 * CEL_MSEC));
    } while (fds[n++] >= 0);
    CHECK_EQ(fds[n - 1], -ETIMEDOUT);
    CHECK_EQ(cel_connect((struct sockaddr *)&in, len, CEL_AT_ONCE),
             -ETIMEDOUT);
    return 0;
}

TEST(connect_times_out)
{
    run(full_backlog);
}

static void
take_later(void *arg)
{
    CHECK_EQ(cel_sleep(cel_after(10 * CEL_MSEC)), 0);
    close(accept((int)(intptr_t)arg, NULL, NULL));
}

static int
full_unix_backlog(void *arg)
{
    struct sockaddr_storage addr;
    socklen_t len;
    char text[64];
    int n = 0;
    int fd;

    (void)arg;
    (void)snprintf(text, sizeof(text), "unix:@celadon-full-%d", getpid());
    CHECK_EQ(cel_addr_parse(text, &addr, &len), 0);
    int listener = cel_listen((struct sockaddr *)&addr, len, 1, 0);
    CHECK_GE(listener, 0);
    while ((fd = cel_connect((struct sockaddr *)&addr, len, CEL_AT_ONCE)) >=
           0) {
        CHECK_LT(++n, 8);
    }
    CHECK_EQ(fd, -ETIMEDOUT);
    cel_coro *taker = go(take_later, (void *)(intptr_t)listener);
    fd = cel_connect((struct sockaddr *)&addr, len, soon());
    CHECK_GE(fd, 0);
    join(taker);
    return 0;
}

TEST(a_full_unix_backlog_is_waited_for)
{
    run(full_unix_backlog);
}

static int nlogged;

static void
count_log(const char *text)
{
    nlogged += strncmp(text, "accept:", 7) == 0;
}

struct acceptor {
    int listener;
    int conn;
};

static void
accept_one(void *arg)
{
    struct acceptor *acceptor = arg;

    acceptor->conn = cel_accept(acceptor->listener, NULL, NULL, soon());
}

/* Leave the process no descriptor; returns how many dup()s that took. */
static int
use_up(int dups[64])
{
    int n = 0;

    while (n < 64 && (dups[n] = dup(0)) >= 0) {
        n++;
    }
    CHECK_LT(n, 64);
    return n;
}

static int
no_descriptors(void *arg)
{
    struct acceptor acceptor;
    struct sockaddr_storage addr;
    struct rlimit old;
    socklen_t len;
    int dups[64];

    (void)arg;
    cel_log_to(count_log);
    acceptor.listener = listen_on("127.0.0.1:0", &addr, &len);
    int client = cel_connect((struct sockaddr *)&addr, len, soon());
    CHECK_GE(client, 0);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    struct rlimit low = {40, old.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    int n = use_up(dups);
    CHECK_EQ(cel_accept(acceptor.listener, NULL, NULL, CEL_AT_ONCE), -EMFILE);
    CHECK_EQ(
        cel_accept(acceptor.listener, NULL, NULL, cel_after(25 * CEL_MSEC)),
        -EMFILE);
    cel_coro *coro = go(accept_one, &acceptor);
    CHECK_EQ(cel_sleep(cel_after(15 * CEL_MSEC)), 0);
    while (n > 0) {
        close(dups[--n]);
    }
    join(coro);
    CHECK_GE(acceptor.conn, 0);
    /* Closing the listener ends the pause at once. */
    CHECK_EQ(cel_close(acceptor.conn), 0);
    client = cel_connect((struct sockaddr *)&addr, len, soon());
    CHECK_GE(client, 0);
    (void)use_up(dups);
    coro = go(accept_one, &acceptor);
    settle();
    CHECK_EQ(cel_close(acceptor.listener), 0);
    join(coro);
    CHECK_EQ(acceptor.conn, -ECANCELED);
    CHECK_EQ(nlogged, 1);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
    return 0;
}

TEST(accept_outlives_a_shortage_of_descriptors)
{
    if (tap_valgrind()) {
        SKIP("valgrind's accept4() drops the connection");
    }
    run(no_descriptors);
}

/* Send or receive a pattern that shows pieces out of order. */
enum {
    BULK = 4 << 20
};

static void
send_bulk(void *arg)
{
    unsigned char *bytes = malloc(BULK);

    CHECK(bytes != NULL);
    for (int i = 0; i < BULK; i++) {
        bytes[i] = (unsigned char)(i % 251);
    }
    CHECK_EQ(cel_send_all((int)(intptr_t)arg, bytes, BULK, soon()), BULK);
    free(bytes);
}

static int
bulk(void *arg)
{
    unsigned char *bytes = malloc(BULK);
    int fds[2];

    (void)arg;
    CHECK(bytes != NULL);
    for (int unix_too = 0; unix_too < 2; unix_too++) {
        if (unix_too) {
            CHECK_EQ(cel_socketpair(fds), 0);
        }
        else {
            tcp_pair(fds);
            CHECK_EQ(cel_own(fds[0]), 0);
            CHECK_EQ(cel_own(fds[1]), 0);
        }
        /* Two senders: their messages come one after the other. */
        cel_coro *one = go(send_bulk, (void *)(intptr_t)fds[0]);
        cel_coro *two = go(send_bulk, (void *)(intptr_t)fds[0]);
        for (int round = 0; round < 2; round++) {
            size_t sum = 0;
            while (sum < BULK) {
                ssize_t n = cel_recv(fds[1], bytes + sum, BULK - sum, 0,
                                     soon());
                CHECK_GT(n, 0);
                sum += (size_t)n;
            }
            for (int i = 0; i < BULK; i++) {
                CHECK_EQ(bytes[i], i % 251);
            }
        }
        join(one);
        join(two);
    }
    free(bytes);
    return 0;
}

TEST(two_senders_of_bulk_do_not_mix)
{
    run(bulk);
}

static int
partial(void *arg)
{
    static char bytes[1 << 22];
    int fds[2];

    (void)arg;
    CHECK_EQ(cel_socketpair(fds), 0);
    /* What was taken before the deadline is not lost. */
    put(fds[1], "abc");
    CHECK_EQ(cel_recv_all(fds[0], bytes, 10, cel_after(CEL_MSEC)), 3);
    CHECK_EQ(cel_recv_all(fds[0], bytes, 10, cel_after(CEL_MSEC)), -ETIMEDOUT);
    CHECK_EQ(cel_recv_all(fds[0], bytes, 0, CEL_FOREVER), 0);
    ssize_t n = cel_send_all(fds[0], bytes, sizeof(bytes),
                             cel_after(CEL_MSEC));
    CHECK(n > 0 && n < (ssize_t)sizeof(bytes));
    CHECK_EQ(cel_send_all(fds[0], bytes, 1, cel_after(CEL_MSEC)), -ETIMEDOUT);
    CHECK_EQ(cel_send(fds[0], bytes, 1, MSG_DONTWAIT, CEL_FOREVER), -EAGAIN);
    put(fds[1], "de");
    CHECK_EQ(cel_close(fds[1]), 0);
    CHECK_EQ(cel_recv_all(fds[0], bytes, 10, soon()), 2);
    CHECK_LE(cel_recv_all(fds[0], bytes, 10, soon()), 0);
    /* No SIGPIPE. */
    CHECK_EQ(cel_send_all(fds[0], bytes, 1, soon()), -EPIPE);
    CHECK_EQ(cel_send(fds[0], bytes, 1, 0, soon()), -EPIPE);
    return 0;
}

TEST(whole_transfers_report_how_far_they_came)
{
    run(partial);
}

static void
reply(void *arg)
{
    int fd = (int)(intptr_t)arg;
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);
    char bytes[64];

    for (int i = 0; i < 3; i++) {
        len = sizeof(peer);
        ssize_t n = cel_recvfrom(fd, bytes, sizeof(bytes),
                                 (struct sockaddr *)&peer, &len, soon());
        CHECK_EQ(n, 4 + i);
        CHECK_EQ(cel_sendto(fd, bytes, (size_t)n, (struct sockaddr *)&peer,
                            len, soon()),
                 n);
    }
}

static void
exchange_datagrams(const char *text, const char *mine)
{
    struct sockaddr_storage addr;
    socklen_t len;
    char bytes[64] = "abcdefgh";

    CHECK_EQ(cel_addr_parse(text, &addr, &len), 0);
    int server = cel_udp((struct sockaddr *)&addr, len, 0);
    CHECK_GE(server, 0);
    CHECK_EQ(cel_addr_parse(mine, &addr, &len), 0);
    int client = cel_udp((struct sockaddr *)&addr, len, 0);
    CHECK_GE(client, 0);
    len = sizeof(addr);
    CHECK_EQ(getsockname(server, (struct sockaddr *)&addr, &len), 0);
    CHECK_EQ(cel_recvfrom(client, bytes, sizeof(bytes), NULL, NULL,
                          cel_after(CEL_MSEC)),
             -ETIMEDOUT);
    cel_coro *coro = go(reply, (void *)(intptr_t)server);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(cel_sendto(client, bytes, 4 + (size_t)i,
                            (struct sockaddr *)&addr, len, soon()),
                 4 + i);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(
            cel_recvfrom(client, bytes, sizeof(bytes), NULL, NULL, soon()),
            4 + i);
    }
    join(coro);
    CHECK_EQ(connect(client, (struct sockaddr *)&addr, len), 0);
    CHECK_EQ(cel_sendto(client, bytes, 5, NULL, 0, soon()), 5);
    CHECK_EQ(cel_recvfrom(server, bytes, sizeof(bytes), NULL, NULL, soon()),
             5);
    CHECK_EQ(cel_close(server), 0);
    CHECK_EQ(cel_close(client), 0);
}

static int
datagrams(void *arg)
{
    char text[64];
    char mine[64];

    (void)arg;
    exchange_datagrams("127.0.0.1:0", "127.0.0.1:0");
    (void)snprintf(text, sizeof(text), "unix:@celadon-dgram-%d", getpid());
    (void)snprintf(mine, sizeof(mine), "unix:@celadon-mine-%d", getpid());
    exchange_datagrams(text, mine);
    return 0;
}

TEST(datagrams_come_one_by_one_with_their_sender)
{
    run(datagrams);
}

static void
drink(void *arg)
{
    char bytes[64];

    CHECK_EQ(cel_sleep(cel_after(5 * CEL_MSEC)), 0);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(cel_recv((int)(intptr_t)arg, bytes, sizeof(bytes), 0, soon()),
                 8);
    }
}

static int
full_queue(void *arg)
{
    struct sockaddr_storage addr;
    socklen_t len;
    char text[64];

    (void)arg;
    (void)snprintf(text, sizeof(text), "unix:@celadon-queue-%d", getpid());
    CHECK_EQ(cel_addr_parse(text, &addr, &len), 0);
    int server = cel_udp((struct sockaddr *)&addr, len, 0);
    CHECK_GE(server, 0);
    int client = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK_EQ(cel_own(client), 0);
    cel_coro *coro = go(drink, (void *)(intptr_t)server);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(cel_sendto(client, "datagram", 8, (struct sockaddr *)&addr,
                            len, soon()),
                 8);
    }
    join(coro);
    return 0;
}

TEST(a_full_unix_queue_is_waited_for)
{
    run(full_queue);
}

static void
drink_late(void *arg)
{
    char bytes[64];

    CHECK_EQ(cel_sleep(cel_after(100 * CEL_MSEC)), 0);
    while (cel_recv((int)(intptr_t)arg, bytes, sizeof(bytes), 0, CEL_AT_ONCE) >
           0) {}
}

/* What one socket filled another one waits for. */
static int
full_of_others(void *arg)
{
    struct cel_stats before = {.size = sizeof(before)};
    struct cel_stats after = {.size = sizeof(after)};
    struct iovec piece = {(void *)(uintptr_t) "one", 3};
    struct sockaddr_storage addr;
    struct msghdr msg = {
        .msg_name = &addr, .msg_iov = &piece, .msg_iovlen = 1};
    struct mmsghdr many[2];
    char text[64];

    (void)arg;
    (void)snprintf(text, sizeof(text), "unix:@celadon-others-%d", getpid());
    CHECK_EQ(cel_addr_parse(text, &addr, &msg.msg_namelen), 0);
    int server = cel_udp((struct sockaddr *)&addr, msg.msg_namelen, 0);
    CHECK_GE(server, 0);
    int one = socket(AF_UNIX, SOCK_DGRAM, 0);
    int other = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK_EQ(cel_own(other), 0);
    for (int i = 0; i < 2; i++) {
        while (cel_sendmsg(one, &msg, 0, CEL_AT_ONCE) == 3) {}
        CHECK_EQ(cel_sendmsg(other, &msg, MSG_DONTWAIT, soon()), -EAGAIN);
        cel_coro *coro = go(drink_late, (void *)(intptr_t)server);
        CHECK_EQ(cel_stats_get(&before), 0);
        if (i == 0) {
            CHECK_EQ(cel_sendmsg(other, &msg, 0, soon()), 3);
        }
        else {
            many[0].msg_hdr = msg;
            many[1].msg_hdr = msg;
            CHECK_EQ(cel_send_many(other, many, 2, 0, soon()), 2);
        }
        CHECK_EQ(cel_stats_get(&after), 0);
        CHECK_LT(after.turns - before.turns, 500); /* it does not spin */
        join(coro);
    }
    return 0;
}

TEST(a_unix_queue_that_others_filled_is_waited_for_asleep)
{
    run(full_of_others);
}

static int
scattered(void *arg)
{
    char one[2];
    char two[8];
    struct iovec out[2] = {{(void *)(uintptr_t) "ab", 2},
                           {(void *)(uintptr_t) "cdef", 4}};
    struct iovec in[2] = {{one, 2}, {two, 8}};
    struct msghdr sent = {.msg_iov = out, .msg_iovlen = 2};
    struct msghdr received = {.msg_iov = in, .msg_iovlen = 2};
    int fds[2];

    (void)arg;
    CHECK_EQ(cel_socketpair(fds), 0);
    CHECK_EQ(cel_recvmsg(fds[1], &received, 0, cel_after(CEL_MSEC)),
             -ETIMEDOUT);
    CHECK_EQ(cel_sendmsg(fds[0], &sent, 0, soon()), 6);
    CHECK_EQ(cel_recvmsg(fds[1], &received, 0, soon()), 6);
    CHECK_MEM(one, "ab", 2);
    CHECK_MEM(two, "cdef", 4);
    CHECK_EQ(cel_recvmsg(fds[1], &received, MSG_WAITALL, soon()), -EINVAL);
    return 0;
}

TEST(scattered_buffers_are_filled)
{
    run(scattered);
}

static void
write_pipe(void *arg)
{
    static const char bytes[200000];
    size_t sum = 0;

    while (sum < sizeof(bytes)) {
        ssize_t n = cel_write((int)(intptr_t)arg, bytes + sum,
                              sizeof(bytes) - sum, soon());
        CHECK_GT(n, 0);
        sum += (size_t)n;
    }
    CHECK_EQ(cel_close((int)(intptr_t)arg), 0);
}

static int
pipes(void *arg)
{
    char bytes[5000];
    size_t sum = 0;
    ssize_t n;
    int fds[2];

    (void)arg;
    for (int blocking = 0; blocking < 2; blocking++) {
        sum = 0;
        if (blocking) {
            CHECK_EQ(pipe(fds), 0);
        }
        else {
            CHECK_EQ(cel_pipe(fds), 0);
        }
        CHECK_EQ(cel_read(fds[0], bytes, 1, cel_after(CEL_MSEC)), -ETIMEDOUT);
        cel_coro *coro = go(write_pipe, (void *)(intptr_t)fds[1]);
        while ((n = cel_read(fds[0], bytes, sizeof(bytes), soon())) > 0) {
            sum += (size_t)n;
        }
        CHECK_EQ(n, 0);
        CHECK_EQ(sum, 200000);
        join(coro);
        CHECK_EQ(cel_close(fds[0]), 0);
    }
    CHECK_EQ(signal(SIGPIPE, SIG_IGN) == SIG_ERR, 0);
    CHECK_EQ(cel_pipe(fds), 0);
    CHECK_EQ(cel_close(fds[0]), 0);
    CHECK_EQ(cel_write(fds[1], bytes, 1, soon()), -EPIPE);
    return 0;
}

TEST(pipes_carry_bytes_in_either_mode)
{
    run(pipes);
}

static int
foreign(void *arg)
{
    int fds[2];
    char byte;

    (void)arg;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_EQ(cel_wait_fd(fds[0], CEL_READABLE, cel_after(CEL_MSEC)),
             -ETIMEDOUT);
    CHECK_EQ(cel_wait_fd(fds[0], CEL_WRITABLE, soon()), CEL_WRITABLE);
    CHECK_EQ(cel_recv(fds[0], &byte, 1, 0, cel_after(CEL_MSEC)), -ETIMEDOUT);
    CHECK_EQ(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQ(cel_own(fds[0]), 0);
    CHECK_EQ(cel_own(fds[0]), 0);
    CHECK_EQ(fcntl(fds[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    CHECK_EQ(cel_wait_fd(fds[0], CEL_READABLE, cel_after(CEL_MSEC)),
             -ETIMEDOUT);
    put(fds[1], "x");
    CHECK_EQ(cel_wait_fd(fds[0], CEL_READABLE, soon()), CEL_READABLE);
    CHECK_EQ(cel_recv(fds[0], &byte, 1, 0, soon()), 1);
    cel_disown(fds[0]);
    put(fds[1], "y");
    CHECK_EQ(cel_recv(fds[0], &byte, 1, 0, soon()), 1);
    close(fds[0]);
    CHECK_EQ(cel_wait_fd(fds[0], CEL_READABLE, soon()), -EBADF);
    return 0;
}

TEST(foreign_descriptors_work_and_may_be_owned)
{
    run(foreign);
}

static struct sockaddr_storage server_addr;
static socklen_t server_len;

static void
client_of_many(void *arg)
{
    int *done = arg;
    char bytes[32];

    int fd = cel_connect((struct sockaddr *)&server_addr, server_len, soon());
    CHECK_GE(fd, 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(cel_send_all(fd, "0123456789abcdef", 16, soon()), 16);
        CHECK_EQ(cel_recv_all(fd, bytes, 16, soon()), 16);
    }
    CHECK_EQ(cel_close(fd), 0);
    ++*done;
}

static int
many(void *arg)
{
    enum {
        N = 200
    };
    cel_coro *clients[N];
    int done = 0;

    (void)arg;
    int listener = listen_on("127.0.0.1:0", &server_addr, &server_len);
    cel_coro *server = go(serve, (void *)(intptr_t)listener);
    for (int i = 0; i < N; i++) {
        clients[i] = go(client_of_many, &done);
    }
    for (int i = 0; i < N; i++) {
        join(clients[i]);
    }
    CHECK_EQ(done, N);
    CHECK_EQ(cel_close(listener), 0);
    join(server);
    return 0;
}

TEST(two_hundred_clients_are_served)
{
    run(many);
}
