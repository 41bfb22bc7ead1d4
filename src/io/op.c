/* SPDX-License-Identifier: MIT */
/*
 * The system call of an operation, and what its outcome tells.
 *
 * A count below what was asked for means that a direction is drained, with
 * the exceptions that fd.h lists.  So a request and its answer on an owned TCP
 * connection or unix stream cost one recv() and one send(), and no second
 * recv() only to be told -EAGAIN.
 *
 * accept4() is the one call that is dear when it fails (1.8 us, for it makes
 * the socket before it looks); poll(2) is asked first (0.2 us) unless an edge
 * was seen since the last one.
 *
 * A hard build asks for fewer bytes than there is room for, so that every
 * caller meets short transfers; the rule above compares with what was really
 * asked.
 *
 * Threads: any.
 *
 * Tests: unit/test_op.c
 */
#include "io/op.h"

#include <limits.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/fault.h"
#include "base/sys.h"

CEL__STATIC_ASSERT(CEL__READABLE == POLLIN && CEL__URGENT == POLLPRI &&
                       CEL__WRITABLE == POLLOUT && CEL__FAILED == POLLERR &&
                       CEL__HUNG_UP == POLLHUP,
                   "events are those of poll(2)");

int
cel__op_look(int fd, uint32_t events)
{
    struct pollfd look = {.fd = fd, .events = (short)events};
    int n;

    if (fd < 0) {
        return -EBADF; /* poll(2) ignores it */
    }
    do {
        n = cel__sys_poll(&look, 1, 0);
    } while (n == -EINTR);
    if (n <= 0) {
        return n;
    }
    return (look.revents & POLLNVAL) != 0 ? -EBADF : look.revents;
}

bool
cel__op_never_waits(const struct cel__op *op)
{
    switch (op->code) {
    case CEL__OP_RECV:
    case CEL__OP_RECVMSG:
        return (op->flags & (MSG_DONTWAIT | MSG_OOB | MSG_ERRQUEUE)) != 0;
    case CEL__OP_SEND:
    case CEL__OP_SENDMSG:
        return (op->flags & MSG_DONTWAIT) != 0;
    default:
        return false;
    }
}

/* Whether the call might block, or is dear where it would: ask poll first. */
static bool
must_look(const struct cel__fd *entry, const struct cel__op *op)
{
    switch (op->code) {
    case CEL__OP_READ:
    case CEL__OP_WRITE:
        return entry == NULL || !entry->owned;
    case CEL__OP_ACCEPT:
        return entry == NULL || (entry->ready & CEL__READABLE) == 0 ||
               (entry->edge & CEL__READABLE) == 0;
    case CEL__OP_CONNECT:
        return true;
    default:
        return false;
    }
}

/* Whether a transfer of fewer bytes than there are loses nothing. */
static bool
may_shorten(const struct cel__op *op)
{
    struct stat status;
    int type = 0;
    socklen_t len = sizeof(type);

    if (op->code == CEL__OP_READ || op->code == CEL__OP_WRITE) {
        return fstat(op->fd, &status) == 0 && S_ISFIFO(status.st_mode);
    }
    return getsockopt(op->fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
           type == SOCK_STREAM;
}

size_t
cel__op_portion(const struct cel__fd *entry, const struct cel__op *op)
{
    size_t len = op->len - op->moved;

    /* A descriptor in blocking mode that is ready takes this much at least;
       of more than that poll(2) says nothing. */
    if (op->code == CEL__OP_WRITE && len > PIPE_BUF &&
        (entry == NULL || !entry->owned)) {
        int mode = cel__sys_fcntl(op->fd, F_GETFL, 0);
        if (mode < 0 || (mode & O_NONBLOCK) == 0) {
            len = PIPE_BUF;
        }
    }
    if (CEL__HARD && len > 1 && cel__dice(4) == 0 && may_shorten(op)) {
        len = 1 + cel__dice(len < 4096 ? (uint32_t)len : 4096);
    }
    return len;
}

/* The result of a connect(2) that has ended. */
static int
connected(int fd)
{
    int err = 0;
    socklen_t len = sizeof(err);
    int n = cel__sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);

    return n < 0 ? n : -err;
}

/*
 * recv(2) of a unix stream that is registered.  Where it stopped because
 * descriptors were passed there, or credentials asked for, recvmsg(2) says
 * that it dropped them; then there may be more behind.
 */
