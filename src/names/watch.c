/* SPDX-License-Identifier: MIT */
/*
 * Watched descriptors: an operation for each.
 *
 * A watch may outlive its descriptor: where the backend still has its
 * operation, done() frees it.
 *
 * Threads: see watch.h.
 *
 * Tests: unit/test_ares.c
 */
#include "names/watch.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "sched/wait.h"

/* Invariant: gone => it is in no list, and op is not IDLE. */
struct watch {
    struct cel__link link; /* in watches->all */
    struct cel__watches *watches;
    struct cel__op op; /* a POLL, while it is not IDLE */
    int fd;
    uint32_t events; /* what is waited for */
    uint32_t ready;  /* what it is ready for; nobody took it yet */
    bool gone;       /* the descriptor is closed */
};

void
cel__watch_init(struct cel__watches *watches, struct cel__worker *worker)
{
    watches->worker = worker;
    watches->listener = NULL;
    cel__list_init(&watches->all);
}

static void
heard(struct cel__op *op)
{
    struct watch *watch = op->waiter;

    if (watch->gone) {
        free(watch);
        return;
    }
    watch->ready = op->result > 0 ? (uint32_t)op->result : 0;
    if (watch->watches->listener != NULL) {
        cel__wake(watch->watches->listener);
    }
}

static struct watch *
find(struct cel__watches *watches, int fd)
{
    for (struct cel__link *link = watches->all.next; link != &watches->all;
         link = link->next) {
        struct watch *watch = cel__container(link, struct watch, link);
        if (watch->fd == fd) {
            return watch;
        }
    }
    return NULL;
}

static struct watch *
add(struct cel__watches *watches, int fd)
{
    struct watch *watch = cel__alloc_zeroed(1, sizeof(*watch));

    if (watch != NULL) {
        watch->watches = watches;
        watch->fd = fd;
        cel__list_append(&watches->all, &watch->link);
        cel__loop_own(&watches->worker->loop, fd);
    }
    return watch;
}

static void
end(struct cel__watches *watches, struct watch *watch)
{
    bool armed = watch->op.state != CEL__OP_IDLE;

    watch->gone = true;
    cel__list_remove(&watch->link);
    /* Ends the operation, if there is one, now or later. */
    cel__loop_forget(&watches->worker->loop, watch->fd, -ECANCELED);
    if (!armed) {
        free(watch);
    }
}

void
cel__watch_set(struct cel__watches *watches, int fd, uint32_t events)
{
    struct watch *watch = find(watches, fd);

    if (events == 0) {
        if (watch != NULL) {
            end(watches, watch);
        }
        return;
    }
    if (watch == NULL) {
        watch = add(watches, fd);
        if (watch == NULL) {
            watches->lost = true;
            return;
        }
    }
    if (watch->events != events) {
        watch->events = events;
        /* The listener arms it again. */
        cel__loop_cancel(&watches->worker->loop, &watch->op, -ECANCELED);
    }
}

bool
cel__watch_arm(struct cel__watches *watches)
{
    bool some = false;

    for (struct cel__link *link = watches->all.next; link != &watches->all;
         link = link->next) {
        struct watch *watch = cel__container(link, struct watch, link);
        if (watch->ready == 0 && watch->op.state == CEL__OP_IDLE) {
            watch->op = (struct cel__op){
                .code = CEL__OP_POLL,
                .fd = watch->fd,
                .events = watch->events,
                .done = heard,
                .waiter = watch,
            };
            int n = cel__loop_submit(&watches->worker->loop, &watch->op);
            watches->lost |= n < 0;
            watch->ready = n > 0 && watch->op.result > 0
                               ? (uint32_t)watch->op.result
                               : 0;
        }
        some |= watch->ready != 0;
    }
    return some;
}

bool
cel__watch_take(struct cel__watches *watches, int *fd, uint32_t *events)
{
    for (struct cel__link *link = watches->all.next; link != &watches->all;
         link = link->next) {
        struct watch *watch = cel__container(link, struct watch, link);
        if (watch->ready != 0) {
            *fd = watch->fd;
            *events = watch->ready;
            watch->ready = 0;
            return true;
        }
    }
    return false;
}
