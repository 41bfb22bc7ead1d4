/* SPDX-License-Identifier: MIT */
/*
 * Whether the calls of sockets are requests: by how much goes on.
 *
 * Where a turn brings little, readiness is the cheaper way: with one
 * to four connections a request costs 9 to 14 % more of the processor.  So
 * a loop begins with epoll.  Where a turn brings many events on average, those
 * who wait from then on do so by requests, and descriptors leave the epoll as
 * they come by.  Where it becomes quiet again requests that are still under
 * way are taken back, some each turn, and wait by readiness; else the few
 * that are busy would pay for both.
 *
 * Threads: see uring.h.
 *
 * Tests: unit/test_uring.c, bench/backends.py
 */
#include "io/uring.h"

#include <stdlib.h>

#include "base/fault.h"
#include "io/loop.h"
#include "io/op.h"

/* Events a turn, on average, from which on calls are requests; the quarter of
   it ends that.  24: what 64 connections bring; below, no machine was seen to
   gain by requests (bench/README.md).  CELADON_URING_EVENTS sets another, of
   which more than CEL__EPOLL_NEVENTS never come. */
#define EVENTS 24

/* Requests taken back a turn (0.7 us each), and entries looked at for them. */
#define RETIRED_A_TURN 16
#define LOOKED_AT      256

void
cel__uring_load_init(struct cel__uring *state)
{
    const char *text = getenv("CELADON_URING_EVENTS");

    bool set = text != NULL && *text != '\0';

    state->threshold = set ? (unsigned)strtoul(text, NULL, 10) : EVENTS;
    state->requests = state->threshold == 0;
    state->load = 0;
    state->retiring = -1;
}

void
cel__uring_load_note(struct cel__uring *state, unsigned nevents)
{
    bool before = state->requests;

    state->load += nevents - state->load / 16;
    if (state->load >= 16 * state->threshold) {
        state->requests = true;
    }
    else if (state->load < 4 * state->threshold) {
        state->requests = false;
    }
    if (CEL__HARD && state->threshold != 0 && cel__dice(8) == 0) {
        state->requests = cel__dice(2) == 0;
    }
    if (before != state->requests) {
        state->retiring = before ? 0 : -1;
    }
}

void
cel__uring_load_retire(struct cel__loop *loop)
{
    struct cel__uring *state = loop->state;
    const struct cel__fd *entry;
    unsigned nretired = 0;

    for (unsigned i = 0; i < LOOKED_AT && nretired < RETIRED_A_TURN; i++) {
        entry = cel__fd_next(&loop->fds, &state->retiring);
        if (entry == NULL) {
            state->retiring = -1;
            return;
        }
        state->retiring++;
        for (int queue = CEL__FD_READ; queue <= CEL__FD_WRITE; queue++) {
            const struct cel__op *op = cel__op_first(&entry->waiters[queue]);
            if (op != NULL && cel__uring_retire(state, op)) {
                nretired++;
            }
        }
    }
}
