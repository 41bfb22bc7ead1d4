/* SPDX-License-Identifier: MIT */
/*
 * The backend over io_uring(7): where much goes on the kernel makes the calls.
 *
 * What an operation on an owned socket comes to is then left to the kernel, as
 * a request that has the operation's address for user_data.  Requests are only
 * put into the ring; the one system call of a turn submits them all and waits.
 * Of a queue only the first operation has one, for the kernel keeps no order
 * among several.  While it is there the operation and its buffer must stay
 * (uring_cancel.c), and so does the open file: close(2) alone would send no
 * FIN, so forget() takes the requests back first.
 *
 * Everything else is the epoll backend's, whose state ours begins with: waits
 * for readiness (all that the Python face does), pipes, descriptors that may
 * be closed behind our back.  Where no request is under way the loop sleeps in
 * epoll and does no worse than it; else a request watches the epoll.  The
 * kernel's own POLL_ADD would not do: it keeps the file open, its edges claim
 * whatever the waker might have meant (urgent data, with all data), and to
 * wait for urgent data alone is to wait for ever (seen on 6.18).
 *
 * Sending is tried at once as long as little goes on: a request would only
 * make the answer late.  Once a poll has brought several completions the
 * answers to them leave together, in the call that waits for the next.
 *
 * Not here: a request that accepts over and over.  It would take connections
 * that nobody has asked for yet, which no other process could then take, and
 * which a child would inherit without knowing of them.
 *
 * Threads: the loop's owner, save wake(), and forget() as told in backend.h:
 * the ring is one thread's, so another's forget() leaves the rest to it.
 *
 * Tests: unit/test_uring.c, unit/test_loop.c, unit/test_readiness.c
 */
#include "io/uring.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/fault.h"
#include "base/fork.h"
#include "io/loop.h"
#include "io/op.h"
#include "io/readiness.h"
#include "io/uring_probe.h"

/* Requests a submission; more leave in several. */
#define NSQES (CEL__HARD ? 4u : 128u)

/* Completions of one poll that make the loop busy; bench/README.md. */
#define BUSY 2

/* Completions a poll takes at most: what was fetched of their waiters is in
   the nearest cache yet when these run. */
#define TAKEN (CEL__HARD ? 3U : 32U)

/* So many completions ahead memory is fetched: as much as is fetched at a
   time. */
#define FETCHED 8

/* With so many requests of a descriptor the ring holds its file: to hold it
   and to let go of it costs 0.3 us each, and every request gains 0.05. */
#define MANY (CEL__HARD ? 2U : 16U)

/* CEL__READABLE as POLL_ADD has it: with its halves swapped where the machine
   is big-endian. */
#define READABLE                                                              \
    (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? CEL__READABLE << 16             \
                                            : CEL__READABLE)

static int
uring_open(struct cel__loop *loop)
{
    if (!cel__uring_probe()) {
        loop->reason = "a seccomp filter kills who asks for io_uring";
        return -ENOSYS;
    }
    struct cel__uring *state = cel__alloc(sizeof(*state));
    if (state == NULL) {
        return -ENOMEM;
    }
    *state = (struct cel__uring){.owner = pthread_self()};
    cel__uring_load_init(state);
    cel__list_init(&state->files);
    cel__list_init(&state->held);
    int err = cel__uring_ring_open(&state->ring, NSQES, &loop->reason);
    if (err < 0) {
        goto free_state;
    }
    err = cel__epoll_init(&state->epoll);
    if (err < 0) {
        goto close_ring;
    }
    loop->state = state;
    return 0;

close_ring:
    cel__uring_ring_close(&state->ring);
free_state:
    free(state);
    return err;
}

static void
uring_close(struct cel__loop *loop)
{
    struct cel__uring *state = loop->state;

    if (loop->forks == cel__fork_count()) {
        cel__uring_ring_close(&state->ring);
    }
    else {
        cel__uring_ring_drop(&state->ring);
    }
    cel__epoll_fini(&state->epoll);
    free(state);
    loop->state = NULL;
}

/* ---- submitting */

