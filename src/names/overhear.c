/* SPDX-License-Identifier: MIT */
/*
 * The sockets of c-ares.
 *
 * The calls are those that it would make itself, and leave errno as it wants
 * it.
 *
 * Threads: see overhear.h.
 *
 * Tests: unit/test_ares.c
 */
#include "names/overhear.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static ares_socket_t
open_socket(int family, int type, int protocol, void *arg)
{
    (void)arg;
    return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

static int
close_socket(ares_socket_t fd, void *arg)
{
    (void)arg;
    return close(fd);
}

static int
connect_socket(ares_socket_t fd, const struct sockaddr *addr,
               ares_socklen_t len, void *arg)
{
    (void)arg;
    return connect(fd, addr, len);
}

static ares_ssize_t
/* NOLINTNEXTLINE(readability-function-size) */
receive(ares_socket_t fd, void *buf, size_t len, int flags,
        struct sockaddr *addr, ares_socklen_t *addrlen, void *arg)
{
    /* parameters: those of c-ares */
    struct cel__overhear *self = arg;
    ssize_t n = recvfrom(fd, buf, len, flags, addr, addrlen);

    /* Of a stream, whose pieces may be any, nobody wants the address. */
    if (n > 0 && addr != NULL) {
        self->heard(self, buf, (size_t)n);
    }
    return n;
}

static ares_ssize_t
transmit(ares_socket_t fd, const struct iovec *pieces, int npieces, void *arg)
{
    (void)arg;
    return writev(fd, pieces, npieces);
}

void
cel__overhear(ares_channel channel, struct cel__overhear *self)
{
    static const struct ares_socket_functions functions = {
        open_socket, close_socket, connect_socket, receive, transmit,
    };

    ares_set_socket_functions(channel, &functions, self);
}
