/* SPDX-License-Identifier: MIT */
/*
 * What more workers bring: the same work on one and on several.
 *
 *     cores chan W    values there and back within each of W workers
 *     cores tree W    a tree of coroutines, four children each: the root's are
 *                     spread over W workers, all others start at home
 *     cores spread W  a tree all of whose coroutines are spread
 *
 * "ns" is real time an exchange or a coroutine, of all workers together.
 * "busy" is the processor time of the busiest worker's thread in its stead:
 * what the real time would be, had each worker a processor to itself; so it
 * tells the gain where others use the machine, too, but for what workers wait
 * for each other.  Ends in a line of JSON.  bench/cores.py runs them all.
 */
#include "tool/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <celadon.h>

/* A batch lasts some 30 ms; the medians of the batches count. */
enum {
    BATCHES = 9,
    MEETINGS = 800000, /* of all workers */
    DEPTH = 6,         /* 4^6: 4096 leaves, whose parents fit the caches */
    TREES = 40,        /* one after the other */
    SPREAD = 1,        /* levels of it that are spread */
    MAX_WORKERS = 64
};

struct bench {
    int workers;
    void (*work)(void);
    double nops;
    uint64_t began[MAX_WORKERS]; /* processor time of the thread */
    uint64_t took[MAX_WORKERS];
    double ns[BATCHES];
    double busy[BATCHES];
};

static struct bench bench;

static void
need(int err, const char *what)
{
    if (err < 0) {
        tool_die("%s: error %d", what, -err);
    }
}

static uint64_t
thread_time(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void
begin(void *arg)
{
    (void)arg;
    bench.began[cel_worker_index()] = thread_time();
}

static void
end(void *arg)
{
    int index = cel_worker_index();

    (void)arg;
    bench.took[index] = thread_time() - bench.began[index];
}

/* Run `fn` at each worker, and wait for them. */
static void
at_each(void (*fn)(void *arg), void *arg)
{
    cel_coro *coros[MAX_WORKERS];

    for (int i = 0; i < bench.workers; i++) {
        need(cel_go_on(&coros[i], i, fn, arg), "go");
    }
    for (int i = 0; i < bench.workers; i++) {
        need(cel_join(coros[i], CEL_FOREVER), "join");
    }
}

__attribute__((noinline)) static int
exchange(cel_chan *out, cel_chan *in, size_t turns)
{
    uint64_t value = 0;
    int err = 0;

    for (size_t i = 0; i < turns && err == 0; i++) {
        err = cel_chan_send(out, &value, CEL_FOREVER);
        if (err == 0) {
            err = cel_chan_recv(in, &value, CEL_FOREVER);
        }
    }
    return err;
}

static void
echo(void *arg)
{
    cel_chan **chans = arg;
    uint64_t value;

    if (cel_chan_recv(chans[0], &value, CEL_FOREVER) == 0) {
        (void)exchange(chans[1], chans[0], SIZE_MAX);
    }
}

static void
talk(void *arg)
{
    cel_chan *chans[2];
    cel_coro *other;

    (void)arg;
    for (int i = 0; i < 2; i++) {
        need(cel_chan_open(&chans[i], sizeof(uint64_t), 0), "chan");
    }
    need(cel_go(&other, echo, chans), "go");
    need(exchange(chans[0], chans[1], (size_t)(MEETINGS / bench.workers)),
         "exchange");
    cel_chan_shutdown(chans[0]);
    need(cel_join(other, CEL_FOREVER), "join");
    for (int i = 0; i < 2; i++) {
        cel_chan_close(chans[i]);
    }
}

static void
talk_everywhere(void)
{
    at_each(talk, NULL);
}

struct node {
    int depth;  /* levels below */
    int spread; /* of them, are spread */
    uint64_t leaves;
};

static void
grow(void *arg)
{
    struct node *node = arg;
    struct node kids[4];
    cel_coro *coros[4];

    if (node->depth == 0) {
        node->leaves = 1;
        return;
    }
    for (int i = 0; i < 4; i++) {
        kids[i] = (struct node){node->depth - 1, node->spread - 1, 0};
        need(node->spread > 0 ? cel_go_spread(&coros[i], grow, &kids[i])
                              : cel_go(&coros[i], grow, &kids[i]),
             "go");
    }
    node->leaves = 0;
    for (int i = 0; i < 4; i++) {
        need(cel_join(coros[i], CEL_FOREVER), "join");
        node->leaves += kids[i].leaves;
    }
}

static void
grow_tree(int depth, int spread)
{
    struct node root = {depth, spread, 0};

    grow(&root);
    if (root.leaves != UINT64_C(1) << (2 * depth)) {
        tool_die("leaves were lost: %llu", (unsigned long long)root.leaves);
    }
}

static void
tree(void)
{
    for (int i = 0; i < TREES; i++) {
        grow_tree(DEPTH, SPREAD);
    }
}

static void
spread(void)
{
    for (int i = 0; i < TREES / 4; i++) {
        grow_tree(DEPTH, DEPTH);
    }
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double
median(double *samples)
{
    qsort(samples, BATCHES, sizeof(*samples), by_value);
    return samples[BATCHES / 2];
}

static int
run(void *arg)
{
    (void)arg;
    bench.work(); /* stacks and blocks are there from now on */
    for (size_t batch = 0; batch < BATCHES; batch++) {
        uint64_t busiest = 0;
        at_each(begin, NULL);
        uint64_t began = tool_now();
        bench.work();
        bench.ns[batch] = (double)(tool_now() - began) / bench.nops;
        at_each(end, NULL);
        for (int i = 0; i < bench.workers; i++) {
            busiest = bench.took[i] > busiest ? bench.took[i] : busiest;
        }
        bench.busy[batch] = (double)busiest / bench.nops;
    }
    return 0;
}

/* Coroutines of a tree of `depth` levels. */
static double
coros_of(int depth)
{
    return (double)((UINT64_C(1) << (2 * (depth + 1))) - 4) / 3;
}

int
main(int argc, char **argv)
{
    cel_options options;

    if (argc == 3 && strcmp(argv[1], "chan") == 0) {
        bench.work = talk_everywhere;
        bench.nops = MEETINGS;
    }
    else if (argc == 3 && strcmp(argv[1], "tree") == 0) {
        bench.work = tree;
        bench.nops = TREES * coros_of(DEPTH);
    }
    else if (argc == 3 && strcmp(argv[1], "spread") == 0) {
        bench.work = spread;
        bench.nops = TREES / 4 * coros_of(DEPTH);
    }
    else {
        fprintf(stderr, "usage: cores chan | tree | spread W\n");
        return 2;
    }
    bench.workers = (int)tool_number("W", argv[2], 1, MAX_WORKERS);
    cel_options_init(&options);
    options.workers = bench.workers;
    need(cel_run(run, NULL, &options), "run");
    printf("{\"library\": \"celadon\", \"case\": \"%s %d\", \"ns\": %.2f, "
           "\"busy\": %.2f}\n",
           argv[1], bench.workers, median(bench.ns), median(bench.busy));
    return 0;
}
