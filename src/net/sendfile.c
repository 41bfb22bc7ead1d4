/* SPDX-License-Identifier: MIT */
/*
 * Files to sockets.
 *
 * The kernel moves what fits into the socket's buffer and says -EAGAIN where
 * nothing does; then the socket is waited for.  sendfile(2) has no flags, so
 * a socket in blocking mode is looked at before each call and gets little
 * enough, and SIGPIPE is held back by the thread's mask.
 *
 * Threads: see celadon/transfer.h.
 *
 * Tests: unit/test_transfer.c
 */
#include "celadon/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>

#include "base/fault.h"
#include "base/sys.h"
#include "base/sys_signal.h"
#include "io/op.h"
#include "sched/io.h"

/* What a blocking socket that is "writable" takes for sure. */
#define SURE 4096

/* What one call may move: others run in between. */
#define MOST ((size_t)1 << 20)

/* Whether calls on `fd` would block. */
static bool
blocks(struct cel__worker *worker, int fd)
{
    if (cel__loop_owns(&worker->loop, fd)) {
        return false;
    }
    int mode = cel__sys_fcntl(fd, F_GETFL, 0);
    return mode >= 0 && (mode & O_NONBLOCK) == 0;
}

struct call {
    int fd;
    int file;
    off_t at;
    size_t len;
};

static ssize_t
make_call(void *arg)
{
    struct call *call = arg;

    return cel__sys_sendfile(call->fd, call->file, &call->at, call->len);
}

/* One call, which never blocks.  Returns its count, or -EAGAIN, … */
static ssize_t
send_some(int fd, int file, int64_t *offset, size_t len, bool blocking)
{
    if (blocking) {
        int events = cel__op_look(fd, CEL__WRITABLE);
        if (events <= 0) {
            return events < 0 ? events : -EAGAIN;
        }
    }
    size_t most = blocking ? SURE : MOST;
    if (len > most) {
        len = most;
    }
    if (CEL__HARD && len > 1 && cel__dice(4) == 0) {
        len = 1 + cel__dice((uint32_t)len);
    }
    struct call call = {fd, file, *offset, len};
    ssize_t n = cel__sys_quietly(make_call, &call);
    *offset = call.at;
    return n;
}

ssize_t
cel_sendfile(int fd, int file, int64_t *offset, size_t len, cel_time deadline)
{
    struct cel__worker *worker = cel__worker();
    int64_t at = *offset;
    size_t moved = 0;
    int64_t n = 0;

    if (worker == NULL) {
        return -EPERM;
    }
    if (at < 0) {
        return -EINVAL;
    }
    bool blocking = blocks(worker, fd);
    while (moved < len) {
        n = send_some(fd, file, &at, len - moved, blocking);
        if (n > 0) {
            moved += (size_t)n;
            (void)cel__io_charge(worker, 0);
            continue;
        }
        if (n != -EAGAIN) {
            break;
        }
        n = cel__fd_await(worker, fd, CEL__WRITABLE, deadline, "sendfile");
        if (n < 0) {
            break;
        }
    }
    *offset = at;
    return moved > 0 ? (ssize_t)moved : (ssize_t)n;
}
