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

#define io_uring_setup(...) ((int)syscall(SYS_io_uring_setup, __VA_ARGS__))
#define io_uring_enter(...) ((int)syscall(SYS_io_uring_enter, __VA_ARGS__))
#define io_uring_register(...)                                                \
    ((int)syscall(SYS_io_uring_register, __VA_ARGS__))

CEL__SYS_WRAP_ONCE(int, io_uring_setup, (unsigned entries, void *params),
                   (entries, params))

/* Returns -EINTR where a signal ended the wait, as the polls do. */
CEL__SYS_WRAP_ONCE(int, io_uring_enter,
                   (int fd, unsigned nsubmit, unsigned nwait, unsigned flags,
                    const void *arg, size_t len),
                   (fd, nsubmit, nwait, flags, arg, len))
CEL__SYS_WRAP_ONCE(int, io_uring_register,
                   (int fd, unsigned what, const void *arg, unsigned count),
                   (fd, what, arg, count))

#endif
