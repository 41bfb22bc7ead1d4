/* SPDX-License-Identifier: MIT */
/* Faults in sockets and pipes. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"

/* More than a socket's buffer holds, so that who sends must wait. */
#define MUCH ((size_t)1 << 20)

static char source[MUCH];
static char target[MUCH];

static void
drain(void *arg)
{
    int fd = *(int *)arg;

    (void)CALL(cel_recv_all, fd, target, MUCH, soon());
    (void)CALL(cel_send, fd, "x", 1, 0, soon());
    (void)CALL(cel_shutdown, fd, SHUT_RDWR);
    (void)CALL(cel_close, fd);
}

SCENARIO(stream)
{
    int fds[2] = {-1, -1};
    cel_coro *coro;
    char byte;

    if (CALL(cel_socketpair, fds) < 0) {
        MUST(fds[0] == -1 && fds[1] == -1);
        return;
    }
    if (CALL(cel_go, &coro, drain, &fds[1]) < 0) {
        (void)CALL(cel_close, fds[0]);
        (void)CALL(cel_close, fds[1]);
        return;
    }
    ssize_t n = CALL(cel_send_all, fds[0], source, MUCH, soon());
    if (n == (ssize_t)MUCH) {
        (void)CALL(cel_recv, fds[0], &byte, 1, 0, soon());
    }
    (void)CALL(cel_close, fds[0]);
    finish(coro);
}

static void
feed(void *arg)
{
    int fd = *(int *)arg;

    (void)CALL(cel_sleep, cel_after(1000));
    (void)CALL(cel_write, fd, "xyz", 3, soon());
    (void)CALL(cel_close, fd);
}

SCENARIO(pipe)
{
    int fds[2] = {-1, -1};
    cel_coro *coro;
    char bytes[8];

    if (CALL(cel_pipe, fds) < 0) {
        MUST(fds[0] == -1 && fds[1] == -1);
        return;
    }
    if (CALL(cel_go, &coro, feed, &fds[1]) < 0) {
        (void)CALL(cel_close, fds[1]);
        (void)CALL(cel_close, fds[0]);
        return;
    }
    (void)CALL(cel_wait_fd, fds[0], CEL_READABLE, soon());
    (void)CALL(cel_read, fds[0], bytes, sizeof(bytes), soon());
    (void)CALL(cel_close, fds[0]);
    finish(coro);
}

/* Somebody else's descriptors: blocking, then owned, then given back. */
SCENARIO(foreign)
{
    int fds[2];
    cel_coro *coro;
    char bytes[8];

    MUST(pipe(fds) == 0);
    if (CALL(cel_own, fds[0]) == 0) {
        (void)CALL(cel_own, fds[0]);
    }
    if (CALL(cel_go, &coro, feed, &fds[1]) == 0) {
        (void)CALL(cel_read, fds[0], bytes, sizeof(bytes), soon());
        finish(coro);
    }
    else {
        (void)CALL(cel_close, fds[1]);
    }
    DO(cel_disown, fds[0]);
    MUST(close(fds[0]) == 0);
}

struct server {
    int fd;
    struct sockaddr_storage addr;
    socklen_t addrlen;
};

static int
open_server(struct server *server)
{
    char text[CEL_ADDR_TEXT];

    MUST(CALL(cel_addr_parse, "127.0.0.1:0", &server->addr,
              &server->addrlen) == 0);
    MUST(CALL(cel_addr_format, (struct sockaddr *)&server->addr,
              server->addrlen, text, sizeof(text)) > 0);
    server->fd = CALL(cel_listen, (struct sockaddr *)&server->addr,
                      server->addrlen, 0, CEL_NODELAY | CEL_REUSEPORT);
    if (server->fd < 0) {
        return -1;
    }
    server->addrlen = sizeof(server->addr);
    MUST(getsockname(server->fd, (struct sockaddr *)&server->addr,
                     &server->addrlen) == 0);
    return 0;
}

static void
dial(void *arg)
{
    struct server *server = arg;
    char bytes[8] = "hello";

    int fd = CALL(cel_connect, (struct sockaddr *)&server->addr,
                  server->addrlen, soon());
    if (fd < 0) {
        (void)CALL(cel_close, server->fd); /* who accepts waits in vain */
        server->fd = -1;
        return;
    }
    struct iovec iov = {bytes, 5};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (CALL(cel_sendmsg, fd, &msg, 0, soon()) > 0) {
        (void)CALL(cel_recvmsg, fd, &msg, 0, soon());
    }
    (void)CALL(cel_close, fd);
}

SCENARIO(tcp)
{
    struct server server;
    cel_coro *coro;
    char bytes[8];

    if (open_server(&server) < 0) {
        return;
    }
    if (CALL(cel_go, &coro, dial, &server) == 0) {
        int fd = CALL(cel_accept, server.fd, NULL, NULL, soon());
        if (fd >= 0) {
            ssize_t n = CALL(cel_recv, fd, bytes, sizeof(bytes), 0, soon());
            if (n > 0) {
                (void)CALL(cel_send, fd, bytes, (size_t)n, 0, soon());
            }
            (void)CALL(cel_close, fd);
        }
        else {
            (void)CALL(cel_close, server.fd); /* resets who dials */
            server.fd = -1;
        }
        finish(coro);
    }
    if (server.fd >= 0) {
        (void)CALL(cel_close, server.fd);
    }
}

static void
answer(void *arg)
{
    int fd = *(int *)arg;
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    char bytes[8];

    ssize_t n = CALL(cel_recvfrom, fd, bytes, sizeof(bytes),
                     (struct sockaddr *)&from, &len, soon());
    if (n > 0) {
        (void)CALL(cel_sendto, fd, bytes, (size_t)n, (struct sockaddr *)&from,
                   len, soon());
    }
}

