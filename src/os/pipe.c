/* SPDX-License-Identifier: MIT */
/*
 * Writing to pipes without a signal.
 *
 * There is no MSG_NOSIGNAL for write(2).  The signal is blocked around the
 * call alone, and fetched where it came; so the call is never made by the
 * loop, which only tells when to try again.
 *
 * Threads: see celadon/pipe.h.
 *
 * Tests: unit/test_pipe.c
 */
#include "os/pipe.h"

#include <errno.h>

#include "base/sys_signal.h"
#include "celadon/pipe.h"
#include "sched/io.h"

struct attempt {
    struct cel__loop *loop;
    struct cel__op *op;
    bool ended;
};

static ssize_t
make_attempt(void *arg)
{
    struct attempt *attempt = arg;

    attempt->ended = cel__loop_try(attempt->loop, attempt->op);
    return attempt->ended ? (ssize_t)attempt->op->result : 0;
}

bool
cel__pipe_try(struct cel__loop *loop, struct cel__op *op)
{
    struct attempt attempt = {.loop = loop, .op = op};

    (void)cel__sys_quietly(make_attempt, &attempt);
    return attempt.ended;
}

ssize_t
cel_pipe_write(int fd, const void *buf, size_t len, cel_time deadline)
{
    struct cel__worker *worker = cel__worker();
    struct cel__op op = {
        .code = CEL__OP_WRITE,
        .fd = fd,
        .len = len,
        .data = buf,
        .whole = true,
    };

    if (worker == NULL) {
        return -EPERM;
    }
    while (!cel__pipe_try(&worker->loop, &op)) {
        int64_t events = cel__fd_await(worker, fd, CEL__WRITABLE, deadline,
                                       "pipe_write");
        if (events < 0) {
            op.result = events;
            break;
        }
    }
    int64_t n = op.result < 0 && op.moved != 0 ? (int64_t)op.moved : op.result;
    return (ssize_t)cel__io_charge(worker, n);
}
