/* SPDX-License-Identifier: MIT */
/*
 * The system calls of io_uring, which the C library does not wrap.
 *
 * Threads: any.
 */
#ifndef CEL_SYS_URING_H
#define CEL_SYS_URING_H

#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys_call.h"

static inline int
cel__sys_io_uring_setup(unsigned entries, void *params)
{
    int fd = -cel__fault("io_uring_setup");

    if (fd == 0) {
        fd = (int)syscall(SYS_io_uring_setup, entries, params);
        fd = fd == -1 ? -errno : fd;
    }
    return fd;
}

/* Returns -EINTR where a signal ended the wait, as the polls do. */
static inline int
cel__sys_io_uring_enter(int fd, unsigned nsubmit, unsigned nwait,
                        unsigned flags, const void *arg, size_t len)
{
    int n = -cel__fault("io_uring_enter");

    if (n == 0) {
        n = (int)syscall(SYS_io_uring_enter, fd, nsubmit, nwait, flags, arg,
                         len);
        n = n == -1 ? -errno : n;
    }
    return n;
}

static inline int
cel__sys_io_uring_register(int fd, unsigned what, const void *arg, unsigned n)
{
    int err = -cel__fault("io_uring_register");

    if (err == 0) {
        err = (int)syscall(SYS_io_uring_register, fd, what, arg, n);
        err = err == -1 ? -errno : err;
    }
    return err;
}

#endif
