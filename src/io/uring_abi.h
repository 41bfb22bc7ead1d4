/* SPDX-License-Identifier: MIT */
/*
 * What io_uring(7) looks like in memory, as far as it is used here.
 *
 * Our own, because the system's <linux/io_uring.h> is as old as the system's
 * C library, and what the kernel can do is known at run time only.  Numbers
 * are the kernel's; behind each that 6.1 lacks stands where it came.
 */
#ifndef CEL_URING_ABI_H
#define CEL_URING_ABI_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
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

enum cel__uring_opcode {
    CEL__URING_NOP = 0,
    CEL__URING_FSYNC = 3,
    CEL__URING_POLL_ADD = 6,
    CEL__URING_SENDMSG = 9,
    CEL__URING_RECVMSG = 10,
    CEL__URING_ACCEPT = 13,
    CEL__URING_ASYNC_CANCEL = 14,
    CEL__URING_OPENAT = 18,
    CEL__URING_CLOSE = 19,
    CEL__URING_STATX = 21,
    CEL__URING_READ = 22,
    CEL__URING_WRITE = 23,
    CEL__URING_SEND = 26,
    CEL__URING_RECV = 27
};

/* sqe.flags */
#define CEL__URING_SQE_FIXED_FILE   (1u << 0) /* fd is a place */
#define CEL__URING_SQE_SKIP_SUCCESS (1u << 6) /* no completion */

/* sqe.op_flags of FSYNC: as fdatasync(2). */
#define CEL__URING_SYNC_DATA (1u << 0)

/* cqe.flags */
#define CEL__URING_CQE_MORE     (1u << 1) /* the request goes on */
#define CEL__URING_CQE_NONEMPTY (1u << 2) /* the socket has more to give */

/* A request. */
struct cel__uring_sqe {
    uint8_t opcode;
    uint8_t flags;
    uint16_t ioprio;
    int32_t fd;
    uint64_t off;  /* ACCEPT: the address's length */
    uint64_t addr; /* buffer, msghdr, address; ASYNC_CANCEL: user_data */
    uint32_t len;
    uint32_t op_flags; /* of the system call; POLL_ADD: events */
    uint64_t user_data;
    uint64_t unused[3];
};

CEL__STATIC_ASSERT(sizeof(struct cel__uring_sqe) == 64, "the kernel's");

/* A completion. */
struct cel__uring_cqe {
    uint64_t user_data; /* the request's */
    int32_t res;        /* the system call's result or negative errno */
    uint32_t flags;
};

CEL__STATIC_ASSERT(sizeof(struct cel__uring_cqe) == 16, "the kernel's");

/* Where in the mapped memory things are. */
struct cel__uring_sq_offsets {
    uint32_t head;
    uint32_t tail;
    uint32_t ring_mask;
    uint32_t ring_entries;
    uint32_t flags;
    uint32_t dropped;
    uint32_t array;
    uint32_t unused[3];
};

struct cel__uring_cq_offsets {
    uint32_t head;
    uint32_t tail;
    uint32_t ring_mask;
    uint32_t ring_entries;
    uint32_t overflow;
    uint32_t cqes;
    uint32_t flags;
    uint32_t unused[3];
};

/* io_uring_setup(): in: sizes and flags; out: the rest. */
struct cel__uring_params {
    uint32_t sq_entries;
    uint32_t cq_entries;
    uint32_t flags;
    uint32_t sq_thread_cpu;
    uint32_t sq_thread_idle;
    uint32_t features;
    uint32_t wq_fd;
    uint32_t unused[3];
    struct cel__uring_sq_offsets sq_off;
    struct cel__uring_cq_offsets cq_off;
};

CEL__STATIC_ASSERT(sizeof(struct cel__uring_params) == 120, "the kernel's");

/* io_uring_enter() with EXT_ARG. */
struct cel__uring_timespec {
    int64_t sec;
    int64_t nsec;
};

struct cel__uring_enter_arg {
    uint64_t sigmask;
    uint32_t sigmask_len;
    uint32_t unused;
    uint64_t timeout; /* a struct cel__uring_timespec */
};

/* io_uring_register(): REGISTER_FILES, UPDATE_FILES. */
struct cel__uring_files {
    uint32_t count;
    uint32_t flags;
    uint64_t unused[3];
};

struct cel__uring_files_update {
    uint32_t place;
    uint32_t unused;
    uint64_t fds;
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
