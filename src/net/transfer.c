/* SPDX-License-Identifier: MIT */
/*
 * Moving bytes: each call describes an operation and awaits it.
 *
 * Which backend does the waiting, and whether there is any, is not known here
 * (see io/backend.h and sched/io.c).
 *
 * Threads: see celadon/net.h.
 *
 * Tests: unit/test_net.c
 */
#include "celadon/net.h"

#include <errno.h>

#include "base/check.h"
#include "net/net.h"
#include "sched/io.h"

/* Run `op` on the calling thread's worker. */
static ssize_t
run(struct cel__op *op, cel_time deadline, const char *what)
{
    struct cel__worker *worker = cel__worker();

    if (cel__unlikely(worker == NULL)) {
        return -EPERM;
    }
    return (ssize_t)cel__op_await(worker, op, deadline, what);
}

/* The same for one that moves all or reports how far it came. */
static ssize_t
run_whole(struct cel__op *op, cel_time deadline, const char *what)
{
    /* The kernel waits for a byte where none is asked for. */
    if (op->len == 0) {
        return cel__worker() == NULL ? -EPERM : 0;
    }
    op->whole = true;
    ssize_t n = run(op, deadline, what);
    return n < 0 && op->moved != 0 ? (ssize_t)op->moved : n;
}

ssize_t
cel_recv(int fd, void *buf, size_t len, int flags, cel_time deadline)
{
    struct cel__op op = {
        .code = CEL__OP_RECV,
        .fd = fd,
        .flags = flags,
        .len = len,
        .buf = buf,
    };

    if ((flags & MSG_WAITALL) != 0) {
        return -EINVAL;
    }
    return run(&op, deadline, "recv");
}

ssize_t
cel_send(int fd, const void *buf, size_t len, int flags, cel_time deadline)
{
    struct cel__op op = {
        .code = CEL__OP_SEND,
        .fd = fd,
        .flags = flags,
        .len = len,
        .data = buf,
    };

    return run(&op, deadline, "send");
}

ssize_t
cel_recv_all(int fd, void *buf, size_t len, cel_time deadline)
{
    struct cel__op op = {
        .code = CEL__OP_RECV,
        .fd = fd,
        .len = len,
        .buf = buf,
    };

    return run_whole(&op, deadline, "recv_all");
}

ssize_t
cel_send_all(int fd, const void *buf, size_t len, cel_time deadline)
{
    struct cel__op op = {
        .code = CEL__OP_SEND,
        .fd = fd,
        .len = len,
        .data = buf,
    };

    return run_whole(&op, deadline, "send_all");
}

ssize_t
cel_recvfrom(int fd, void *buf, size_t len, struct sockaddr *addr,
             socklen_t *addrlen, cel_time deadline)
{
    struct iovec piece = {buf, len};
    struct msghdr msg = {
        .msg_name = addr,
        .msg_namelen = addr == NULL ? 0 : *addrlen,
        .msg_iov = &piece,
        .msg_iovlen = 1,
    };

    ssize_t n = cel_recvmsg(fd, &msg, 0, deadline);
    if (n >= 0 && addr != NULL) {
        *addrlen = msg.msg_namelen;
    }
    return n;
}

ssize_t
cel_sendto(int fd, const void *buf, size_t len, const struct sockaddr *addr,
           socklen_t addrlen, cel_time deadline)
{
    struct iovec piece = {(void *)(uintptr_t)buf, len};
    struct msghdr msg = {
        .msg_name = (void *)(uintptr_t)addr,
        .msg_namelen = addrlen,
        .msg_iov = &piece,
        .msg_iovlen = 1,
    };

    return cel_sendmsg(fd, &msg, 0, deadline);
}

ssize_t
cel_recvmsg(int fd, struct msghdr *msg, int flags, cel_time deadline)
{
    struct cel__op op = {
        .code = CEL__OP_RECVMSG,
        .fd = fd,
        .flags = flags,
        .msg = msg,
    };

    if ((flags & MSG_WAITALL) != 0) {
        return -EINVAL;
    }
    return run(&op, deadline, "recvmsg");
}

ssize_t
cel_sendmsg(int fd, const struct msghdr *msg, int flags, cel_time deadline)
{
    const struct sockaddr *to = msg->msg_name;
    cel_time nap = CEL__NET_NAP;

    /* A unix peer's full queue is no matter of our socket's readiness. */
    bool may_nap = to != NULL && msg->msg_namelen >= sizeof(to->sa_family) &&
                   to->sa_family == AF_UNIX && (flags & MSG_DONTWAIT) == 0;
    for (;;) {
        struct cel__op op = {
            .code = CEL__OP_SENDMSG,
            .fd = fd,
            .flags = may_nap ? flags | MSG_DONTWAIT : flags,
            .msg = (struct msghdr *)(uintptr_t)msg, /* only read */
        };
        ssize_t n = run(&op, deadline, "sendmsg");
        if (n != -EAGAIN || !may_nap) {
            return n;
        }
        int err = cel__net_nap(cel__worker(), &nap, deadline, "sendmsg");
        if (err < 0) {
            return err;
        }
    }
}

ssize_t
cel_read(int fd, void *buf, size_t len, cel_time deadline)
{
    struct cel__op op = {
        .code = CEL__OP_READ,
        .fd = fd,
        .len = len,
        .buf = buf,
    };

    return run(&op, deadline, "read");
}

ssize_t
cel_write(int fd, const void *buf, size_t len, cel_time deadline)
{
    struct cel__op op = {
        .code = CEL__OP_WRITE,
        .fd = fd,
        .len = len,
        .data = buf,
    };

    return run(&op, deadline, "write");
}
