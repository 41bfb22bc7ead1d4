/* SPDX-License-Identifier: MIT */
/*
 * Operations over readiness: who waits, in what order, and who is served.
 *
 * An operation that would block is put at the end of its direction's queue.
 * An event sets the entry's ready bits; then the first of the queue makes its
 * system call, and the next, as long as something may be left.  One that gets
 * -EAGAIN keeps its place: an event is a hint, the call decides.
 *
 * Waits for readiness itself (CEL__OP_POLL) have a queue apart.  An event ends
 * all that asked for it, as it would wake every thread in poll(2).  On a
 * descriptor registered edge-triggered the ready bits can't answer them, for
 * others may read it without our knowing; so they look first.
 *
 * done() may do anything that does not suspend: submit, cancel, forget.  Hence
 * each loop here starts from the head of the queue every time.
 *
 * Threads: the loop's owner.
 *
 * Tests: unit/test_readiness.c
 */
#include "io/readiness.h"

#include <errno.h>
#include <sys/epoll.h>

#include "base/check.h"
#include "base/fault.h"
#include "io/op.h"

/* Both are failures that every wait hears of; EPOLLx == POLLx. */
#define BROKEN ((uint32_t)(CEL__FAILED | CEL__HUNG_UP))

/* Events that make a read, and a write, worth trying. */
#define READ_EVENTS                                                           \
    (BROKEN | (uint32_t)(EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLRDNORM))
#define WRITE_EVENTS (BROKEN | (uint32_t)(EPOLLOUT | EPOLLWRNORM))

int
cel__readiness_queue(const struct cel__op *op)
{
    return op->code == CEL__OP_POLL ? CEL__FD_POLL
                                    : cel__fd_queue_of(cel__op_bit(op));
}

/* Whether a wait for the readiness of what is registered is to ask poll(2). */
static bool
must_look(const struct cel__fd *entry, const struct cel__op *op)
{
    /* A clear bit of an exact one can be believed: what has come since is an
       edge yet to be told of. */
    return (entry->edge & entry->ready & op->events) != 0 ||
           !(op->tried || (entry->exact && op->events == CEL__READABLE));
}

/* Whether `op`, just submitted, is worth a system call. */
static bool
try_first(const struct cel__fd *entry, const struct cel__op *op)
{
    uint8_t bit = cel__op_bit(op);

    switch (op->code) {
    case CEL__OP_POLL:
        return entry != NULL && entry->edge != 0 && must_look(entry, op);
    case CEL__OP_CONNECT:
        return false;
    case CEL__OP_ACCEPT:
        return entry == NULL || cel__list_empty(&entry->waiters[CEL__FD_READ]);
    default:
        break;
    }
    if (cel__op_never_waits(op)) {
        return true;
    }
    /* Where the kernel will be asked to watch from now on it tells what is
       ready already, so a hard build may wait for that. */
    if (CEL__HARD && (entry == NULL || (entry->edge & bit) == 0) &&
        cel__dice(4) == 0 && cel__op_look(op->fd, bit) == bit) {
        return false;
    }
    return cel__fd_worth_trying(entry, bit);
}

int
cel__readiness_submit(struct cel__loop *loop, struct cel__op *op,
                      cel__readiness_arm *arm)
{
    struct cel__fd *entry = cel__fd_find(&loop->fds, op->fd);

    if (try_first(entry, op) && cel__op_try(entry, op)) {
        return 1;
    }
    if (entry == NULL) {
        entry = cel__fd_make(&loop->fds, op->fd);
        if (entry == NULL) {
            return op->fd < 0 ? -EBADF : -ENOMEM;
        }
    }
    cel__list_append(&entry->waiters[cel__readiness_queue(op)], &op->link);
    int err = arm(loop, op->fd, entry);
    if (cel__likely(err == 0)) {
        return 0;
    }
    cel__list_remove(&op->link);
    if (err != -EPERM) {
        return err;
    }
    (void)cel__op_try(entry, op);
    return 1;
}

uint32_t
cel__readiness_interest(const struct cel__fd *entry)
{
    const struct cel__op *op;
    const struct cel__op *reader = cel__op_first(
        &entry->waiters[CEL__FD_READ]);
    const struct cel__op *writer = cel__op_first(
        &entry->waiters[CEL__FD_WRITE]);
    uint32_t events = 0;

    if (reader != NULL && !reader->posted) {
        events |= CEL__READABLE;
    }
    if (writer != NULL && !writer->posted) {
        events |= CEL__WRITABLE;
        /* Who connects will read soon: one registration for both. */
        if (writer->code == CEL__OP_CONNECT) {
            events |= CEL__READABLE;
        }
    }
    cel__list_foreach (op, &entry->waiters[CEL__FD_POLL], link) {
        events |= op->events | CEL__FAILED; /* which is told in any case */
    }
    return events;
}

/* Let the operations of one direction make their calls; not those that the
   kernel has a request for, which end by that. */
static void
serve(struct cel__loop *loop, struct cel__fd *entry, uint8_t bit)
{
    struct cel__link *queue = &entry->waiters[cel__fd_queue_of(bit)];
    struct cel__op *op;

    while ((op = cel__op_first(queue)) != NULL && !op->posted &&
           ((entry->edge & ~entry->ready) & bit) == 0) {
        if (!cel__op_try(entry, op)) {
            break;
        }
        cel__loop_finish(loop, op, op->result);
    }
}

/*
 * Of `events`, what a wait for `wanted` is to hear of; 0: nothing.  The end of
 * a stream is something to read.
 */
static uint32_t
heard(uint32_t wanted, uint32_t events)
{
    if ((events & EPOLLRDHUP) != 0) {
        events |= CEL__READABLE;
    }
    return events & (wanted | BROKEN);
}

/* End the operations of `queue` that hear of `events`, with `result` or, where
   that is 0, with what they hear.  Only those that are there now: a done() may
   submit again. */
static void
end_some(struct cel__loop *loop, struct cel__link *queue, uint32_t events,
         int64_t result)
{
    struct cel__link some;
    struct cel__op *op;

    cel__list_init(&some);
    for (struct cel__link *link = queue->next, *next; link != queue;
         link = next) {
        next = link->next;
        op = cel__container(link, struct cel__op, link);
        if (!op->posted && heard(op->events, events) != 0) {
            cel__list_remove(link);
            cel__list_append(&some, link);
        }
    }
    while ((op = cel__op_first(&some)) != NULL) {
        cel__loop_finish(loop, op,
                         result != 0 ? result : heard(op->events, events));
    }
}

void
cel__readiness_event(struct cel__loop *loop, struct cel__fd *entry,
                     uint32_t events)
{
    if ((events & (BROKEN | EPOLLPRI | EPOLLRDHUP)) != 0) {
        entry->exact = false;
    }
    if ((events & READ_EVENTS) != 0) {
        entry->ready |= CEL__READABLE;
    }
    if ((events & WRITE_EVENTS) != 0) {
        entry->ready |= CEL__WRITABLE;
    }
    end_some(loop, &entry->waiters[CEL__FD_POLL], events, 0);
    if ((events & READ_EVENTS) != 0) {
        serve(loop, entry, CEL__READABLE);
    }
    if ((events & WRITE_EVENTS) != 0) {
        serve(loop, entry, CEL__WRITABLE);
    }
}

void
cel__readiness_end(struct cel__loop *loop, struct cel__fd *entry,
                   int64_t result)
{
    for (int i = 0; i < 3; i++) {
        end_some(loop, &entry->waiters[i], BROKEN, result);
    }
}
