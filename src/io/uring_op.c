/* SPDX-License-Identifier: MIT */
/*
 * Which operations the kernel makes itself, and how they are put.
 *
 * Receiving, sending and accepting on owned sockets.  A `whole` transfer is a
 * request for each part, without MSG_WAITALL: an error after some bytes would
 * be lost in their count.  The end of a connect is asked for by a one-shot
 * POLL_ADD, so that a connection that we made is used like one we accepted.
 *
 * Whether a next receive is worth a system call of its own, ahead of the
 * request, is what the kernel said with the last one (CQE_NONEMPTY).
 *
 * Threads: see uring_op.h.
 *
 * Tests: unit/test_uring.c
 */
#include "io/uring_op.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "io/fileop.h"
#include "io/op.h"

/* The most bytes that one call moves (the kernel's MAX_RW_COUNT, 64 KiB
   pages). */
#define MAX_ASKED 0x7fff0000

bool
cel__uring_op_is_call(const struct cel__fd *entry, const struct cel__op *op)
{
    const unsigned calls = 1u << CEL__OP_RECV | 1u << CEL__OP_SEND |
                           1u << CEL__OP_RECVMSG | 1u << CEL__OP_SENDMSG |
                           1u << CEL__OP_ACCEPT;

    return entry->owned && (calls >> op->code & 1) != 0;
}

bool
cel__uring_op_is_question(const struct cel__fd *entry,
                          const struct cel__op *op)
{
    return entry->owned && op->code == CEL__OP_CONNECT;
}

void
cel__uring_op_poll(struct cel__uring_sqe *sqe, int fd, uint32_t events)
{
    const uint16_t one = 1;

    /* The kernel reads two swapped halves on big-endian machines. */
    if (*(const uint8_t *)&one == 0) {
        events = events << 16 | events >> 16;
    }
    sqe->opcode = CEL__URING_POLL_ADD;
    sqe->fd = fd;
    sqe->op_flags = events;
}

static void
put_message(struct cel__op *op, struct cel__uring_sqe *sqe)
{
    sqe->addr = (uintptr_t)op->msg;
    sqe->len = 1;
    sqe->op_flags = (uint32_t)op->flags;
    if (op->code == CEL__OP_RECVMSG) {
        sqe->opcode = CEL__URING_RECVMSG;
    }
    else {
        sqe->opcode = CEL__URING_SENDMSG;
        sqe->op_flags |= MSG_NOSIGNAL;
    }
}

static void
put_bytes(const struct cel__fd *entry, struct cel__op *op,
          struct cel__uring_sqe *sqe)
{
    size_t asked = cel__op_portion(entry, op);

    op->asked = asked < MAX_ASKED ? (uint32_t)asked : MAX_ASKED;
    sqe->addr = (uintptr_t)op->data + op->moved;
    sqe->len = op->asked;
    sqe->op_flags = (uint32_t)op->flags;
    if (op->code == CEL__OP_RECV) {
        sqe->opcode = CEL__URING_RECV;
    }
    else {
        sqe->opcode = CEL__URING_SEND;
        sqe->op_flags |= MSG_NOSIGNAL;
    }
}

static void
put_accept(const struct cel__op *op, struct cel__uring_sqe *sqe)
{
    sqe->opcode = CEL__URING_ACCEPT;
    sqe->addr = (uintptr_t)op->addr;
    sqe->off = (uintptr_t)op->addrlen;
    sqe->op_flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
}

void
cel__uring_op_post(const struct cel__fd *entry, struct cel__op *op,
                   bool is_call, struct cel__uring_sqe *sqe)
{
    if (!is_call) {
        op->posted = CEL__OP_POSTED_POLL;
        cel__uring_op_poll(sqe, op->fd, cel__op_bit(op));
        return;
    }
    sqe->fd = op->fd;
    op->posted = CEL__OP_POSTED_CALL;
    if (op->code == CEL__OP_ACCEPT) {
        put_accept(op, sqe);
    }
    else if (op->code == CEL__OP_RECV || op->code == CEL__OP_SEND) {
        put_bytes(entry, op, sqe);
    }
    else {
        put_message(op, sqe);
    }
}

void
cel__uring_op_post_file(struct cel__op *op, struct cel__uring_sqe *sqe)
{
    size_t len = op->len < CEL__FILEOP_MOST ? op->len : CEL__FILEOP_MOST;

    op->posted = CEL__OP_POSTED_CALL;
    sqe->fd = op->fd;
    switch ((enum cel__fileop_code)op->code) {
    case CEL__FILEOP_CLOSE:
        sqe->opcode = CEL__URING_CLOSE;
        break;
    case CEL__FILEOP_SYNC:
        sqe->opcode = CEL__URING_FSYNC;
        sqe->op_flags = op->flags != 0 ? CEL__URING_SYNC_DATA : 0;
        break;
    case CEL__FILEOP_READ:
    case CEL__FILEOP_WRITE:
        sqe->opcode = op->code == CEL__FILEOP_READ ? CEL__URING_READ
                                                   : CEL__URING_WRITE;
        sqe->addr = (uintptr_t)op->data;
        sqe->len = (uint32_t)len;
        sqe->off = (uint64_t)op->offset;
        break;
    case CEL__FILEOP_STAT:
        sqe->opcode = CEL__URING_STATX;
        sqe->addr = (uintptr_t)op->data;
        sqe->len = STATX_BASIC_STATS;
        sqe->op_flags = (uint32_t)op->flags;
        sqe->off = (uintptr_t)op->status;
        break;
    case CEL__FILEOP_OPEN:
        sqe->opcode = CEL__URING_OPENAT;
        sqe->addr = (uintptr_t)op->data;
        sqe->len = (uint32_t)op->len;
        sqe->op_flags = (uint32_t)op->flags;
        break;
    }
}

bool
cel__uring_op_ended(struct cel__fd *entry, struct cel__op *op,
                    const struct cel__uring_cqe *cqe)
{
    bool was_call = op->posted == CEL__OP_POSTED_CALL;

    op->posted = CEL__OP_UNPOSTED;
    op->result = cqe->res;
    if (cel__fileop_is(op)) {
        return true;
    }
    if (cqe->res < 0) {
        return cqe->res != -EAGAIN && cqe->res != -EINTR;
    }
    if (!was_call) {
        return cel__op_try(entry, op);
    }
    bool ended = cel__op_moved(entry, op, op->asked, cqe->res);
    if (entry != NULL && cel__op_bit(op) == CEL__READABLE) {
        entry->ready &= (uint8_t)~CEL__READABLE;
        if ((cqe->flags & CEL__URING_CQE_NONEMPTY) != 0) {
            entry->ready |= CEL__READABLE;
        }
    }
    return ended;
}