/* Whether the ring holds the file that `op` is about to use. */
static bool
holds(struct cel__uring *state, struct cel__fd *entry,
      const struct cel__op *op)
{
    if (entry->nposted < MANY && ++entry->nposted == MANY &&
        op->code != CEL__OP_ACCEPT) {
        entry->held = cel__uring_hold(&state->ring, op->fd);
    }
    return entry->held;
}

/* Hand `op` to the kernel; `entry` is NULL for one on a file. */
static int
post(struct cel__uring *state, struct cel__fd *entry, struct cel__op *op)
{
    struct io_uring_sqe *sqe = cel__uring_ring_push(&state->ring);

    if (sqe == NULL) {
        return -ENOMEM;
    }
    cel__uring_op_put(entry, op, sqe);
    if (entry != NULL && holds(state, entry, op)) {
        sqe->flags = CEL__URING_SQE_FIXED_FILE;
    }
    op->posted = true;
    state->nposted++;
    return 0;
}

/* Whether the direction of `op` is registered by edges. */
static bool
is_watched(const struct cel__fd *entry, const struct cel__op *op)
{
    return (entry->edge & cel__op_bit(op)) != 0;
}

/* `op` has become the first of its queue: see that something will end it.
   Returns 1 where it has ended, 0, or a negative errno. */
static int
arm_first(struct cel__loop *loop, struct cel__fd *entry, struct cel__op *op)
{
    struct cel__uring *state = loop->state;

    if (op->posted) {
        return 0;
    }
    if (state->requests && !is_watched(entry, op) &&
        cel__uring_op_fits(entry, op)) {
        return post(state, entry, op);
    }
    /* Its edge may have come while another was first. */
    return cel__op_try(entry, op) ? 1 : cel__epoll_arm(loop, op->fd, entry);
}

/* The first of `queue` is gone: arm the next. */
static void
advance(struct cel__loop *loop, struct cel__fd *entry, int queue)
{
    struct cel__op *op;

    while ((op = cel__op_first(&entry->waiters[queue])) != NULL) {
        int ended = arm_first(loop, entry, op);
        if (ended == 0) {
            break;
        }
        cel__loop_finish(loop, op, ended < 0 ? ended : op->result);
    }
}

/* Whether `op`, whose call the kernel could make, is to be tried first. */
static bool
try_call(const struct cel__uring *state, const struct cel__fd *entry,
         const struct cel__op *op)
{
    bool there = (entry->ready & CEL__READABLE) != 0;

    if (CEL__HARD && cel__dice(4) == 0) {
        return cel__dice(2) == 0;
    }
    switch (op->code) {
    case CEL__OP_SEND:
    case CEL__OP_SENDMSG:
        return !state->busy;
    case CEL__OP_RECV:
    case CEL__OP_RECVMSG:
        /* Who connects mostly has something to say. */
        return there || entry->nposted == 0;
    default:
        return there;
    }
}

static int
post_last(struct cel__uring *state, struct cel__fd *entry, struct cel__op *op,
          struct cel__link *queue)
{
    int err = post(state, entry, op);

    if (err == 0) {
        cel__list_append(queue, &op->link);
    }
    return err;
}

/* Take `op`, the first of its `queue`, as a request where it can be one. */
static int
submit_request(struct cel__loop *loop, struct cel__fd *entry,
               struct cel__op *op, struct cel__link *queue)
{
    struct cel__uring *state = loop->state;

    if (!cel__uring_op_fits(entry, op)) {
        return cel__epoll_backend.submit(loop, op);
    }
    if (is_watched(entry, op)) {
        if (cel__readiness_interest(entry) != 0) {
            return cel__epoll_backend.submit(loop, op);
        }
        cel__epoll_disarm(loop, op->fd, entry);
    }
    if (try_call(state, entry, op) && cel__op_try(entry, op)) {
        return 1;
    }
    return post_last(state, entry, op, queue);
}

static int
uring_submit(struct cel__loop *loop, struct cel__op *op)
{
    struct cel__uring *state = loop->state;

    op->posted = false;
    int err = cel__loop_after_fork(loop);
    if (err < 0) {
        return err;
    }
    if (cel__fileop_is(op)) {
        return post_last(state, NULL, op, &state->files);
    }
    struct cel__fd *entry = cel__fd_find(&loop->fds, op->fd);
    if (op->code == CEL__OP_POLL || entry == NULL || cel__op_never_waits(op)) {
        return cel__epoll_backend.submit(loop, op);
    }
    struct cel__link *queue = &entry->waiters[cel__readiness_queue(op)];
    const struct cel__op *before = cel__op_first(queue);
    if (before != NULL && before->posted) {
        cel__list_append(queue, &op->link); /* whatever it is: in its turn */
        return 0;
    }
    if (before != NULL || !state->requests) {
        return cel__epoll_backend.submit(loop, op);
    }
    return submit_request(loop, entry, op, queue);
}

