/* SPDX-License-Identifier: MIT */
/*
 * What a coroutine library costs: switching, starting, being parked.
 *
 *     core yield N    a yield among N coroutines
 *     core spawn      starting and joining a coroutine that does nothing
 *     core mutex      a contended mutex handed over
 *     core park N     N coroutines asleep: memory and mappings
 *
 * Switching and starting are counted in processor time: others may have the
 * processor too.  One case a process, so that none warms another's pools.
 * Ends in a line of JSON.  bench/core.py runs them all.
 *
 * RUNTIME names the header that has the library under names of our own; the
 * file is compiled once for each.
 */
#include RUNTIME
#include "tool/tool.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A batch lasts some 20 ms: long beside the clock, short beside whatever
   else the machine does.  The median of the batches counts. */
enum {
    BATCHES = 9,
    SWITCHES = 1000000,
    SPAWNS = 100000,
    HANDOVERS = 200000
};

struct bench {
    size_t n;  /* coroutines, where the case takes a number */
    bool stop; /* the coroutines are to end */
    rt_mutex mutex;
    double batches[BATCHES]; /* ns an operation */
};

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double
median(struct bench *bench)
{
    qsort(bench->batches, BATCHES, sizeof(*bench->batches), by_value);
    return bench->batches[BATCHES / 2];
}

/*
 * All coroutines yield from this one place, as they do in the benchmarks of
 * other libraries: the processor then foresees where a switch returns to.
 */
__attribute__((noinline)) static void
yield_until(const volatile bool *stop, size_t turns)
{
    for (size_t i = 0; i < turns && !*stop; i++) {
        rt_yield();
    }
}

static void
keep_yielding(void *arg)
{
    yield_until(arg, SIZE_MAX);
}

/* One of the N: each of its yields lets all the others run once. */
static void
time_yields(void *arg)
{
    struct bench *bench = arg;
    size_t turns = SWITCHES / bench->n;

    yield_until(&bench->stop, 10);
    for (size_t batch = 0; batch < BATCHES; batch++) {
        uint64_t began = tool_cpu();
        yield_until(&bench->stop, turns);
        bench->batches[batch] = (double)(tool_cpu() - began) /
                                (double)(turns * bench->n);
    }
    bench->stop = true;
}

static int
run_yield(void *arg)
{
    struct bench *bench = arg;
    struct rt_call timer = {time_yields, bench};
    struct rt_call other = {keep_yielding, &bench->stop};
    rt_coro *coros = calloc(bench->n, sizeof(*coros));

    if (coros == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < bench->n; i++) {
        coros[i] = rt_go(i + 1 < bench->n ? &other : &timer);
    }
    for (size_t i = 0; i < bench->n; i++) {
        rt_join(coros[i]);
    }
    free(coros);
    printf("{\"library\": \"%s\", \"case\": \"yield %zu\", "
           "\"ns\": %.2f}\n",
           RT_NAME, bench->n, median(bench));
    return 0;
}

static void
do_nothing(void *arg)
{
    (void)arg;
}

static int
run_spawn(void *arg)
{
    struct bench *bench = arg;
    struct rt_call call = {do_nothing, NULL};

    for (size_t i = 0; i < 1000; i++) {
        rt_join(rt_go(&call));
    }
    for (size_t batch = 0; batch < BATCHES; batch++) {
        uint64_t began = tool_cpu();
        for (size_t i = 0; i < SPAWNS; i++) {
            rt_join(rt_go(&call));
        }
        bench->batches[batch] = (double)(tool_cpu() - began) / SPAWNS;
    }
    printf("{\"library\": \"%s\", \"case\": \"spawn\", "
           "\"ns\": %.2f}\n",
           RT_NAME, median(bench));
    return 0;
}

/* Hold the mutex while the other comes and waits for it. */
__attribute__((noinline)) static void
contend(struct bench *bench, size_t turns)
{
    for (size_t i = 0; i < turns && !bench->stop; i++) {
        rt_lock(bench->mutex);
        rt_yield();
        rt_unlock(bench->mutex);
    }
}

