/* SPDX-License-Identifier: MIT */
/*
 * The backend over epoll(7).
 *
 * An owned descriptor is registered edge-triggered when an operation first has
 * to wait, and stays so until it is forgotten: in the steady state a wait
 * costs no epoll_ctl(), and one epoll_wait() serves everybody.  Any other
 * descriptor is armed one-shot for each wait, by ADD or MOD, whichever the
 * kernel takes: it forgets closed descriptors by itself.
 *
 * What comes back with an event is the number and the generation of the
 * descriptor.  Events of an earlier generation are dropped; one that slips
 * through all the same (a registration outlives its number where a duplicate
 * of the descriptor is left open) is a hint like any other, see readiness.c.
 *
 * The eventfd that wakes a sleeping wait is edge-triggered and never read:
 * each write is an edge, and the count reaches its end in a thousand years.
 *
 * A program that closes all its descriptors, as daemons do, closes ours too:
 * a wait that finds its epoll gone makes a new one and arms everything again.
 *
 * Threads: the loop's owner, save wake().
 *
 * Tests: unit/test_loop.c, unit/test_readiness.c
 */
#include "io/epoll.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/sys.h"
#include "io/backend.h"
#include "io/fd.h"
#include "io/loop.h"
#include "io/op.h"
#include "io/readiness.h"

/* The eventfd's mark in place of a descriptor and its generation. */
#define WAKE_MARK UINT64_MAX

int
cel__epoll_init(struct cel__epoll *state)
{
    struct epoll_event event = {EPOLLIN | EPOLLET, {.u64 = WAKE_MARK}};

    int epoll = cel__sys_epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) {
        return epoll;
    }
    int wake = cel__sys_eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake < 0) {
        (void)cel__sys_close(epoll);
        return wake;
    }
    int err = cel__sys_epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event);
    if (err < 0) {
        (void)cel__sys_close(wake);
        (void)cel__sys_close(epoll);
        return err;
    }
    state->epoll = epoll;
    state->wake = wake;
    state->coarse = false;
    return 0;
}

void
cel__epoll_fini(struct cel__epoll *state)
{
    (void)cel__sys_close(state->wake);
    (void)cel__sys_close(state->epoll);
}

static int
epoll_open(struct cel__loop *loop)
{
    struct cel__epoll *state = cel__alloc(sizeof(*state));

    if (state == NULL) {
        return -ENOMEM;
    }
    int err = cel__epoll_init(state);
    if (err < 0) {
        free(state);
        return err;
    }
    loop->state = state;
    return 0;
}

static void
epoll_close(struct cel__loop *loop)
{
    cel__epoll_fini(loop->state);
    free(loop->state);
    loop->state = NULL;
}

/* Tell the kernel what to watch `fd` for. */
static int
control(struct cel__loop *loop, int fd, struct cel__fd *entry, uint32_t events)
{
    struct cel__epoll *state = loop->state;
    struct epoll_event event = {
        events,
        {.u64 = (uint32_t)fd | (uint64_t)entry->generation << 32},
    };
    int op = entry->known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    int err = cel__sys_epoll_ctl(state->epoll, op, fd, &event);
    /* The number changed hands without our knowing. */
    if (err == -ENOENT || err == -EEXIST) {
        op = err == -ENOENT ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
        err = cel__sys_epoll_ctl(state->epoll, op, fd, &event);
    }
    entry->known = err == 0;
    return err;
}

/* A socket's integer option; -1: it has none such. */
static int
option(int fd, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    int err = cel__sys_getsockopt(fd, SOL_SOCKET, name, &value, &len);

    return err < 0 ? -1 : value;
}

static void
ask_kind(struct cel__fd *entry, int fd)
{
    if (entry->kind != CEL__FD_KIND_UNKNOWN) {
        return;
    }
    entry->kind = CEL__FD_KIND_OTHER;
    if (option(fd, SO_PROTOCOL) == IPPROTO_TCP) {
        entry->kind = CEL__FD_KIND_TCP;
    }
    else if (option(fd, SO_DOMAIN) == AF_UNIX &&
             option(fd, SO_TYPE) == SOCK_STREAM) {
        entry->kind = CEL__FD_KIND_UNIX;
    }
}

