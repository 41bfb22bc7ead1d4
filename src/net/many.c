/* SPDX-License-Identifier: MIT */
/*
 * Datagrams by the dozen.
 *
 * What is there, or fits, goes in one system call.  Only where nothing does
 * one is waited for as a single one is, in its turn among others that wait.
 *
 * Threads: see celadon/transfer.h.
 *
 * Tests: unit/test_transfer.c
 */
#include <errno.h>

#include "base/check.h"
#include "base/sys_socket.h"
#include "celadon/net.h"
#include "celadon/transfer.h"
#include "sched/io.h"

/* Whether `err` says that a call must wait, or is to be made again. */
static bool
must_wait(ssize_t err)
{
    return err == -EAGAIN || err == -EINTR;
}

ssize_t
cel_recv_many(int fd, struct mmsghdr *msgs, size_t n, int flags,
              cel_time deadline)
{
    struct cel__worker *worker = cel__worker();

    if (cel__unlikely(worker == NULL)) {
        return -EPERM;
    }
    if (n == 0 || (flags & MSG_WAITALL) != 0) {
        return -EINVAL;
    }
    ssize_t got = cel__sys_recvmmsg(fd, msgs, n, flags);
    if (!must_wait(got)) {
        return (ssize_t)cel__io_charge(worker, got);
    }
    ssize_t len = cel_recvmsg(fd, &msgs[0].msg_hdr, flags, deadline);
    if (len < 0) {
        return len;
    }
    msgs[0].msg_len = (unsigned)len;
    got = n > 1 ? cel__sys_recvmmsg(fd, msgs + 1, n - 1, flags) : 0;
    return got < 0 ? 1 : got + 1; /* an error is the next call's */
}

ssize_t
cel_send_many(int fd, struct mmsghdr *msgs, size_t n, int flags,
              cel_time deadline)
{
    struct cel__worker *worker = cel__worker();
    size_t sent = 0;
    ssize_t err = 0;

    if (cel__unlikely(worker == NULL)) {
        return -EPERM;
    }
    if (n == 0) {
        return -EINVAL;
    }
    while (sent < n && err >= 0) {
        ssize_t more = cel__sys_sendmmsg(fd, msgs + sent, n - sent, flags);
        if (more > 0) {
            sent += (size_t)more;
            err = cel__io_charge(worker, 0);
            continue;
        }
        err = more;
        if (must_wait(err)) {
            err = cel_sendmsg(fd, &msgs[sent].msg_hdr, flags, deadline);
            if (err >= 0) {
                msgs[sent++].msg_len = (unsigned)err;
            }
        }
    }
    return sent > 0 ? (ssize_t)sent : err;
}
