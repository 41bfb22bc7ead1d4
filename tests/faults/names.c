/* SPDX-License-Identifier: MIT */
/* Faults in names and places: looked up, listened at, dialled. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "faults.h"

/* The port of a socket. */
static int
port_of(int fd)
{
    struct sockaddr_in in = {0};
    socklen_t len = sizeof(in);

    (void)getsockname(fd, (struct sockaddr *)&in, &len);
    return ntohs(in.sin_port);
}

SCENARIO(place)
{
    char port[8];

    int listener = CALL(cel_listen_at, "127.0.0.1:0", 0, 0, soon());
    if (listener < 0) {
        return;
    }
    (void)snprintf(port, sizeof(port), "%d", port_of(listener));
    int fd = CALL(cel_dial, "127.0.0.1", port, soon());
    if (fd >= 0) {
        (void)CALL(cel_close, fd);
    }
    (void)CALL(cel_close, listener);
}

/* A name server that knows no name. */
static void
deny(void *arg)
{
    int fd = *(int *)arg;
    unsigned char bytes[512];
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);

    for (;;) {
        ssize_t n = cel_recvfrom(fd, bytes, sizeof(bytes),
                                 (struct sockaddr *)&from, &len, soon());
        if (n == -ECANCELED) {
            return;
        }
        if (n > 3) {
            bytes[2] = 0x81;
            bytes[3] = 0x83;
            (void)!cel_sendto(fd, bytes, (size_t)n, (struct sockaddr *)&from,
                              len, soon());
        }
    }
}

SCENARIO(unknown_name)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    cel_coro *server;
    char text[32];

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = CALL(cel_udp, (struct sockaddr *)&in, sizeof(in), 0);
    if (fd < 0) {
        return;
    }
    (void)snprintf(text, sizeof(text), "127.0.0.1:%d", port_of(fd));
    (void)setenv("CELADON_DNS", text, 1);
    (void)setenv("LOCALDOMAIN", "", 1);
    if (CALL(cel_go, &server, deny, &fd) == 0) {
        MUST(CALL(cel_resolve, "no.name", "80", &hints, &found, soon()) < 0);
        MUST(found == NULL);
        cel_cancel(server);
        finish(server);
    }
    (void)CALL(cel_close, fd);
}
