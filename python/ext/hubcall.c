/* SPDX-License-Identifier: MIT */
/*
 * Work for the hub greenlet, and the greenlet that does it.
 *
 * It is parked nearly always.  When the turn of a hub_call comes in the run
 * queue, its callback puts it in hub->due and names the hub greenlet as who
 * must run next; that runs what is due and parks again.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_hub.py
 */
#include "ext/hub.h"

#include "ext/compat.h"
#include "ext/fpenv.h"
#include "ext/greenlet.h"

/* The turn of a call has come. */
static struct cel__coro *
call_is_due(struct cel__callback *callback)
{
    struct hub_call *call = cel__container(callback, struct hub_call,
                                           callback);

    struct cel__coro *hub = &call->hub->glet->coro;

    cel__list_append(&call->hub->due, &call->link);
    /* One that is in the run queue comes to it in its turn. */
    return hub->state == CEL__READY ? NULL : hub;
}

int
hub_call_init(struct hub *hub, struct hub_call *call,
              void (*fn)(struct hub_call *call))
{
    call->hub = hub;
    call->fn = fn;
    cel__list_init(&call->link);
    if (cel__callback_init(hub->worker, &call->callback, call_is_due) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

void
hub_call_fini(struct hub_call *call)
{
    cel__list_remove(&call->link);
    if (!call->hub->finished) {
        cel__callback_fini(call->hub->worker, &call->callback);
    }
}

void
hub_call_queue(struct hub_call *call)
{
    if (cel__list_empty(&call->link) && !call->hub->finished) {
        cel__callback_queue(call->hub->worker, &call->callback);
    }
}

/* ---- what runs in the hub greenlet */

/* Wake those who have switched away by hand and should raise something. */
static void
wake_pending(struct hub *hub)
{
    const struct cel__link *all = &hub->worker->all;

    hub->nag = false;
    for (const struct cel__link *link = all->next; link != all;
         link = link->next) {
        struct cel__coro *coro = cel__container(link, struct cel__coro, all);
        struct glet *glet = coro == &hub->worker->root ? hub->main
                                                       : (struct glet *)coro;
        if (glet->pending != NULL && !glet->killing && glet_is_away(glet)) {
            cel__wake(coro);
        }
    }
}

void
hub_chores(struct hub_call *call)
{
    struct hub *hub = call->hub;

    wakeup_tend(hub);
    if (hub->nag) {
        wake_pending(hub);
    }
    if (PyErr_CheckSignals() < 0) {
        /* As CPython has it, a signal's exception is the main one's. */
        PyObject *exc = celext_take_raised();
        (void)hub_throw_later(hub->main, exc);
        Py_XDECREF(exc);
    }
}

/* Run what is due. */
static void
run_due(struct hub *hub)
{
    struct cel__link *link;

    while ((link = cel__list_first(&hub->due)) != NULL) {
        struct hub_call *call = cel__container(link, struct hub_call, link);
        cel__list_remove(link);
        call->fn(call);
        if (PyErr_Occurred()) {
            hub_report(hub, NULL);
        }
    }
}

static void
report_if(struct hub *hub, PyObject *exc)
{
    if (exc != NULL) {
        celext_raise(exc);
        hub_report(hub, NULL);
    }
}

/* Sleep until something is due. */
static void
rest(struct hub *hub, struct glet *me)
{
    struct fpenv env;

    fpenv_save(&env);
    pystate_save(hub->ts, &me->ps);
    int code = cel__park(hub->worker, CEL_FOREVER, "hub");
    pystate_load(hub->ts, &me->ps, &me->coro.stack);
    fpenv_load(&env);
    PyObject *value = me->value;
    PyObject *exc = me->exc;
    me->value = NULL;
    me->exc = NULL;
    if (code == CEL__RESUMED) {
        /* Somebody switched here by hand; what was handed over has no taker,
           an exception is reported. */
        Py_DECREF((PyObject *)me->self);
    }
    hub_tidy(hub);
    Py_XDECREF(value);
    report_if(hub, exc);
    report_if(hub, glet_take_pending(me));
}

PyObject *
hub_main(struct glet *me)
{
    struct hub *hub = me->hub;

    if (PyErr_Occurred()) {
        hub_report(hub, NULL); /* thrown before it ran */
    }
    while (!hub->finished) {
        run_due(hub);
        rest(hub, me);
    }
    return Py_NewRef(Py_None);
}
