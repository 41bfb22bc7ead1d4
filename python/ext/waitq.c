/* SPDX-License-Identifier: MIT */
/*
 * Queues of waiting greenlets.
 *
 * Threads: see waitq.h.
 *
 * Tests: tests/python/test_semaphore.py, test_lock.py, test_queue.py
 */
#include "ext/waitq.h"

#include "base/fork.h"
#include "ext/greenlet.h"

static struct waiter *
waiter_of(struct cel__link *link)
{
    struct cel__wait *wait = cel__container(link, struct cel__wait, link);

    return cel__container(wait, struct waiter, wait);
}

/* In a child: take out the waiters of threads that only the parent has. */
static void
forget_strangers(struct waitq *queue)
{
    struct cel__worker *worker = cel__worker();
    struct cel__link *link = queue->waits.next;

    while (link != &queue->waits) {
        struct waiter *waiter = waiter_of(link);
        link = link->next;
        if (waiter->wait.coro->worker != worker ||
            waiter->wait.coro->state == CEL__FORSAKEN) {
            cel__list_remove(&waiter->wait.link);
        }
    }
    queue->forks = cel__fork_count();
}

struct waiter *
waitq_first(struct waitq *queue)
{
    if (waitq_empty(queue)) {
        return NULL;
    }
    if (cel__unlikely(queue->forks != cel__fork_count())) {
        forget_strangers(queue);
        if (waitq_empty(queue)) {
            return NULL;
        }
    }
    return waiter_of(queue->waits.next);
}

void
waitq_wake_first(struct waitq *queue)
{
    struct waiter *first = waitq_first(queue);

    if (first != NULL) {
        cel__wait_finish(&first->wait, 0);
    }
}

void
waitq_wake_everybody(struct waitq *queue)
{
    struct waiter *first;

    while ((first = waitq_first(queue)) != NULL) {
        cel__wait_finish(&first->wait, 0);
    }
}

void
waitq_enter(struct waitq *queue, struct waiter *me, struct hub *hub)
{
    struct cel__link *next = &queue->waits;

    cel__wait_init(&me->wait, hub->worker->current);
    if (waitq_empty(queue)) {
        queue->forks = cel__fork_count();
    }
    else if (cel__unlikely(queue->forks != cel__fork_count())) {
        forget_strangers(queue);
    }
    if (me->turn == 0) {
        me->turn = ++queue->turns;
    }
    else {
        /* Who was woken for nothing had come before nearly all the others. */
        next = queue->waits.next;
        while (next != &queue->waits && waiter_of(next)->turn < me->turn) {
            next = next->next;
        }
    }
    cel__list_append(next, &me->wait.link); /* before `next` */
}

int
waitq_wait(struct waitq *queue, struct waiter *me, struct hub *hub,
           cel_time deadline, const char *what)
{
    waitq_enter(queue, me, hub);
    return hub_wait(hub, &me->wait, deadline, what);
}

/* Not to be used up after all: let the next waiter have the wake-up. */
static void
pass_on(struct waitq *queue, int (*ready)(PyObject *), PyObject *thing)
{
    PyObject *type;
    PyObject *value;
    PyObject *traceback;

    if (waitq_empty(queue)) {
        return;
    }
    PyErr_Fetch(&type, &value, &traceback);
    if (ready(thing) != 0) {
        PyErr_Clear(); /* the next one will see the error itself */
        waitq_wake_first(queue);
    }
    PyErr_Restore(type, value, traceback);
}

int
waitq_wait_until(struct waitq *queue, int (*ready)(PyObject *thing),
                 PyObject *thing, cel_time deadline, const char *what)
{
    struct waiter me;
    int is_ready = 0;

    if (deadline == CEL_AT_ONCE) {
        return waitq_spin() < 0 ? -1 : ready(thing);
    }
    me.turn = 0; /* the rest is for who really waits */
    while (is_ready == 0) {
        struct hub *hub = hub_get(celext_state_of(Py_TYPE(thing)));
        if (hub == NULL) {
            return -1;
        }
        int code = waitq_wait(queue, &me, hub, deadline, what);
        if (code <= 0) {
            if (me.wait.done) {
                pass_on(queue, ready, thing);
            }
            return code;
        }
        is_ready = ready(thing);
    }
    return is_ready;
}

int
waitq_spin(void)
{
    struct cel__worker *worker = cel__worker();

    return worker == NULL ? 0 : hub_spend(worker->embedder);
}

void
waitq_forget(struct waitq *queue)
{
    if (!waitq_empty(queue)) {
        forget_strangers(queue);
    }
}