static ssize_t
recv_unix(struct cel__fd *entry, const struct cel__op *op, size_t len)
{
    struct iovec iov = {(char *)op->buf + op->moved, len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n = cel__sys_recvmsg(op->fd, &msg, op->flags | MSG_DONTWAIT);

    if (n > 0 && (msg.msg_flags & MSG_CTRUNC) != 0) {
        entry->exact = false;
    }
    return n;
}

/* Make the call for `len` bytes from op->moved on. */
static ssize_t
call(struct cel__fd *entry, const struct cel__op *op, size_t len)
{
    switch ((enum cel__op_code)op->code) {
    case CEL__OP_RECV:
        if (entry != NULL && entry->exact &&
            entry->kind == CEL__FD_KIND_UNIX) {
            return recv_unix(entry, op, len);
        }
        return cel__sys_recv(op->fd, (char *)op->buf + op->moved, len,
                             op->flags | MSG_DONTWAIT);
    case CEL__OP_SEND:
        return cel__sys_send(op->fd, (const char *)op->data + op->moved, len,
                             op->flags | MSG_DONTWAIT | MSG_NOSIGNAL);
    case CEL__OP_RECVMSG:
        return cel__sys_recvmsg(op->fd, op->msg, op->flags | MSG_DONTWAIT);
    case CEL__OP_SENDMSG:
        return cel__sys_sendmsg(op->fd, op->msg,
                                op->flags | MSG_DONTWAIT | MSG_NOSIGNAL);
    case CEL__OP_READ:
        return cel__sys_read(op->fd, (char *)op->buf + op->moved, len);
    case CEL__OP_WRITE:
        return cel__sys_write(op->fd, (const char *)op->data + op->moved, len);
    case CEL__OP_ACCEPT:
        return cel__sys_accept4(op->fd, op->addr, op->addrlen,
                                SOCK_NONBLOCK | SOCK_CLOEXEC);
    case CEL__OP_CONNECT:
        return connected(op->fd);
    case CEL__OP_POLL:
        return cel__op_look(op->fd, op->events);
    }
    cel__panic("operation %d is unknown", op->code);
}

/* `n` bytes of the `asked` ones moved: what that tells of the descriptor. */
static void
note_count(struct cel__fd *entry, const struct cel__op *op, size_t asked,
           size_t n)
{
    /* The end of a stream stays to be read; what was only peeked at too; and
       read(2) does not tell why it stopped. */
    if (n < asked && n != 0 && (op->flags & MSG_PEEK) == 0 &&
        (op->code != CEL__OP_READ || entry == NULL ||
         entry->kind != CEL__FD_KIND_UNIX)) {
        cel__fd_drained(entry, cel__op_bit(op), false);
    }
}

bool
cel__op_moved(struct cel__fd *entry, struct cel__op *op, size_t asked,
              ssize_t n)
{
    op->result = n;
    switch ((enum cel__op_code)op->code) {
    case CEL__OP_POLL:
        return n != 0;
    case CEL__OP_ACCEPT:
        cel__fd_drained(entry, CEL__READABLE, true);
        return true;
    case CEL__OP_RECVMSG:
    case CEL__OP_SENDMSG:
    case CEL__OP_CONNECT:
        return true;
    case CEL__OP_RECV:
    case CEL__OP_SEND:
    case CEL__OP_READ:
    case CEL__OP_WRITE:
        break;
    }
    note_count(entry, op, asked, (size_t)n);
    if (!op->whole) {
        return true;
    }
    op->moved += (size_t)n;
    op->result = (int64_t)op->moved;
    return n == 0 || op->moved == op->len;
}

bool
cel__op_try(struct cel__fd *entry, struct cel__op *op)
{
    uint8_t bit = cel__op_bit(op);

    do {
        size_t asked = cel__op_portion(entry, op);
        ssize_t n = must_look(entry, op) ? cel__op_look(op->fd, bit) : 1;
        if (n > 0) {
            n = call(entry, op, asked);
        }
        else if (n == 0) {
            n = -EAGAIN;
        }
        if (n == -EAGAIN) {
            cel__fd_drained(entry, bit, true);
            op->result = -EAGAIN;
            return cel__op_never_waits(op);
        }
        if (n < 0) {
            op->result = n;
            return true;
        }
        if (cel__op_moved(entry, op, asked, n)) {
            return true;
        }
        /* A whole transfer goes on while the bits promise more.  The loop is
           bounded by `len`, and in time by what the peer can do meanwhile. */
    } while (entry != NULL && (entry->edge & entry->ready & bit) != 0 &&
             op->code != CEL__OP_POLL);
    return false;
}
