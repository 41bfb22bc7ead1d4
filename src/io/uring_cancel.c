/* SPDX-License-Identifier: MIT */
/*
 * Taking requests back.
 *
 * One that was not submitted yet is made a no-operation in the ring; one that
 * has ended is found among the completions.  Of any other the kernel is told,
 * by its user_data (by descriptor it would search all there are, 45 us among
 * 8000), and the completion is there when that call returns.  Others' may
 * come with it; they stay where they are until the next poll.
 *
 * An operation that is not back even so, or that another thread cancels, is
 * `held`: its memory, and the buffer, must stay until it comes.
 *
 * Threads: see uring.h.
 *
 * Tests: unit/test_uring.c
 */
#include "io/uring.h"

#include <errno.h>

#include "io/loop.h"

/* How often cancelling enters the kernel before it leaves the rest to the
   next polls: work of others may come first, and the kernel does twenty
   pieces at a time. */
#define PATIENCE 8

/* Returns false where the ring is full and the kernel does not take it. */
static bool
push_cancel(struct cel__uring *state, const struct cel__op *op)
{
    struct io_uring_sqe *sqe = cel__uring_ring_push(&state->ring);

    if (sqe != NULL) {
        *sqe = (struct io_uring_sqe){
            .opcode = IORING_OP_ASYNC_CANCEL,
            .flags = CEL__URING_SQE_SKIP_SUCCESS,
            .addr = (uintptr_t)op,
            .user_data = CEL__URING_NOBODY,
        };
    }
    return sqe != NULL;
}

/* Take the request of `op` back.  Returns whether it is gone; then `*res` is
   its result. */
static bool
take_back(struct cel__uring *state, const struct cel__op *op, int32_t *res)
{
    struct cel__uring_ring *ring = &state->ring;
    uint64_t data = (uintptr_t)op;

    *res = -ECANCELED;
    if (cel__uring_ring_unpush(ring, data) ||
        cel__uring_ring_find(ring, data, res)) {
        return true;
    }
    if (!push_cancel(state, op)) {
        return false;
    }
    for (int i = 0; i < PATIENCE; i++) {
        (void)cel__uring_ring_enter(ring, 0, 0);
        if (cel__uring_ring_find(ring, data, res)) {
            return true;
        }
    }
    return false;
}

bool
cel__uring_retire(struct cel__uring *state, const struct cel__op *op)
{
    return op->posted && push_cancel(state, op);
}

void
cel__uring_cancel(struct cel__loop *loop, struct cel__op *op, int64_t result)
{
    struct cel__uring *state = loop->state;
    int32_t res;

    cel__list_append(&state->held, &op->link);
    op->state = CEL__OP_CANCELLED;
    op->result = result;
    if (pthread_equal(state->owner, pthread_self()) != 0 &&
        take_back(state, op, &res)) {
        cel__uring_cancel_ended(loop, op, res);
    }
    else {
        state->sweep = true;
    }
}

void
cel__uring_cancel_ended(struct cel__loop *loop, struct cel__op *op,
                        int32_t res)
{
    struct cel__uring *state = loop->state;
    const struct io_uring_cqe cqe = {.res = res};
    int64_t result = op->result;

    state->nposted--;
    /* Interrupted: an operation on a file, by the cancelling. */
    if (res == -ECANCELED || res == -EINTR) {
        op->posted = false;
    }
    else if (cel__uring_op_ended(NULL, op, &cqe)) {
        result = op->result; /* the effect came first */
    }
    cel__loop_finish(loop, op, result);
}

void
cel__uring_sweep(struct cel__loop *loop)
{
    struct cel__uring *state = loop->state;
    struct cel__link *held = &state->held;
    struct cel__fd *entry;

    state->sweep = false;
    for (struct cel__link *link = held->next; link != held;
         link = link->next) {
        const struct cel__op *op = cel__container(link, struct cel__op, link);
        if (!push_cancel(state, op)) {
            state->sweep = true;
        }
    }
    for (int fd = 0; (entry = cel__fd_next(&loop->fds, &fd)) != NULL; fd++) {
        if (entry->held && !entry->owned) {
            entry->held = !cel__uring_place(&state->ring, fd, -1);
            state->sweep |= entry->held;
        }
    }
}
