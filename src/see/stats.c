/* SPDX-License-Identifier: MIT */
/*
 * The counters of a worker.
 *
 * Threads: see celadon/see.h and celadon/workers.h.
 *
 * Tests: unit/test_stats.c, unit/test_workers.c
 */
#include <errno.h>
#include <string.h>

#include "celadon/see.h"
#include "celadon/workers.h"
#include "sched/team.h"
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

int
cel_worker_stats_get(int worker, cel_worker_stats *stats, size_t size)
{
    struct cel__run *run = cel__run_current();
    cel_worker_stats all;

    if (run == NULL) {
        return -EPERM;
    }
    if (worker < 0 || worker >= cel_workers()) {
        return -EINVAL;
    }
    if (run->team != NULL) {
        run = run->team->runs[worker];
    }
    const struct cel__business *business = &run->worker->business;
    all.switches = cel__count_read(&run->worker->nswitch);
    all.arrived = cel__count_read(&business->narrived);
    all.stolen = cel__count_read(&business->nstolen);
    all.coros = run->worker->nalive;
    all.ready = atomic_load_explicit(&business->nready, memory_order_relaxed);
    memcpy(stats, &all, size < sizeof(all) ? size : sizeof(all));
    return 0;
}
