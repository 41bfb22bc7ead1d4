/* SPDX-License-Identifier: MIT */
/* Faults where a run has several workers, and where a loop of somebody else's
   runs the coroutines. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "faults.h"

enum {
    NWORKERS = 2
};

static int
add_here(void *arg)
{
    cel_chan *sums = arg;
    int one = 1;

    (void)CALL(cel_sleep, cel_after(1000));
    return CALL(cel_chan_send, sums, &one, soon());
}

static void
add(void *arg)
{
    (void)add_here(arg);
}

/* Look at all of them. */
static void
count_workers(void)
{
    cel_worker_stats stats;

    MUST(CALL(cel_workers) == NWORKERS);
    MUST(CALL(cel_worker_index) >= 0);
    for (int i = 0; i < NWORKERS; i++) {
        MUST(CALL(cel_worker_stats_get, i, &stats, sizeof(stats)) == 0);
    }
}

/* Members at either worker; returns how many there are. */
static int
start_members(cel_group *group, cel_chan *sums)
{
    int n = 0;

    n += CALL(cel_group_go_on, group, 1, add_here, sums) == 0;
    n += CALL(cel_group_go_on, group, 0, add_here, sums) == 0;
    n += CALL(cel_group_go_spread, group, add_here, sums) == 0;
    return n;
}

/* What may be lost by a fault is told by who lost it, so nothing hangs. */
static int
spread(void *arg)
{
    cel_coro *coros[2 * NWORKERS];
    cel_chan *sums;
    cel_group *group = NULL;
    int n = 0;
    int one;

    (void)arg;
    count_workers();
    if (CALL(cel_chan_open, &sums, sizeof(int), 16) < 0) {
        return 0;
    }
    for (int i = 0; i < NWORKERS; i++) {
        n += CALL(cel_go_on, &coros[n], i, add, sums) == 0;
        n += CALL(cel_go_spread, &coros[n], add, sums) == 0;
    }
    int total = n;
    if (CALL(cel_group_open, &group, CEL_GROUP_KEEP_GOING) == 0) {
        total += start_members(group, sums);
    }
    for (int i = 0; i < n; i++) {
        finish(coros[i]);
    }
    if (group != NULL) {
        (void)CALL(cel_group_close, group);
    }
    MUST(CALL(cel_chan_count, sums) <= total);
    while (cel_chan_recv(sums, &one, CEL_AT_ONCE) == 0) {
        MUST(one == 1 && total-- > 0);
    }
    DO(cel_chan_close, sums);
    return 0;
}

ALONE(workers)
{
    cel_options options;

    cel_options_init(&options);
    options.workers = NWORKERS;
    (void)CALL(cel_run, spread, NULL, &options);
}

/* The end of a run cancels who waits at the other worker. */
static void
stay(void *arg)
{
    (void)CALL(cel_sleep, CEL_FOREVER);
    (void)CALL(cel_read, *(int *)arg, &(char){0}, 1, CEL_FOREVER);
}

static int
leave_behind(void *arg)
{
    (void)CALL(cel_go_on, NULL, 1, stay, arg);
    (void)CALL(cel_go_on, NULL, 0, stay, arg);
    (void)CALL(cel_sleep, cel_after(1000));
    return 0;
}

ALONE(workers_end)
{
    cel_options options;
    int fds[2];

    MUST(pipe(fds) == 0);
    cel_options_init(&options);
    options.workers = NWORKERS;
    (void)CALL(cel_run, leave_behind, &fds[0], &options);
    MUST(close(fds[0]) == 0 && close(fds[1]) == 0);
}

/* ---- embedded */

static int nended;

static void
feed(void *arg)
{
    int *fds = arg;

    (void)CALL(cel_sleep, cel_after(1000));
    (void)CALL(cel_write, fds[1], "x", 1, soon());
    (void)CALL(cel_close, fds[1]);
    nended++;
}

static void
eat(void *arg)
{
    int *fds = arg;
    char byte;

    (void)CALL(cel_read, fds[0], &byte, 1, soon());
    (void)CALL(cel_close, fds[0]);
    nended++;
}

static int
seven(void *arg)
{
    (void)arg;
    return 7;
}

static void
hand_out(void *arg)
{
    int result;

    (void)arg;
    (void)CALL(cel_offload, &result, seven, NULL, NULL, soon());
    nended++;
}

/* One round of the other loop. */
static void
turn(void)
{
    struct pollfd ours = {.fd = CALL(cel_embed_fd), .events = POLLIN};
    cel_time left = cel_embed_deadline() - cel_now();

    (void)note("cel_embed_deadline", 0);
    left = left < 0 ? 0 : left;
    left = left < CEL_SEC ? left : CEL_SEC;
    MUST(poll(&ours, 1, (int)(left / CEL_MSEC)) >= 0);
    MUST(CALL(cel_embed_turn) == 0);
}

ALONE(embed)
{
    int fds[2];
    int n = 0;

    nended = 0;
    if (CALL(cel_embed_open, NULL) < 0) {
        return;
    }
    if (CALL(cel_pipe, fds) == 0) {
        if (CALL(cel_go, NULL, feed, fds) == 0) {
            n++;
        }
        else {
            (void)CALL(cel_close, fds[1]);
        }
        if (CALL(cel_go, NULL, eat, fds) == 0) {
            n++;
        }
        else {
            (void)CALL(cel_close, fds[0]);
        }
    }
    n += CALL(cel_go, NULL, hand_out, NULL) == 0;
    while (nended < n) {
        turn();
    }
    MUST(CALL(cel_embed_close) == 0);
}
