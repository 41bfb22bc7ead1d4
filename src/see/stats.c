/* SPDX-License-Identifier: MIT */
/*
 * The counters of a worker.
 *
 * Threads: see celadon/see.h.
 *
 * Tests: unit/test_stats.c
 */
#include <errno.h>
#include <string.h>

#include "celadon/see.h"
#include "sched/worker.h"

int
cel_stats_get(cel_stats *stats)
{
    const struct cel__worker *me = cel__worker();
    cel_stats now = {.size = stats->size};

    if (stats->size < sizeof(stats->size)) {
        return -EINVAL;
    }
    if (me == NULL) {
        return -EPERM;
    }
    now.alive = me->nalive;
    now.ready = cel__ring_count(&me->ready);
    now.started = me->nstarted;
    now.switches = cel__count_read(&me->nswitch);
    now.parks = me->npark;
    now.wakes = me->nwake;
    now.turns = cel__count_read(&me->nturn);
    now.armed = me->loop.narmed;
    now.timers = me->timers.count;
    now.fired = me->nfired;
    /* A caller compiled with another header has fewer, or more: those that are
       not known here are zero. */
    memset(stats, 0, now.size);
    memcpy(stats, &now, now.size < sizeof(now) ? now.size : sizeof(now));
    return 0;
}