/* ---- cancelling */

static void
uring_cancel(struct cel__loop *loop, struct cel__op *op, int64_t result)
{
    struct cel__uring *state = loop->state;

    if (cel__unlikely(loop->forks != cel__fork_count()) &&
        cel__loop_after_fork(loop) < 0 && op->posted) {
        op->posted = false; /* it is the parent's alone */
        state->nposted--;
    }
    if (!op->posted) {
        if (op->state == CEL__OP_ARMED) {
            cel__epoll_backend.cancel(loop, op, result);
        }
        return;
    }
    cel__list_remove(&op->link);
    if (cel__fileop_is(op)) {
        cel__uring_cancel(loop, op, result);
        return;
    }
    struct cel__fd *entry = cel__fd_find(&loop->fds, op->fd);
    int queue = cel__readiness_queue(op);
    cel__uring_cancel(loop, op, result);
    advance(loop, entry, queue);
}

static void
uring_forget(struct cel__loop *loop, int fd, int result)
{
    struct cel__uring *state = loop->state;
    struct cel__fd *entry = cel__fd_find(&loop->fds, fd);
    struct cel__op *op;

    if (entry == NULL) {
        return;
    }
    for (int queue = CEL__FD_READ; queue <= CEL__FD_WRITE; queue++) {
        op = cel__op_first(&entry->waiters[queue]);
        if (op != NULL && op->posted) {
            cel__list_remove(&op->link);
            cel__uring_cancel(loop, op, result);
        }
    }
    bool held = entry->held && !cel__uring_place(&state->ring, fd, -1);
    cel__epoll_backend.forget(loop, fd, result);
    if (cel__unlikely(held)) {
        entry->held = true; /* the owner's, as all of the ring */
        state->sweep = true;
    }
    if (cel__unlikely(state->sweep)) {
        cel__loop_wake(loop);
    }
}

/* ---- polling */

static void
op_ended(struct cel__loop *loop, const struct io_uring_cqe *cqe)
{
    struct cel__uring *state = loop->state;
    struct cel__op *op = (struct cel__op *)(uintptr_t)cqe->user_data;

    if (cel__unlikely(op->state == CEL__OP_CANCELLED)) {
        cel__uring_cancel_ended(loop, op, cqe->res);
        return;
    }
    state->nposted--;
    if (cel__fileop_is(op)) {
        op->posted = false;
        cel__loop_finish(loop, op, cqe->res);
        return;
    }
    struct cel__fd *entry = cel__fd_find(&loop->fds, op->fd);
    int queue = cel__readiness_queue(op);
    if (cqe->res == -ECANCELED) {
        /* Taken back, and nobody gave up: it waits on, by whatever is used
           now. */
        op->posted = false;
        advance(loop, entry, queue);
        return;
    }
    if (!cel__uring_op_ended(entry, op, cqe)) {
        /* The next part; or the kernel declines to wait, so that epoll has
           to. */
        int err = op->result == -EAGAIN ? cel__epoll_arm(loop, op->fd, entry)
                                        : post(state, entry, op);
        if (err == 0) {
            return;
        }
        op->result = err;
    }
    cel__loop_finish(loop, op, op->result);
    advance(loop, entry, queue);
}

/* The operation of the completion that `n` others are before, or NULL. */
static const struct cel__op *
op_ahead(const struct cel__uring_ring *ring, uint32_t n)
{
    uint64_t data = cel__uring_ring_peek(ring, n);

    return data == CEL__URING_NOBODY || data == CEL__URING_WATCH
               ? NULL
               : (const struct cel__op *)(uintptr_t)data;
}

/*
 * Have fetched what completions to come will need: an operation, and when
 * that is there what it leads to.  Among a thousand connections the kernel's
 * work for each leaves nothing of the others in the near caches.
 */