/* See that an owned descriptor is registered for all that is waited for. */
static int
arm_edge(struct cel__loop *loop, int fd, struct cel__fd *entry)
{
    uint32_t interest = cel__readiness_interest(entry);
    uint32_t events = EPOLLET | EPOLLPRI | EPOLLRDHUP;
    uint8_t edge = entry->edge;

    edge |= (uint8_t)(interest & (CEL__READABLE | CEL__WRITABLE));
    if (edge == 0) {
        edge = CEL__READABLE; /* urgent data, or only failures */
    }
    if (edge == entry->edge) {
        return 0;
    }
    if ((edge & CEL__READABLE) != 0) {
        events |= EPOLLIN;
    }
    if ((edge & CEL__WRITABLE) != 0) {
        events |= EPOLLOUT;
    }
    int err = control(loop, fd, entry, events);
    if (err < 0) {
        return err;
    }
    if (entry->edge == 0) {
        ask_kind(entry, fd);
        entry->exact = entry->kind != CEL__FD_KIND_OTHER;
    }
    /* What is ready already comes as the first event. */
    entry->ready &= entry->edge;
    entry->edge = edge;
    return 0;
}

int
cel__epoll_arm(struct cel__loop *loop, int fd, struct cel__fd *entry)
{
    int err = cel__loop_after_fork(loop);
    if (err < 0) {
        return err;
    }
    return entry->owned
               ? arm_edge(loop, fd, entry)
               : control(loop, fd, entry,
                         EPOLLONESHOT | cel__readiness_interest(entry));
}

void
cel__epoll_disarm(struct cel__loop *loop, int fd, struct cel__fd *entry)
{
    const struct cel__epoll *state = loop->state;

    (void)cel__sys_epoll_ctl(state->epoll, EPOLL_CTL_DEL, fd, NULL);
    entry->edge = 0;
    entry->known = false;
    entry->exact = false;
}

static int
epoll_submit(struct cel__loop *loop, struct cel__op *op)
{
    return cel__readiness_submit(loop, op, cel__epoll_arm);
}

/* Arm an entry that has waiters again; where that fails they end. */
static void
arm_again(struct cel__loop *loop, int fd, struct cel__fd *entry)
{
    if (cel__readiness_interest(entry) != 0) {
        int err = cel__epoll_arm(loop, fd, entry);
        if (err < 0) {
            cel__readiness_end(loop, entry, err);
        }
    }
}

static struct cel__fd *
entry_of(const struct cel__loop *loop, const struct epoll_event *event)
{
    return cel__fd_find(&loop->fds, (int)(uint32_t)event->data.u64);
}

static void
dispatch(struct cel__loop *loop, const struct epoll_event *event)
{
    struct cel__fd *entry = entry_of(loop, event);

    if (event->data.u64 == WAKE_MARK || entry == NULL ||
        entry->generation != event->data.u64 >> 32) {
        return;
    }
    cel__readiness_event(loop, entry, event->events);
    if (entry->edge == 0) {
        arm_again(loop, (int)(uint32_t)event->data.u64, entry);
    }
}

/* Have fetched what the `left` events from `event` on will need, one piece an
   event, for each leads to the next: an entry, who reads there first, and that
   one's waiter.  See fetch_ahead() of uring.c. */
static void
fetch_ahead(const struct cel__loop *loop, const struct epoll_event *event,
            int left)
{
    const struct cel__fd *second = left > 2 ? entry_of(loop, &event[2]) : NULL;
    const struct cel__fd *first = left > 1 ? entry_of(loop, &event[1]) : NULL;
    const struct cel__op *op;

    if (left > 3) {
        cel__fetch(entry_of(loop, &event[3]));
    }
    if (second != NULL) {
        cel__op_fetch(cel__op_first(&second->waiters[CEL__FD_READ]));
    }
    if (first != NULL &&
        (op = cel__op_first(&first->waiters[CEL__FD_READ])) != NULL) {
        cel__fetch_four(op->waiter);
    }
}

/* Make new kernel objects and tell them all that the old ones knew, which are
   closed. */
