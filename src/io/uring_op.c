/* SPDX-License-Identifier: MIT */
/*
 * Which operations the kernel makes itself, and how they are put.
 *
 * Receiving, sending and accepting on owned sockets.  A `whole` transfer is a
 * request for each part, without MSG_WAITALL: an error after some bytes would
 * be lost in their count.
 *
 * Whether a next receive is worth a system call of its own, ahead of the
 * request, is what the kernel said with the last one (CQE_NONEMPTY).
 *
 * Threads: see uring.h.
 *
 * Tests: unit/test_uring.c
 */
#include "io/uring.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "io/op.h"

static const uint8_t opcodes[] = {
    [CEL__OP_RECV] = IORING_OP_RECV,
    [CEL__OP_SEND] = IORING_OP_SEND,
    [CEL__OP_RECVMSG] = IORING_OP_RECVMSG,
    [CEL__OP_SENDMSG] = IORING_OP_SENDMSG,
    [CEL__OP_ACCEPT] = IORING_OP_ACCEPT,
    [CEL__FILEOP_OPEN] = IORING_OP_OPENAT,
    [CEL__FILEOP_CLOSE] = IORING_OP_CLOSE,
    [CEL__FILEOP_READ] = IORING_OP_READ,
    [CEL__FILEOP_WRITE] = IORING_OP_WRITE,
    [CEL__FILEOP_SYNC] = IORING_OP_FSYNC,
    [CEL__FILEOP_STAT] = IORING_OP_STATX,
};

bool
cel__uring_op_fits(const struct cel__fd *entry, const struct cel__op *op)
{
    return entry->owned && opcodes[op->code] != 0;
}

static uint32_t
at_most(size_t len)
{
    return (uint32_t)(len < CEL__FILEOP_MOST ? len : CEL__FILEOP_MOST);
}

void
cel__uring_op_put(const struct cel__fd *entry, struct cel__op *op,
                  struct io_uring_sqe *sqe)
{
    uint32_t flags = (uint32_t)op->flags;
    uint32_t len = 0;
    uint64_t off = 0;

    switch (op->code) {
    case CEL__OP_RECV:
    case CEL__OP_SEND:
        op->asked = at_most(cel__op_portion(entry, op));
        len = op->asked;
        break;
    case CEL__OP_RECVMSG:
    case CEL__OP_SENDMSG:
        len = 1;
        break;
    case CEL__OP_ACCEPT:
        off = (uintptr_t)op->addrlen;
        flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
        break;
    case CEL__FILEOP_OPEN:
        len = (uint32_t)op->len;
        break;
    case CEL__FILEOP_READ:
    case CEL__FILEOP_WRITE:
        len = at_most(op->len);
        off = (uint64_t)op->offset;
        break;
    case CEL__FILEOP_SYNC:
        flags = flags != 0 ? CEL__URING_SYNC_DATA : 0;
        break;
    case CEL__FILEOP_STAT:
        len = STATX_BASIC_STATS;
        off = (uintptr_t)op->status;
        break;
    default:
        break;
    }
    if (op->code == CEL__OP_SEND || op->code == CEL__OP_SENDMSG) {
        flags |= MSG_NOSIGNAL;
    }
    *sqe = (struct io_uring_sqe){
        .opcode = opcodes[op->code],
        .fd = op->fd,
        .off = off,
        .addr = (uintptr_t)op->data + op->moved,
        .len = len,
        .msg_flags = flags,
        .user_data = (uintptr_t)op,
    };
}

bool
cel__uring_op_ended(struct cel__fd *entry, struct cel__op *op,
                    const struct io_uring_cqe *cqe)
{
    op->posted = false;
    op->result = cqe->res;
    if (cel__fileop_is(op)) {
        return true;
    }
    if (cqe->res < 0) {
        return cqe->res != -EAGAIN && cqe->res != -EINTR;
    }
    /* An edge that was heard of may be from after the call. */
    uint8_t told = entry != NULL ? entry->ready & entry->edge : 0;
    bool ended = cel__op_moved(entry, op, op->asked, cqe->res);
    if (entry != NULL && cel__op_bit(op) == CEL__READABLE) {
        entry->ready &= (uint8_t)~CEL__READABLE;
        if ((cqe->flags & CEL__URING_CQE_NONEMPTY) != 0) {
            entry->ready |= CEL__READABLE;
        }
    }
    if (entry != NULL) {
        entry->ready |= told;
    }
    return ended;
}
