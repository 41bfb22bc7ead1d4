/* SPDX-License-Identifier: MIT */
/*
 * System calls that return a negative errno.
 *
 * The core never reads errno: the C library declares __errno_location() as
 * const, so compilers keep its address across a switch, and a coroutine that
 * resumes on another thread would read that thread's errno.  These wrappers
 * are the one place that looks at it, straight after the call.
 *
 * Each does what the call of its name does, but returns the negative errno
 * instead of -1, and is called again when a signal interrupts it.  Not so the
 * polls: they return -EINTR, for somebody wants to look at what the signal
 * did.  connect() and close() go on by themselves when interrupted, and say
 * so.  In hard builds each is a fault point of its own name.
 *
 * Threads: any.
 */
#ifndef CEL_SYS_H
#define CEL_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/sys_call.h"
#include "base/sys_socket.h"


/*
 * Bytes in and out.
 */

CEL__SYS_WRAP(ssize_t, read, (int fd, void *buf, size_t len), (fd, buf, len))
CEL__SYS_WRAP(ssize_t, write, (int fd, const void *buf, size_t len),
              (fd, buf, len))

CEL__SYS_WRAP(ssize_t, pread, (int fd, void *buf, size_t len, off_t offset),
              (fd, buf, len, offset))

/*
 * Descriptors.
 */

CEL__SYS_WRAP(int, open, (const char *path, int flags), (path, flags))

/* The descriptor is gone even where the call says that it was interrupted,
   and with a fault due. */
static inline int
cel__sys_close(int fd)
{
    int err = close(fd) == -1 && errno != EINTR ? -errno : 0;
    int fault = cel__fault("close");

    return fault != 0 ? -fault : err;
}

CEL__SYS_WRAP(int, fcntl, (int fd, int command, long arg), (fd, command, arg))
CEL__SYS_WRAP(int, pipe2, (int fds[2], int flags), (fds, flags))

CEL__SYS_WRAP_ONCE(int, poll, (struct pollfd * fds, nfds_t count, int ms),
                   (fds, count, ms))

/* `timeout` NULL: for ever. */
CEL__SYS_WRAP_ONCE(int, ppoll,
                   (struct pollfd * fds, nfds_t count,
                    const struct timespec *timeout, const sigset_t *mask),
                   (fds, count, timeout, mask))

CEL__SYS_WRAP(ssize_t, sendfile, (int out, int in, off_t *offset, size_t len),
              (out, in, offset, len))

CEL__SYS_WRAP(int, eventfd, (unsigned value, int flags), (value, flags))

/* Make the eventfd `fd` readable, in a signal's handler too: errno is as it
   was.  No fault point: it can't fail but by being so already, and whoever
   sleeps relies on it. */
static inline void
cel__sys_poke(int fd)
{
    const uint64_t one = 1;
    int before = errno;

    (void)!write(fd, &one, sizeof(one));
    errno = before;
}

CEL__SYS_WRAP(int, epoll_create1, (int flags), (flags))
CEL__SYS_WRAP(int, epoll_ctl,
              (int epoll, int op, int fd, struct epoll_event *event),
              (epoll, op, fd, event))

CEL__SYS_WRAP_ONCE(int, epoll_wait,
                   (int epoll, struct epoll_event *events, int room, int ms),
                   (epoll, events, room, ms))

/* `timeout` NULL: for ever.  -ENOSYS where it is not known (Linux < 5.11 or
   an older C library). */
static inline int
cel__sys_epoll_pwait2(int epoll, struct epoll_event *events, int room,
                      const struct timespec *timeout)
{
#if CEL__HAVE_EPOLL_PWAIT2
    int n;

    CEL__SYS_ONCE(n, epoll_pwait2, (epoll, events, room, timeout, NULL));
    return n;
#else
    (void)epoll;
    (void)events;
    (void)room;
    (void)timeout;
    return -ENOSYS;
#endif
}

#endif
