/* SPDX-License-Identifier: MIT */
/*
 * The loop: which backend, and the accounts every backend needs kept.
 *
 * Threads: see loop.h.
 *
 * Tests: unit/test_loop.c
 */
#include "io/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/probe.h"
#include "base/sys_thread.h"
#include "io/epoll.h"
#include "io/op.h"
#include "io/uring.h"

/* The best first. */
static const struct cel__backend *const backends[] = {
    &cel__uring_backend,
    &cel__epoll_backend,
    &cel__poll_backend,
};

#define NBACKENDS (sizeof(backends) / sizeof(backends[0]))

/* Where the choice begins that nobody has made: 0 is io_uring, 1 epoll. */
#define FIRST_CHOICE 1

int
cel__loop_open(struct cel__loop *loop, const char *backend)
{
    int err = -EINVAL;

    if (backend == NULL) {
        backend = getenv("CELADON_BACKEND");
    }
    *loop = (struct cel__loop){.forks = cel__fork_count()};
    bool any = backend == NULL || *backend == '\0';
    for (size_t i = any ? FIRST_CHOICE : 0; i < NBACKENDS; i++) {
        if (any || strcmp(backend, backends[i]->name) == 0) {
            loop->backend = backends[i];
            err = loop->backend->open(loop);
            /* A sandbox may forbid the best one; what else fails would fail
               with the next one too. */
            if (!any || (err != -ENOSYS && err != -EPERM)) {
                return err;
            }
        }
    }
    if (err == -EINVAL) {
        loop->reason = "there is none such: choose uring, epoll or poll";
    }
    return err;
}

const char *
cel__loop_backend_name(size_t number)
{
    return number < NBACKENDS ? backends[number]->name : NULL;
}

void
cel__loop_close(struct cel__loop *loop)
{
    cel__loop_cancel_all(loop);
    /* The kernel may still have the buffers of some. */
    while (loop->narmed != 0) {
        (void)cel__loop_poll(loop, CEL_MSEC);
    }
    loop->backend->close(loop);
    cel__fd_table_fini(&loop->fds);
}

int
cel__loop_submit(struct cel__loop *loop, struct cel__op *op)
{
    cel__assert(!cel__fileop_is(op) || loop->backend->files);
    cel__list_init(&op->link);
    op->moved = 0;
    int err = loop->backend->submit(loop, op);
    if (err == 0) {
        op->state = CEL__OP_ARMED;
        loop->narmed++;
    }
    else {
        op->state = CEL__OP_IDLE;
    }
    return err;
}

bool
cel__loop_try(struct cel__loop *loop, struct cel__op *op)
{
    if (cel__fileop_is(op)) {
        return false; /* its call would block */
    }
    struct cel__fd *entry = cel__fd_find(&loop->fds, op->fd);
    if (entry != NULL && op->code != CEL__OP_POLL &&
        !cel__list_empty(&entry->waiters[cel__fd_queue_of(cel__op_bit(op))])) {
        return false;
    }
    return cel__op_try(entry, op);
}

void
cel__loop_cancel(struct cel__loop *loop, struct cel__op *op, int result)
{
    if (op->state == CEL__OP_ARMED) {
        loop->backend->cancel(loop, op, result);
    }
}

void
cel__loop_cancel_all(struct cel__loop *loop)
{
    struct cel__fd *entry;
    struct cel__op *op;

    for (int fd = 0; (entry = cel__fd_next(&loop->fds, &fd)) != NULL; fd++) {
        for (int i = 0; i < 3; i++) {
            while ((op = cel__op_first(&entry->waiters[i])) != NULL) {
                cel__loop_cancel(loop, op, -ECANCELED);
            }
        }
    }
}

int
cel__loop_poll(struct cel__loop *loop, cel_time timeout)
{
    /* Nothing can end, and nobody wants to sleep. */
    if (timeout == 0 && loop->narmed == 0) {
        return 0;
    }
    int err = cel__loop_after_fork(loop);
    return err < 0 ? err : loop->backend->poll(loop, timeout);
}

void
cel__loop_own(struct cel__loop *loop, int fd)
{
    struct cel__fd *entry = cel__fd_make(&loop->fds, fd);

    if (entry == NULL) {
        return;
    }
    /* Somebody closed an earlier one without telling us. */
    if (entry->owned || entry->known || entry->held) {
        cel__loop_forget(loop, fd, -ECANCELED);
    }
    entry->owned = !entry->held; /* else a ring has an earlier one still */
}

void
cel__loop_own_accepted(struct cel__loop *loop, int fd, int listener)
{
    const struct cel__fd *parent = cel__fd_find(&loop->fds, listener);

    cel__loop_own(loop, fd);
    struct cel__fd *entry = cel__fd_find(&loop->fds, fd);
    if (entry != NULL && parent != NULL) {
        entry->kind = parent->kind;
    }
}

bool
cel__loop_owns(const struct cel__loop *loop, int fd)
{
    const struct cel__fd *entry = cel__fd_find(&loop->fds, fd);

    return entry != NULL && entry->owned;
}

void
cel__loop_forget(struct cel__loop *loop, int fd, int result)
{
    /* A fork is seen to first: the kernel objects may be the parent's. */
    if (cel__loop_after_fork(loop) == 0) {
        loop->backend->forget(loop, fd, result);
    }
}

int
cel__loop_embed(struct cel__loop *loop)
{
    if (loop->backend == &cel__uring_backend) {
        return cel__uring_embed(loop);
    }
    return loop->backend == &cel__epoll_backend ? 0 : -ENOSYS;
}

int
cel__loop_fd(const struct cel__loop *loop)
{
    const struct cel__epoll *state = loop->state;

    return state->epoll; /* io_uring's begins with epoll's */
}

bool
cel__loop_hand_over(struct cel__loop *loop)
{
    return loop->backend != &cel__uring_backend || cel__uring_hand_over(loop);
}

bool
cel__loop_is_idle(const struct cel__loop *loop)
{
    /* A ring may have to be told of what was cancelled; and an embedder's lock
       is the backend's to let go of. */
    return CEL__HAVE_FUTEX && loop->narmed == 0 &&
           loop->before_sleep == NULL && loop->backend != &cel__uring_backend;
}

void
cel__loop_wake(struct cel__loop *loop)
{
    loop->backend->wake(loop);
}

int
cel__loop_forked(struct cel__loop *loop)
{
    unsigned before = loop->forks;

    loop->forks = cel__fork_count(); /* arming looks at it again */
    int err = loop->backend->after_fork(loop);
    if (err < 0) {
        loop->forks = before; /* the next call tries again */
    }
    return err;
}

void
cel__loop_finish(struct cel__loop *loop, struct cel__op *op, int64_t result)
{
    cel__assert(op->state != CEL__OP_IDLE);
    cel__list_remove(&op->link);
    op->state = CEL__OP_IDLE;
    op->result = result;
    loop->narmed--;
    CEL__PROBE3(io, op->waiter, op->fd, result);
    op->done(op);
}
