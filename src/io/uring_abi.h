/* SPDX-License-Identifier: MIT */
/*
 * io_uring(7): the structures are the system's, the flags our own.
 *
 * For the system's <linux/io_uring.h> is as old as its C library, and what the
 * kernel can do is known at run time only.  Numbers are the kernel's; behind
 * each that 6.1 lacks stands where it came.
 */
#ifndef CEL_URING_ABI_H
#define CEL_URING_ABI_H

#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys_call.h"

/* io_uring_setup() */
#define CEL__URING_CQSIZE        (1u << 3)  /* cq_entries is set */
#define CEL__URING_CLAMP         (1u << 4)  /* cut sizes to the limits */
#define CEL__URING_SUBMIT_ALL    (1u << 7)  /* go on after one that fails */
#define CEL__URING_SINGLE_ISSUER (1u << 12) /* one thread submits */
#define CEL__URING_DEFER_TASKRUN (1u << 13) /* work is done in enter() only */
#define CEL__URING_NO_SQARRAY    (1u << 16) /* 6.6: no indirection */

/* params.features */
#define CEL__URING_HAS_SINGLE_MMAP (1u << 0)
#define CEL__URING_HAS_EXT_ARG     (1u << 8)
#define CEL__URING_HAS_NO_IOWAIT   (1u << 17) /* 6.15 */

/* io_uring_enter() */
#define CEL__URING_GETEVENTS (1u << 0)
#define CEL__URING_EXT_ARG   (1u << 3)
#define CEL__URING_NO_IOWAIT (1u << 7) /* 6.15 */

/* io_uring_register() */
#define CEL__URING_UNREGISTER_FILES 3
#define CEL__URING_REGISTER_EVENTFD 4 /* 5.2 */
#define CEL__URING_UPDATE_FILES     6
#define CEL__URING_REGISTER_FILES   13        /* 5.13 */
#define CEL__URING_FILES_SPARSE     (1u << 0) /* 5.19 */

/* mmap() offsets */
#define CEL__URING_OFF_RINGS 0
#define CEL__URING_OFF_SQES  0x10000000

/* sqe.flags */
#define CEL__URING_SQE_FIXED_FILE   (1u << 0) /* fd is a place */
#define CEL__URING_SQE_SKIP_SUCCESS (1u << 6) /* no completion */

/* sqe.fsync_flags: as fdatasync(2). */
#define CEL__URING_SYNC_DATA (1u << 0)

/* cqe.flags */
#define CEL__URING_CQE_MORE     (1u << 1) /* the request goes on */
#define CEL__URING_CQE_NONEMPTY (1u << 2) /* the socket has more to give */

/* io_uring_register(): REGISTER_FILES, whose flags the header had no name
   for before 5.19. */
struct cel__uring_files {
    uint32_t count;
    uint32_t flags;
    uint64_t unused[3];
};

/* Which the C library does not wrap. */
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
