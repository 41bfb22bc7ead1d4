/* SPDX-License-Identifier: MIT */
/*
 * Sockets for tests, made by plain system calls; they fail the test where
 * they fail.
 *
 * Threads: any.
 */
#ifndef CEL_TEST_SOCKETS_H
#define CEL_TEST_SOCKETS_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tap.h"

/* A loopback address with a port that the kernel chooses. */
static inline struct sockaddr_in
loopback(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET};

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return in;
}

/* A non-blocking listener; `*in` becomes its address. */
static inline int
tcp_listener(struct sockaddr_in *in)
{
    socklen_t len = sizeof(*in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    CHECK_GE(fd, 0);
    *in = loopback();
    CHECK_EQ(bind(fd, (struct sockaddr *)in, len), 0);
    CHECK_EQ(listen(fd, 1024), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)in, &len), 0);
    return fd;
}

/* A blocking connection to `in`. */
static inline int
tcp_dial(const struct sockaddr_in *in)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK_GE(fd, 0);
    CHECK_EQ(connect(fd, (const struct sockaddr *)in, sizeof(*in)), 0);
    return fd;
}

/* Two connected TCP sockets: fds[0] non-blocking, fds[1] blocking. */
static inline void
tcp_pair(int fds[2])
{
    struct sockaddr_in in;
    int listener = tcp_listener(&in);

    fds[1] = tcp_dial(&in);
    fds[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    CHECK_GE(fds[0], 0);
    CHECK_EQ(close(listener), 0);
}

/* The same of unix sockets. */
static inline void
unix_pair(int fds[2])
{
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_EQ(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
}

/* Whether the end of the stream comes to `fd` soon. */
static inline bool
stream_ends(int fd)
{
    struct pollfd look = {fd, POLLIN, 0};
    char byte;

    return poll(&look, 1, 5000) == 1 && read(fd, &byte, 1) == 0;
}

/* Send `text` whole. */
static inline void
put(int fd, const char *text)
{
    CHECK_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL),
             (ssize_t)strlen(text));
}

/* Fill the buffers between `fd` and its peer; the bytes that fitted. */
static inline size_t
stuff(int fd)
{
    static const char zeroes[65536];
    size_t sum = 0;
    ssize_t n;

    /* What the peer's side takes may free room on ours after the first
       refusal, so ask twice. */
    for (int refused = 0; refused < 2; refused++) {
        while ((n = send(fd, zeroes, sizeof(zeroes),
                         MSG_DONTWAIT | MSG_NOSIGNAL)) > 0) {
            sum += (size_t)n;
        }
        CHECK_EQ(errno, EAGAIN);
        usleep(1000);
    }
    return sum;
}

#endif