static void
fetch_ahead(const struct cel__loop *loop, const struct cel__uring_ring *ring)
{
    const struct cel__op *late = op_ahead(ring, FETCHED);
    const struct cel__op *soon = op_ahead(ring, FETCHED / 2);

    if (late != NULL) {
        cel__op_fetch(late);
    }
    if (soon != NULL) {
        cel__fetch_four(soon->waiter);
        cel__fetch(cel__fd_find(&loop->fds, soon->fd));
    }
}

/* Take completions and end what has ended; `*nended` counts that.  Returns
   whether the epoll has something. */
static bool
reap(struct cel__loop *loop, unsigned *nended)
{
    struct cel__uring *state = loop->state;
    struct io_uring_cqe cqe;
    bool rings = false;
    unsigned n = 0;

    /* Where another's loop sleeps nothing would say that some are left. */
    while ((n < TAKEN || state->embedded) &&
           cel__uring_ring_take(&state->ring, &cqe)) {
        fetch_ahead(loop, &state->ring);
        if (cqe.user_data == CEL__URING_WATCH) {
            state->watching = false;
            rings = true;
        }
        else if (cqe.user_data != CEL__URING_NOBODY) {
            op_ended(loop, &cqe);
            n++;
        }
    }
    state->busy = n >= BUSY;
    *nended = n;
    return rings;
}

/* Let the ring tell when the epoll has something; without a request left for
   that the next poll asks. */
static void
watch(struct cel__uring *state)
{
    struct io_uring_sqe *sqe = cel__uring_ring_push(&state->ring);

    state->watching = sqe != NULL;
    if (sqe != NULL) {
        *sqe = (struct io_uring_sqe){
            .opcode = IORING_OP_POLL_ADD,
            .fd = state->epoll.epoll,
            .poll32_events = READABLE,
            .user_data = CEL__URING_WATCH,
        };
    }
}

/* Where the ring was closed, or is the parent's: post again in a new one what
   that had.  Returns 0 or a negative errno; then nothing has changed. */
static int
renew(struct cel__loop *loop)
{
    struct cel__uring *state = loop->state;
    struct cel__uring_ring ring;
    struct cel__fd *entry;
    struct cel__op *op;

    int err = cel__uring_ring_open(&ring, NSQES, &loop->reason);
    if (err < 0) {
        return err;
    }
    if (state->embedded) {
        err = cel__uring_ring_tell(&ring, state->epoll.wake);
        if (err < 0) {
            cel__uring_ring_close(&ring);
            return err;
        }
    }
    state->ring = ring;
    state->owner = pthread_self();
    state->watching = false;
    state->sweep = false;
    while ((op = cel__op_first(&state->held)) != NULL) {
        cel__uring_cancel_ended(loop, op, -ECANCELED);
    }
    /* How far the kernel came with these is not known, so not again. */
    while ((op = cel__op_first(&state->files)) != NULL) {
        op->posted = false;
        state->nposted--;
        cel__loop_finish(loop, op, -ECANCELED);
    }
    for (int fd = 0; (entry = cel__fd_next(&loop->fds, &fd)) != NULL; fd++) {
        entry->nposted = 0;
        entry->held = false;
        for (int queue = CEL__FD_READ; queue <= CEL__FD_WRITE; queue++) {
            op = cel__op_first(&entry->waiters[queue]);
            if (op != NULL && op->posted) {
                op->posted = false;
                state->nposted--;
                advance(loop, entry, queue);
            }
        }
    }
    return 0;
}

static int
uring_after_fork(struct cel__loop *loop)
{
    struct cel__uring *state = loop->state;

    cel__uring_ring_drop(&state->ring);
    int err = cel__epoll_backend.after_fork(loop);
    return err < 0 ? err : renew(loop);
}

/* A program that closes all its descriptors, as daemons do, closed ours.  The
   requests of the old ring end some time after its memory is given back. */
static int
replace(struct cel__loop *loop)
{
    struct cel__uring *state = loop->state;
    struct cel__uring_ring old = state->ring;

    int err = cel__epoll_backend.poll(loop, 0); /* finds its own gone */
    if (err < 0) {
        return err;
    }
    err = renew(loop);
    if (err == 0) {
        cel__uring_ring_unmap(&old);
    }
    return err;
}

