/* SPDX-License-Identifier: MIT */
/*
 * Events, and wait groups: events that happen when a number falls to zero.
 *
 * Threads: see celadon/sync.h.
 *
 * Tests: unit/test_sync.c, unit/test_threads.c
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "celadon/sync.h"
#include "sync/queue.h"

/* Invariant: somebody waits => pending.  Guarded by the latch. */
struct gate {
    struct cel__latch latch;
    struct cel__link waiters; /* struct cel__wait */
    size_t pending;           /* 0: who comes passes */
};

struct cel_event {
    struct gate gate; /* pending: 0 or 1 */
};

struct cel_wg {
    struct gate gate; /* pending: what is not done */
};

static struct gate *
gate_open(size_t pending)
{
    struct gate *gate = cel__alloc(sizeof(*gate));

    if (gate != NULL) {
        cel__latch_init(&gate->latch);
        cel__list_init(&gate->waiters);
        gate->pending = pending;
    }
    return gate;
}

static void
gate_close(struct gate *gate)
{
    cel__assert(gate == NULL || cel__list_empty(&gate->waiters));
    free(gate);
}

static const struct cel__awaited awaited_event = {.what = "an event"};
static const struct cel__awaited awaited_wg = {.what = "a wait group"};

static int
gate_wait(struct gate *gate, cel_time deadline,
          const struct cel__awaited *kind)
{
    struct cel__worker *me = cel__worker();
    struct cel__wait wait;

    cel__queue_charge(me, deadline);
    cel__latch_take(&gate->latch, me);
    if (gate->pending == 0) {
        cel__latch_give(&gate->latch, me);
        return 0;
    }
    return cel__queue_wait(&gate->waiters, &wait, &gate->latch, me, deadline,
                           kind);
}

/* Nothing is pending any more; the latch is held. */
static void
let_pass(struct gate *gate, struct cel__worker *me)
{
    struct cel__wait *wait;

    while ((wait = cel__queue_first(&gate->waiters)) != NULL) {
        cel__queue_finish(wait, 0, me);
    }
}

int
cel_event_open(cel_event **event)
{
    struct gate *gate = gate_open(1);

    if (gate == NULL) {
        return -ENOMEM;
    }
    *event = (cel_event *)gate;
    return 0;
}

void
cel_event_close(cel_event *event)
{
    gate_close((struct gate *)event);
}

int
cel_event_wait(cel_event *event, cel_time deadline)
{
    return gate_wait(&event->gate, deadline, &awaited_event);
}

void
cel_event_set(cel_event *event)
{
    struct cel__worker *me = cel__worker();

    cel__latch_take(&event->gate.latch, me);
    event->gate.pending = 0;
    let_pass(&event->gate, me);
    cel__latch_give(&event->gate.latch, me);
}

void
cel_event_clear(cel_event *event)
{
    struct cel__worker *me = cel__worker();

    cel__latch_take(&event->gate.latch, me);
    event->gate.pending = 1;
    cel__latch_give(&event->gate.latch, me);
}

int
cel_event_is_set(cel_event *event)
{
    struct cel__worker *me = cel__worker();

    cel__latch_take(&event->gate.latch, me);
    bool is_set = event->gate.pending == 0;
    cel__latch_give(&event->gate.latch, me);
    return is_set;
}

int
cel_wg_open(cel_wg **wg)
{
    struct gate *gate = gate_open(0);

    if (gate == NULL) {
        return -ENOMEM;
    }
    *wg = (cel_wg *)gate;
    return 0;
}

void
cel_wg_close(cel_wg *wg)
{
    gate_close((struct gate *)wg);
}

int
cel_wg_add(cel_wg *wg, ptrdiff_t n)
{
    struct cel__worker *me = cel__worker();
    struct gate *gate = &wg->gate;
    int code = 0;

    cel__latch_take(&gate->latch, me);
    size_t pending = gate->pending + (size_t)n;
    if (n < 0 ? gate->pending < (size_t)0 - (size_t)n
              : pending < gate->pending) {
        code = -EINVAL;
    }
    else {
        gate->pending = pending;
    }
    if (gate->pending == 0) {
        let_pass(gate, me);
    }
    cel__latch_give(&gate->latch, me);
    return code;
}

int
cel_wg_done(cel_wg *wg)
{
    return cel_wg_add(wg, -1);
}

int
cel_wg_wait(cel_wg *wg, cel_time deadline)
{
    return gate_wait(&wg->gate, deadline, &awaited_wg);
}