static int
renew(struct cel__loop *loop)
{
    struct cel__epoll *state = loop->state;
    struct cel__fd *entry;

    state->epoll = -1; /* should this fail, the numbers are not ours */
    state->wake = -1;
    int err = cel__epoll_init(state);
    if (err < 0) {
        return err;
    }
    for (int fd = 0; (entry = cel__fd_next(&loop->fds, &fd)) != NULL; fd++) {
        entry->edge = 0;
        entry->ready = 0;
        entry->exact = false;
        entry->known = false;
    }
    for (int fd = 0; (entry = cel__fd_next(&loop->fds, &fd)) != NULL; fd++) {
        arm_again(loop, fd, entry);
    }
    return 0;
}

static int
epoll_after_fork(struct cel__loop *loop)
{
    cel__epoll_fini(loop->state);
    return renew(loop);
}

/* Nanoseconds as the milliseconds that epoll_wait() takes, rounded up. */
static int
milliseconds(cel_time timeout)
{
    if (timeout == CEL_FOREVER) {
        return -1;
    }
    cel_time ms = timeout / CEL_MSEC + (timeout % CEL_MSEC != 0);
    return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

static int
wait_for(struct cel__epoll *state, cel_time timeout)
{
    if (timeout > 0 && timeout != CEL_FOREVER && !state->coarse) {
        struct timespec span = {
            .tv_sec = timeout / CEL_SEC,
            .tv_nsec = timeout % CEL_SEC,
        };
        int n = cel__sys_epoll_pwait2(state->epoll, state->events,
                                      CEL__EPOLL_NEVENTS, &span);
        if (n != -ENOSYS && n != -EPERM) {
            return n;
        }
        state->coarse = true; /* an old kernel, or a sandbox */
    }
    return cel__sys_epoll_wait(state->epoll, state->events, CEL__EPOLL_NEVENTS,
                               milliseconds(timeout));
}

/*
 * Wait where sleeping is dear: an embedder's lock is let go of and taken again
 * (60-100 ns for CPython's), a limit costs the kernel a clock reading.  A
 * program that talks to itself, or is busy, has events at once; one that has
 * none does not mind the 0.1 us.
 */
static int
wait_dearly(struct cel__loop *loop, cel_time timeout)
{
    struct cel__epoll *state = loop->state;
    int n = wait_for(state, 0);

    if (n != 0) {
        return n;
    }
    loop->before_sleep(loop);
    n = wait_for(state, timeout);
    loop->after_sleep(loop);
    return n;
}

static int
epoll_poll(struct cel__loop *loop, cel_time timeout)
{
    struct cel__epoll *state = loop->state;
    int n = timeout != 0 && loop->before_sleep != NULL
                ? wait_dearly(loop, timeout)
                : wait_for(state, timeout);

    if (cel__unlikely(n == -EBADF || n == -EINVAL)) {
        return renew(loop); /* ours was closed; see above */
    }
    state->nevents = n < 0 ? 0 : (unsigned)n;
    for (int i = 0; i < n; i++) {
        fetch_ahead(loop, &state->events[i], n - i);
        dispatch(loop, &state->events[i]);
    }
    return n < 0 ? n : 0;
}

static void
epoll_forget(struct cel__loop *loop, int fd, int result)
{
    struct cel__epoll *state = loop->state;
    struct cel__fd *entry = cel__fd_find(&loop->fds, fd);

    if (entry == NULL) {
        return;
    }
    /* Not left to close(2): that is a no-op for the kernel as long as a
       duplicate, or a child process, has the same file open. */
    if (entry->known) {
        (void)cel__sys_epoll_ctl(state->epoll, EPOLL_CTL_DEL, fd, NULL);
    }
    cel__fd_reset(entry);
    cel__readiness_end(loop, entry, result);
}

void
cel__epoll_wake(struct cel__loop *loop)
{
    cel__sys_poke(((const struct cel__epoll *)loop->state)->wake);
}

const struct cel__backend cel__epoll_backend = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .submit = epoll_submit,
    /* A one-shot registration that nobody waits for any more fires once at
       most and is then dropped, so the kernel need not be told. */
    .cancel = cel__loop_finish,
    .poll = epoll_poll,
    .forget = epoll_forget,
    .wake = cel__epoll_wake,
    .after_fork = epoll_after_fork,
};