static void
keep_contending(void *arg)
{
    contend(arg, SIZE_MAX);
}

static int
run_mutex(void *arg)
{
    struct bench *bench = arg;
    struct rt_call call = {keep_contending, bench};

    bench->mutex = rt_mutex_open();
    rt_coro other = rt_go(&call);
    for (size_t batch = 0; batch < BATCHES; batch++) {
        uint64_t began = tool_cpu();
        /* Each turn is handed over by us and by the other. */
        contend(bench, HANDOVERS / 2);
        bench->batches[batch] = (double)(tool_cpu() - began) / HANDOVERS;
    }
    bench->stop = true;
    rt_join(other);
    printf("{\"library\": \"%s\", \"case\": \"mutex\", "
           "\"ns\": %.2f}\n",
           RT_NAME, median(bench));
    return 0;
}

/* A field of /proc/self/status, in KiB. */
static double
status_kib(const char *field)
{
    char line[256];
    double value = 0;
    FILE *file = fopen("/proc/self/status", "r");

    if (file == NULL) {
        tool_die("/proc/self/status");
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        size_t len = strlen(field);
        if (strncmp(line, field, len) == 0 && line[len] == ':') {
            value = strtod(line + len + 1, NULL);
        }
    }
    fclose(file);
    return value;
}

static long
count_mappings(void)
{
    long lines = 0;
    FILE *file = fopen("/proc/self/maps", "r");

    if (file == NULL) {
        tool_die("/proc/self/maps");
    }
    for (int c = getc(file); c != EOF; c = getc(file)) {
        lines += c == '\n';
    }
    fclose(file);
    return lines;
}

static void
park(void *arg)
{
    size_t *parked = arg;

    ++*parked;
    rt_park();
}

static int
run_park(void *arg)
{
    struct bench *bench = arg;
    size_t parked = 0;
    struct rt_call call = {park, &parked};
    double rss = status_kib("VmRSS");
    double tables = status_kib("VmPTE");
    long mappings = count_mappings();
    uint64_t began = tool_now();

    for (size_t i = 0; i < bench->n; i++) {
        (void)rt_go(&call);
    }
    while (parked < bench->n) {
        rt_yield();
    }
    uint64_t took = tool_now() - began;
    double n = (double)bench->n;
    printf("{\"library\": \"%s\", \"case\": \"park\", \"n\": %zu, "
           "\"ns\": %.0f, \"bytes\": %.0f, \"table_bytes\": %.0f, "
           "\"mappings\": %ld}\n",
           RT_NAME, bench->n, (double)took / n,
           (status_kib("VmRSS") - rss) * 1024 / n,
           (status_kib("VmPTE") - tables) * 1024 / n,
           count_mappings() - mappings);
    /* A million sleepers need not be woken to be measured. */
    fflush(stdout);
    _exit(0);
}

int
main(int argc, char **argv)
{
    static struct bench bench;
    int (*run)(void *) = NULL;

    if (argc == 3 && strcmp(argv[1], "yield") == 0) {
        run = run_yield;
    }
    else if (argc == 3 && strcmp(argv[1], "park") == 0) {
        run = run_park;
    }
    else if (argc == 2 && strcmp(argv[1], "spawn") == 0) {
        run = run_spawn;
    }
    else if (argc == 2 && strcmp(argv[1], "mutex") == 0) {
        run = run_mutex;
    }
    if (run == NULL) {
        fprintf(stderr, "usage: core yield N | spawn | mutex | park N\n");
        return 2;
    }
    if (argc == 3) {
        bench.n = (size_t)tool_number("N", argv[2], 1, 1e7);
    }
    int err = rt_run(run, &bench);
    if (err < 0) {
        errno = -err;
        tool_die(RT_NAME);
    }
    return 0;
}
