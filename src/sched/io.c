/* SPDX-License-Identifier: MIT */
/*
 * Operations that a coroutine waits for: submit, park, and give up in order.
 *
 * A call that need not wait is one system call and no more: no clock is read,
 * no timer set, no list touched.  It is counted, though, for a coroutine whose
 * calls never wait must yield now and then.
 *
 * Giving up (deadline, cancelling, a resumption by hand) cancels the operation
 * and believes what that comes to: where data was taken meanwhile the data is
 * returned, for a call has either its effect or an error, never both.
 *
 * Threads: see io.h.
 *
 * Tests: unit/test_io.c
 */
#include "sched/io.h"

#include <errno.h>

#include "base/check.h"
#include "base/fault.h"
#include "io/op.h"
#include "sched/wait.h"
#include "see/awaited.h"

/* For a dump: which descriptor, and what of it. */
static void
describe_op(const void *object, struct cel__text *text)
{
    const struct cel__op *op = object;
    uint32_t events = op->code == CEL__OP_POLL ? op->events
                      : op->code < 32          ? cel__op_bit(op)
                                               : 0;

    cel__text_put(text, " (fd ");
    cel__text_number(text, (uint64_t)(unsigned)op->fd);
    cel__text_put(text, (events & CEL__READABLE) != 0 ? " readable" : "");
    cel__text_put(text, (events & CEL__WRITABLE) != 0 ? " writable" : "");
    cel__text_put(text, (events & CEL__URGENT) != 0 ? " urgent" : "");
    cel__text_put(text, ")");
}

static const struct cel__awaited awaited_op = {.what = "an operation",
                                               .describe = describe_op};

static void
wake_waiter(struct cel__op *op)
{
    if (op->code == CEL__OP_ACCEPT) {
        cel__wake_first(op->waiter);
    }
    else {
        cel__wake(op->waiter);
    }
}

int64_t
cel__io_charge(struct cel__worker *worker, int64_t result)
{
    if (cel__unlikely(cel__worker_spent(worker)) ||
        (CEL__HARD && cel__dice(4) == 0)) {
        (void)cel__yield(worker);
    }
    return result;
}

/* The wait of `op` was ended by `code`: so is the operation. */
static void
give_up(struct cel__worker *worker, struct cel__op *op, int code)
{
    cel__loop_cancel(&worker->loop, op, code);
    while (op->state != CEL__OP_IDLE) {
        cel__park_firmly(worker, "cancel"); /* the kernel has its buffer */
    }
    /* A deadline in the past allows one attempt, and there was none where a
       direction was known to be drained. */
    if (op->result == -ETIMEDOUT && code == -ETIMEDOUT &&
        !cel__loop_try(&worker->loop, op)) {
        op->result = -ETIMEDOUT;
    }
}

int64_t
cel__op_await(struct cel__worker *worker, struct cel__op *op,
              cel_time deadline, const char *what)
{
    op->done = wake_waiter;
    op->waiter = worker->current;
    if (deadline <= CEL_AT_ONCE) {
        bool ended = cel__loop_try(&worker->loop, op);
        return cel__io_charge(worker, ended ? op->result : -ETIMEDOUT);
    }
    int err = cel__loop_submit(&worker->loop, op);
    if (cel__likely(err != 0)) {
        return cel__io_charge(worker, err < 0 ? err : op->result);
    }
    struct cel__awaiting note = {&awaited_op, op};
    worker->current->awaiting = &note;
    do {
        int code = cel__park(worker, deadline, what);
        if (cel__unlikely(code < 0) && op->state != CEL__OP_IDLE) {
            give_up(worker, op, code);
        }
    } while (op->state != CEL__OP_IDLE);
    worker->current->awaiting = NULL;
    return op->result;
}

int64_t
cel__fd_await(struct cel__worker *worker, int fd, uint32_t events,
              cel_time deadline, const char *what)
{
    struct cel__op op = {.code = CEL__OP_POLL, .fd = fd, .events = events};

    return cel__op_await(worker, &op, deadline, what);
}
