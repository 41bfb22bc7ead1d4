/* SPDX-License-Identifier: MIT */
/*
 * Events, and wait groups: events that happen when a number falls to zero.
 *
 * Threads: see celadon/sync.h.
 *
 * Tests: unit/test_sync.c, unit/test_threads.c
 */
#include <errno.h>

#include "celadon/sync.h"
#include "sync/queue.h"

/* Invariant: somebody waits => pending.  Guarded by the latch. */
struct gate {
    struct cel__queue queue;
    size_t pending; /* 0: who comes passes */
};

struct cel_event {
    struct gate gate; /* pending: 0 or 1 */
};

struct cel_wg {
    struct gate gate; /* pending: what is not done */
};

static int
gate_open(struct gate **out, size_t pending)
{
    int err = cel__queue_open(out, sizeof(**out));

    if (err == 0) {
        (*out)->pending = pending;
    }
    return err;
}

static const struct cel__awaited awaited_event = {.what = "an event"};
static const struct cel__awaited awaited_wg = {.what = "a wait group"};

static int
gate_wait(struct gate *gate, cel_time deadline,
          const struct cel__awaited *kind)
{
    struct cel__worker *me = cel__queue_enter(&gate->queue.latch, deadline);

    if (gate->pending > 0) {
        return cel__queue_wait(&gate->queue, me, deadline, kind);
    }
    cel__latch_give(&gate->queue.latch, me);
    return 0;
}

/* From now on `pending` is; the latch is held, and let go of. */
static void
gate_set(struct gate *gate, size_t pending, struct cel__worker *me)
{
    gate->pending = pending;
    while (pending == 0 && cel__queue_pass(&gate->queue, 0, me)) {}
    cel__latch_give(&gate->queue.latch, me);
}

int
cel_event_open(cel_event **event)
{
    return gate_open((struct gate **)event, 1);
}

void
cel_event_close(cel_event *event)
{
    cel__queue_close(event);
}

int
cel_event_wait(cel_event *event, cel_time deadline)
{
    return gate_wait(&event->gate, deadline, &awaited_event);
}

void
cel_event_set(cel_event *event)
{
    gate_set(&event->gate, 0,
             cel__queue_enter(&event->gate.queue.latch, CEL_AT_ONCE));
}

void
cel_event_clear(cel_event *event)
{
    gate_set(&event->gate, 1,
             cel__queue_enter(&event->gate.queue.latch, CEL_AT_ONCE));
}

int
cel_event_is_set(cel_event *event)
{
    return cel_event_wait(event, CEL_AT_ONCE) == 0;
}

int
cel_wg_open(cel_wg **wg)
{
    return gate_open((struct gate **)wg, 0);
}

void
cel_wg_close(cel_wg *wg)
{
    cel__queue_close(wg);
}

int
cel_wg_add(cel_wg *wg, ptrdiff_t n)
{
    struct gate *gate = &wg->gate;
    struct cel__worker *me = cel__queue_enter(&gate->queue.latch, CEL_AT_ONCE);

    size_t pending = gate->pending + (size_t)n;
    bool fits = n < 0 ? pending < gate->pending : pending >= gate->pending;
    gate_set(gate, fits ? pending : gate->pending, me);
    return fits ? 0 : -EINVAL;
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
