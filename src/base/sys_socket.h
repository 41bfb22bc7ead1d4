/* SPDX-License-Identifier: MIT */
/*
 * The system calls of sys.h that are about sockets.
 *
 * Threads: any.
 */
#ifndef CEL_SYS_SOCKET_H
#define CEL_SYS_SOCKET_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/sys_call.h"

CEL__SYS_WRAP(int, socket, (int domain, int type, int protocol),
              (domain, type, protocol))
CEL__SYS_WRAP(int, socketpair,
              (int domain, int type, int protocol, int fds[2]),
              (domain, type, protocol, fds))
CEL__SYS_WRAP(int, bind,
              (int fd, const struct sockaddr *addr, socklen_t addrlen),
              (fd, addr, addrlen))
CEL__SYS_WRAP(int, listen, (int fd, int backlog), (fd, backlog))
CEL__SYS_WRAP(int, accept4,
              (int fd, struct sockaddr *addr, socklen_t *addrlen, int flags),
              (fd, addr, addrlen, flags))

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

CEL__SYS_WRAP(int, shutdown, (int fd, int how), (fd, how))
CEL__SYS_WRAP(int, getsockopt,
              (int fd, int level, int name, void *value, socklen_t *len),
              (fd, level, name, value, len))
CEL__SYS_WRAP(int, setsockopt,
              (int fd, int level, int name, const void *value, socklen_t len),
              (fd, level, name, value, len))
CEL__SYS_WRAP(ssize_t, recv, (int fd, void *buf, size_t len, int flags),
              (fd, buf, len, flags))
CEL__SYS_WRAP(ssize_t, send, (int fd, const void *buf, size_t len, int flags),
              (fd, buf, len, flags))
CEL__SYS_WRAP(ssize_t, recvmsg, (int fd, struct msghdr *msg, int flags),
              (fd, msg, flags))
CEL__SYS_WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags),
              (fd, msg, flags))

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