/* Wait for a completion.  Returns 0 or a negative errno. */
static int
doze(struct cel__loop *loop, cel_time timeout)
{
    struct cel__uring *state = loop->state;
    bool limited = timeout != CEL_FOREVER;
    cel_time end = CEL_FOREVER;

    /* To let go of an embedder's lock is dear; see wait_dearly() of epoll. */
    if (loop->before_sleep != NULL &&
        cel__uring_ring_enter(&state->ring, 0, 0) >= 0 &&
        cel__uring_ring_has_some(&state->ring)) {
        return 0;
    }
    if (limited && cel__uring_ring_npushed(&state->ring) != 0) {
        end = cel_after(timeout);
    }
    if (loop->before_sleep != NULL) {
        loop->before_sleep(loop);
    }
    int n = cel__uring_ring_enter(&state->ring, 1, timeout);
    if (loop->after_sleep != NULL) {
        loop->after_sleep(loop);
    }
    /* What has submitted something does not say how its wait ended. */
    if (n > 0 && !cel__uring_ring_has_some(&state->ring) &&
        (!limited || cel_now() < end)) {
        return -EINTR;
    }
    return n;
}

/* Submit what was pushed, and where `alone` is set sleep until the ring has
   something.  Returns as cel__uring_ring_enter(). */
static int
enter(struct cel__loop *loop, cel_time timeout, bool alone)
{
    struct cel__uring *state = loop->state;
    struct cel__uring_ring *ring = &state->ring;

    if (cel__unlikely(state->sweep)) {
        cel__uring_sweep(loop);
    }
    if (cel__unlikely(state->retiring >= 0)) {
        cel__uring_load_retire(loop);
    }
    if (alone && !state->watching) {
        watch(state);
    }
    if (alone && cel__uring_ring_has_some(ring)) {
        /* First what is there, as long as nobody's answer waits for many. */
        if (cel__uring_ring_npushed(ring) < NSQES / 2) {
            return 0;
        }
    }
    else if (alone && timeout != 0) {
        return doze(loop, timeout);
    }
    if (alone || state->embedded || cel__uring_ring_npushed(ring) != 0) {
        /* Not a wait of no time, which costs a timer: 24 us. */
        return cel__uring_ring_enter(ring, 0, 0);
    }
    return 0;
}

/*
 * Where another's loop sleeps, in the epoll, the ring tells that of what is
 * done, or could be done by an enter, by the eventfd that wakes it: then no
 * request watches the epoll, and every poll enters.
 */
static int
uring_poll(struct cel__loop *loop, cel_time timeout)
{
    struct cel__uring *state = loop->state;
    bool alone = state->nposted != 0 && !state->embedded;

    int err = enter(loop, timeout, alone);
    if (cel__unlikely(err == -EBADF || err == -EOPNOTSUPP)) {
        return replace(loop);
    }
    unsigned nevents;
    bool rings = reap(loop, &nevents);
    if (!alone || rings) {
        bool done = alone || (state->embedded && nevents != 0);
        err = cel__epoll_backend.poll(loop, done ? 0 : timeout);
        nevents += state->epoll.nevents;
    }
    else if (err != -EINTR) {
        err = 0;
    }
    cel__uring_load_note(state, nevents);
    return err;
}

int
cel__uring_embed(struct cel__loop *loop)
{
    struct cel__uring *state = loop->state;

    int err = cel__uring_ring_tell(&state->ring, state->epoll.wake);
    state->embedded = err == 0;
    return err;
}

bool
cel__uring_hand_over(struct cel__loop *loop)
{
    struct cel__uring_ring *ring = &((struct cel__uring *)loop->state)->ring;

    return cel__uring_ring_npushed(ring) == 0 ||
           (cel__uring_ring_enter(ring, 0, 0) >= 0 &&
            cel__uring_ring_npushed(ring) == 0);
}

const struct cel__backend cel__uring_backend = {
    .name = "uring",
    .files = true,
    .open = uring_open,
    .close = uring_close,
    .submit = uring_submit,
    .cancel = uring_cancel,
    .poll = uring_poll,
    .forget = uring_forget,
    .wake = cel__epoll_wake,
    .after_fork = uring_after_fork,
};
