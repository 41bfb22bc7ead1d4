/* SPDX-License-Identifier: MIT */
/*
 * The system calls of sys.h that are about sockets.
 *
 * Threads: any.
 */
#ifndef CEL_SYS_SOCKET_H
#define CEL_SYS_SOCKET_H

#include <sys/socket.h>
#include <sys/types.h>

#include "base/sys_call.h"

static inline int
cel__sys_socket(int domain, int type, int protocol)
{
    int fd;

    CEL__SYS(fd, socket, (domain, type, protocol));
    return fd;
}

static inline int
cel__sys_socketpair(int domain, int type, int protocol, int fds[2])
{
    int err;

    CEL__SYS(err, socketpair, (domain, type, protocol, fds));
    return err;
}

static inline int
cel__sys_bind(int fd, const struct sockaddr *addr, socklen_t addrlen)
{
    int err;

    CEL__SYS(err, bind, (fd, addr, addrlen));
    return err;
}

static inline int
cel__sys_listen(int fd, int backlog)
{
    int err;

    CEL__SYS(err, listen, (fd, backlog));
    return err;
}

static inline int
cel__sys_accept4(int fd, struct sockaddr *addr, socklen_t *addrlen, int flags)
{
    int conn;

    CEL__SYS(conn, accept4, (fd, addr, addrlen, flags));
    return conn;
}

/* An interrupted connect goes on in the background, as a non-blocking one
   does; calling it again would give EALREADY. */
static inline int
cel__sys_connect(int fd, const struct sockaddr *addr, socklen_t addrlen)
{
    int fault = cel__fault("connect");

    if (fault != 0 && fault != EINTR) {
        return -fault;
    }
    int err = connect(fd, addr, addrlen) == -1 ? -errno : fault;
    return err == -EINTR || err == EINTR ? -EINPROGRESS : err;
}

static inline int
cel__sys_shutdown(int fd, int how)
{
    int err;

    CEL__SYS(err, shutdown, (fd, how));
    return err;
}

static inline int
cel__sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    int err;

    CEL__SYS(err, getsockopt, (fd, level, name, value, len));
    return err;
}

static inline int
cel__sys_setsockopt(int fd, int level, int name, const void *value,
                    socklen_t len)
{
    int err;

    CEL__SYS(err, setsockopt, (fd, level, name, value, len));
    return err;
}

static inline int
cel__sys_getsockname(int fd, struct sockaddr *addr, socklen_t *addrlen)
{
    int err;

    CEL__SYS(err, getsockname, (fd, addr, addrlen));
    return err;
}

static inline int
cel__sys_getpeername(int fd, struct sockaddr *addr, socklen_t *addrlen)
{
    int err;

    CEL__SYS(err, getpeername, (fd, addr, addrlen));
    return err;
}

static inline ssize_t
cel__sys_recv(int fd, void *buf, size_t len, int flags)
{
    ssize_t n;

    CEL__SYS(n, recv, (fd, buf, len, flags));
    return n;
}

static inline ssize_t
cel__sys_send(int fd, const void *buf, size_t len, int flags)
{
    ssize_t n;

    CEL__SYS(n, send, (fd, buf, len, flags));
    return n;
}

static inline ssize_t
cel__sys_recvfrom(int fd, void *buf, size_t len, int flags,
                  struct sockaddr *addr, socklen_t *addrlen)
{
    ssize_t n;

    CEL__SYS(n, recvfrom, (fd, buf, len, flags, addr, addrlen));
    return n;
}

static inline ssize_t
cel__sys_sendto(int fd, const void *buf, size_t len, int flags,
                const struct sockaddr *addr, socklen_t addrlen)
{
    ssize_t n;

    CEL__SYS(n, sendto, (fd, buf, len, flags, addr, addrlen));
    return n;
}

static inline ssize_t
cel__sys_recvmsg(int fd, struct msghdr *msg, int flags)
{
    ssize_t n;

    CEL__SYS(n, recvmsg, (fd, msg, flags));
    return n;
}

static inline ssize_t
cel__sys_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    ssize_t n;

    CEL__SYS(n, sendmsg, (fd, msg, flags));
    return n;
}

/* At most 1024 messages a call, and none is waited for. */
static inline ssize_t
cel__sys_recvmmsg(int fd, struct mmsghdr *msgs, size_t n, int flags)
{
    unsigned most = n < 1024 ? (unsigned)n : 1024;
    ssize_t got;

    CEL__SYS(got, recvmmsg, (fd, msgs, most, flags | MSG_DONTWAIT, NULL));
    return got;
}

/* The same; no SIGPIPE is raised. */
static inline ssize_t
cel__sys_sendmmsg(int fd, struct mmsghdr *msgs, size_t n, int flags)
{
    unsigned most = n < 1024 ? (unsigned)n : 1024;
    ssize_t sent;

    CEL__SYS(sent, sendmmsg,
             (fd, msgs, most, flags | MSG_DONTWAIT | MSG_NOSIGNAL));
    return sent;
}

#endif
