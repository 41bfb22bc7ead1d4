/* SPDX-License-Identifier: MIT */
/*
 * The backend over poll(2): the last resort, and the second opinion in tests.
 *
 * A dense array has one place for each descriptor that is waited for; the
 * entry knows its place.  Places are taken and given back as waits begin and
 * end, by moving the last one into the gap.  Nothing is ever edge-triggered,
 * so no ready bit is trusted, and owned and other descriptors are alike.
 *
 * Place 0 belongs to the eventfd that wakes a sleeping wait.
 *
 * Threads: the loop's owner, save wake().
 *
 * Tests: unit/test_loop.c, unit/test_readiness.c
 */
#include "io/backend.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/sys.h"
#include "io/fd.h"
#include "io/loop.h"
#include "io/op.h"
#include "io/readiness.h"

/* Invariant: for i in 1 .. count - 1, the entry of fds[i].fd has slot i. */
struct poll_state {
    struct pollfd *fds;
    uint32_t count;
    uint32_t room;
    int wake; /* eventfd */
};

static int
make_wake(struct poll_state *state)
{
    /* Should this fail, the number is not ours. */
    state->wake = cel__sys_eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    state->fds[0] = (struct pollfd){state->wake, POLLIN, 0};
    return state->wake < 0 ? state->wake : 0;
}

static int
poll_open(struct cel__loop *loop)
{
    struct poll_state *state = cel__alloc(sizeof(*state));

    if (state == NULL) {
        return -ENOMEM;
    }
    state->count = 1;
    state->room = CEL__HARD ? 2 : 64;
    state->fds = cel__alloc_zeroed(state->room, sizeof(*state->fds));
    if (state->fds == NULL) {
        free(state);
        return -ENOMEM;
    }
    int err = make_wake(state);
    if (err < 0) {
        free(state->fds);
        free(state);
        return err;
    }
    loop->state = state;
    return 0;
}

static void
poll_close(struct cel__loop *loop)
{
    struct poll_state *state = loop->state;

    (void)cel__sys_close(state->wake);
    free(state->fds);
    free(state);
    loop->state = NULL;
}

static void
remove_place(struct cel__loop *loop, struct cel__fd *entry)
{
    struct poll_state *state = loop->state;
    const struct pollfd *last = &state->fds[state->count - 1];
    struct cel__fd *moved = cel__fd_find(&loop->fds, last->fd);

    if (entry->slot != 0 && moved != NULL) {
        state->fds[entry->slot] = *last;
        state->count--;
        moved->slot = entry->slot; /* may be `entry` itself */
        entry->slot = 0;
    }
}

/* Returns 0 or -ENOMEM; on error nothing has changed. */
static int
add_place(struct poll_state *state, int fd, struct cel__fd *entry)
{
    if (state->count == state->room) {
        struct pollfd *fds = cel__alloc_resize(
            state->fds, 2 * (size_t)state->room * sizeof(*fds));
        if (fds == NULL) {
            return -ENOMEM;
        }
        state->fds = fds;
        state->room *= 2;
    }
    entry->slot = state->count++;
    state->fds[entry->slot] = (struct pollfd){fd, 0, 0};
    return 0;
}

/* Bring the place of `entry` in line with its queues. */
static int
refresh(struct cel__loop *loop, int fd, struct cel__fd *entry)
{
    struct poll_state *state = loop->state;

    if (cel__fd_idle(entry)) {
        remove_place(loop, entry);
        return 0;
    }
    if (entry->slot == 0) {
        int err = add_place(state, fd, entry);
        if (err < 0) {
            return err;
        }
    }
    state->fds[entry->slot].events = (short)cel__readiness_interest(entry);
    return 0;
}

static int
poll_submit(struct cel__loop *loop, struct cel__op *op)
{
    /* Files that are always ready end at once, and closed ones are told. */
    return op->code == CEL__OP_POLL && cel__op_try(NULL, op)
               ? 1
               : cel__readiness_submit(loop, op, refresh);
}

static void
poll_cancel(struct cel__loop *loop, struct cel__op *op, int64_t result)
{
    struct cel__fd *entry = cel__fd_find(&loop->fds, op->fd);

    cel__list_remove(&op->link);
    (void)refresh(loop, op->fd, entry); /* it takes no memory to take away */
    cel__loop_finish(loop, op, result);
}

static void
poll_forget(struct cel__loop *loop, int fd, int result)
{
    struct cel__fd *entry = cel__fd_find(&loop->fds, fd);

    if (entry != NULL) {
        remove_place(loop, entry);
        cel__fd_reset(entry);
        cel__readiness_end(loop, entry, result);
    }
}

static int
poll_after_fork(struct cel__loop *loop)
{
    struct poll_state *state = loop->state;

    (void)cel__sys_close(state->wake);
    return make_wake(state);
}

static void
dispatch(struct cel__loop *loop, int fd, int events)
{
    struct cel__fd *entry = cel__fd_find(&loop->fds, fd);

    if ((events & POLLNVAL) != 0) {
        /* Closed behind our back. */
        poll_forget(loop, fd, -EBADF);
        return;
    }
    cel__readiness_event(loop, entry, (uint32_t)events);
    int err = refresh(loop, fd, entry);
    if (err < 0) {
        cel__readiness_end(loop, entry, err);
    }
}

/* Empty the eventfd; where it was closed behind our back, make another. */
static int
take_wakes(struct poll_state *state)
{
    uint64_t count;

    if ((state->fds[0].revents & POLLNVAL) != 0) {
        return make_wake(state);
    }
    (void)cel__sys_read(state->wake, &count, sizeof(count));
    return 0;
}

static int
wait_for(struct poll_state *state, cel_time timeout)
{
    struct timespec span = {
        .tv_sec = timeout / CEL_SEC,
        .tv_nsec = timeout % CEL_SEC,
    };

    return cel__sys_ppoll(state->fds, state->count,
                          timeout == CEL_FOREVER ? NULL : &span, NULL);
}

static int
poll_poll(struct cel__loop *loop, cel_time timeout)
{
    struct poll_state *state = loop->state;

    if (timeout != 0 && loop->before_sleep != NULL) {
        loop->before_sleep(loop);
    }
    int n = wait_for(state, timeout);
    if (timeout != 0 && loop->after_sleep != NULL) {
        loop->after_sleep(loop);
    }
    if (n <= 0) {
        return n;
    }
    /* From the back: what moves into a gap, or is added, has had its turn. */
    for (uint32_t i = state->count - 1; i > 0; i--) {
        if (i < state->count && state->fds[i].revents != 0) {
            int events = state->fds[i].revents;
            state->fds[i].revents = 0;
            dispatch(loop, state->fds[i].fd, events);
        }
    }
    return state->fds[0].revents != 0 ? take_wakes(state) : 0;
}

static void
poll_wake(struct cel__loop *loop)
{
    struct poll_state *state = loop->state;

    cel__sys_poke(state->wake);
}

const struct cel__backend cel__poll_backend = {
    .name = "poll",
    .open = poll_open,
    .close = poll_close,
    .submit = poll_submit,
    .cancel = poll_cancel,
    .poll = poll_poll,
    .forget = poll_forget,
    .wake = poll_wake,
    .after_fork = poll_after_fork,
};