SCENARIO(udp)
{
    struct sockaddr_storage addr;
    socklen_t len;
    char bytes[8] = "hello";
    cel_coro *coro;

    MUST(cel_addr_parse("127.0.0.1:0", &addr, &len) == 0);
    int c = CALL(cel_udp_connect, (struct sockaddr *)&addr, len);
    (void)CALL(cel_close, c);
    int a = CALL(cel_udp, (struct sockaddr *)&addr, len, 0);
    int b = CALL(cel_udp, (struct sockaddr *)&addr, len, 0);
    len = sizeof(addr);
    if (a >= 0 && b >= 0 && CALL(cel_go, &coro, answer, &a) == 0) {
        MUST(getsockname(a, (struct sockaddr *)&addr, &len) == 0);
        ssize_t n = CALL(cel_sendto, b, bytes, 5, (struct sockaddr *)&addr,
                         len, soon());
        if (n > 0) {
            /* The answer is lost where the fault was on the other side. */
            (void)CALL(cel_recvfrom, b, bytes, sizeof(bytes), NULL, NULL,
                       cel_after(50 * CEL_MSEC));
        }
        cel_cancel(coro);
        finish(coro);
    }
    (void)CALL(cel_close, a);
    (void)CALL(cel_close, b);
}

SCENARIO(datagrams)
{
    char bytes[2][8] = {"one", "two"};
    struct iovec rooms[2] = {{bytes[0], 3}, {bytes[1], 3}};
    struct mmsghdr msgs[2] = {0};
    struct sockaddr_storage addr;
    socklen_t len;

    for (int i = 0; i < 2; i++) {
        msgs[i].msg_hdr.msg_iov = &rooms[i];
        msgs[i].msg_hdr.msg_iovlen = 1;
    }
    MUST(cel_addr_parse("127.0.0.1:0", &addr, &len) == 0);
    int a = CALL(cel_udp, (struct sockaddr *)&addr, len, 0);
    if (a < 0) {
        return;
    }
    len = sizeof(addr);
    MUST(getsockname(a, (struct sockaddr *)&addr, &len) == 0);
    int b = CALL(cel_udp_connect, (struct sockaddr *)&addr, len);
    if (b >= 0) {
        ssize_t left = CALL(cel_send_many, b, msgs, 2, 0, soon());
        while (left > 0) {
            ssize_t n = CALL(cel_recv_many, a, msgs, 2, 0, soon());
            if (n < 0) {
                break;
            }
            MUST(n > 0 && n <= left);
            left -= n;
        }
        (void)CALL(cel_recv_many, a, msgs, 2, 0, cel_after(CEL_MSEC));
        (void)CALL(cel_close, b);
    }
    (void)CALL(cel_close, a);
}

/* A file, and a descriptor behind it, over a pair of unix sockets. */
SCENARIO(transfer)
{
    char text[64];
    int64_t offset = 0;
    int fds[2];
    int got[2];
    size_t ngot = 2;

    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    MUST(file >= 0);
    if (CALL(cel_socketpair, fds) == 0) {
        if (CALL(cel_sendfile, fds[1], file, &offset, 64, soon()) == 64 &&
            CALL(cel_recv_all, fds[0], text, 64, soon()) == 64 &&
            CALL(cel_send_fds, fds[1], "f", 1, &file, 1, soon()) == 1 &&
            CALL(cel_recv_fds, fds[0], text, 1, got, &ngot, soon()) == 1) {
            MUST(ngot == 1 && close(got[0]) == 0);
        }
        (void)CALL(cel_close, fds[0]);
        (void)CALL(cel_close, fds[1]);
    }
    MUST(close(file) == 0);
}

SCENARIO(burst)
{
    struct server server;
    cel_coro *coro;
    int conns[4];

    if (open_server(&server) < 0) {
        return;
    }
    if (CALL(cel_go, &coro, dial, &server) == 0) {
        ssize_t n = CALL(cel_accept_many, server.fd, conns, 4, soon());
        for (ssize_t i = 0; i < n; i++) {
            (void)CALL(cel_close, conns[i]);
        }
        if (n < 0) {
            (void)CALL(cel_close, server.fd); /* resets who dials */
            server.fd = -1;
        }
        finish(coro);
    }
    if (server.fd >= 0) {
        (void)CALL(cel_close, server.fd);
    }
}

static void
dial_name(void *arg)
{
    struct server *server = arg;
    char where[CEL_ADDR_TEXT];

    (void)snprintf(where, sizeof(where), "localhost:%d",
                   ntohs(((struct sockaddr_in *)&server->addr)->sin_port));
    int fd = CALL(cel_dial, where, NULL, soon());
    if (fd < 0) {
        (void)CALL(cel_close, server->fd); /* who accepts waits in vain */
        server->fd = -1;
        return;
    }
    (void)CALL(cel_close, fd);
}

SCENARIO(dial)
{
    struct server server;
    cel_coro *coro;

    server.fd = CALL(cel_listen_at, "127.0.0.1:0", 0, 0, soon());
    if (server.fd < 0) {
        return;
    }
    server.addrlen = sizeof(server.addr);
    MUST(getsockname(server.fd, (struct sockaddr *)&server.addr,
                     &server.addrlen) == 0);
    if (CALL(cel_go, &coro, dial_name, &server) == 0) {
        int fd = CALL(cel_accept, server.fd, NULL, NULL, soon());
        if (fd >= 0) {
            (void)CALL(cel_close, fd);
        }
        else {
            (void)CALL(cel_close, server.fd);
            server.fd = -1;
        }
        finish(coro);
    }
    if (server.fd >= 0) {
        (void)CALL(cel_close, server.fd);
    }
}
