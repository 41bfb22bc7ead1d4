/* SPDX-License-Identifier: MIT */
/*
 * What it costs coroutines to meet: channels, select, timeouts, other threads.
 *
 *     meet chan       a value there and another back, over two channels
 *     meet select     a value received by a select over two channels
 *     meet timeout N  a timeout set and cancelled while N others are set
 *     meet ring N     a value once round N coroutines with a channel each
 *     meet wake       a value there and back between two threads' workers
 *     meet eventfd    the same by two eventfds, without any library
 *
 * Figures are processor time, but for the last two: those sleep.  One case a
 * process.  Ends in a line of JSON.  bench/core.py runs them all,
 * and peers/meet.* beside them.
 */
#include "tool/tool.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "celadon.h"
#include "sched/worker.h"

/* A batch lasts some 10 to 20 ms; the median of the batches counts. */
enum {
    BATCHES = 9,
    MEETINGS = 200000,
    WAKES = 20000
};

struct bench {
    size_t n;                /* where the case takes a number */
    size_t meetings;         /* of a batch */
    double batches[BATCHES]; /* ns each */
    cel_chan *chans[2];
    bool stop;
    int fds[2];
};

static void
need(int err, const char *what)
{
    if (err < 0) {
        tool_die("%s: error %d", what, -err);
    }
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static void
report(struct bench *bench, const char *name)
{
    qsort(bench->batches, BATCHES, sizeof(*bench->batches), by_value);
    printf("{\"library\": \"celadon\", \"case\": \"%s\", \"ns\": %.2f}\n",
           name, bench->batches[BATCHES / 2]);
}

static void
open_chans(struct bench *bench, size_t capacity)
{
    for (int i = 0; i < 2; i++) {
        need(cel_chan_open(&bench->chans[i], sizeof(uint64_t), capacity),
             "chan");
    }
}

/*
 * Send and receive, `turns` times or until a channel is shut.  Both sides do
 * it at this one place: the processor then foresees where a switch returns to,
 * as it does where the peers' schedulers switch.
 */
__attribute__((noinline)) static int
exchange(cel_chan *out, cel_chan *in, uint64_t *value, size_t turns)
{
    int err = 0;

    for (size_t i = 0; i < turns && err == 0; i++) {
        err = cel_chan_send(out, value, CEL_FOREVER);
        if (err == 0) {
            err = cel_chan_recv(in, value, CEL_FOREVER);
        }
        *value += 1;
    }
    return err;
}

/* Send what comes back, until the channel is shut. */
static void
echo(void *arg)
{
    struct bench *bench = arg;
    uint64_t value;

    if (cel_chan_recv(bench->chans[0], &value, CEL_FOREVER) == 0) {
        (void)exchange(bench->chans[1], bench->chans[0], &value, SIZE_MAX);
    }
}

static void
time_round_trips(struct bench *bench, uint64_t (*now)(void))
{
    uint64_t value = 0;

    for (size_t batch = 0; batch < BATCHES; batch++) {
        uint64_t began = now();
        need(exchange(bench->chans[0], bench->chans[1], &value,
                      bench->meetings),
             "exchange");
        bench->batches[batch] = (double)(now() - began) /
                                (double)bench->meetings;
    }
    /* Each side adds one a turn, the other one fewer. */
    if (value != 2 * BATCHES * bench->meetings - 1) {
        tool_die("a wrong value came back: %llu", (unsigned long long)value);
    }
}

static int
run_chan(void *arg)
{
    struct bench *bench = arg;

    open_chans(bench, 0);
    need(cel_go(NULL, echo, bench), "go");
    time_round_trips(bench, tool_cpu);
    cel_chan_shutdown(bench->chans[0]);
    report(bench, "chan");
    return 0;
}

static void
feed(void *arg)
{
    struct bench *bench = arg;

    for (uint64_t i = 0; !bench->stop; i++) {
        if (cel_chan_send(bench->chans[i & 1], &i, CEL_FOREVER) < 0) {
            break;
        }
    }
}

static int
run_select(void *arg)
{
    struct bench *bench = arg;
    uint64_t values[2];
    cel_case cases[2];

    open_chans(bench, 0);
    for (int i = 0; i < 2; i++) {
        cases[i].chan = bench->chans[i];
        cases[i].value = &values[i];
        cases[i].op = CEL_RECV;
    }
    need(cel_go(NULL, feed, bench), "go");
    for (size_t batch = 0; batch < BATCHES; batch++) {
        uint64_t began = tool_cpu();
        for (size_t i = 0; i < MEETINGS; i++) {
            need(cel_select(cases, 2, CEL_FOREVER), "select");
        }
        bench->batches[batch] = (double)(tool_cpu() - began) / MEETINGS;
    }
    bench->stop = true;
    report(bench, "select");
    return 0;
}

static void
never(struct cel__timer *timer)
{
    (void)timer;
    tool_die("a timeout passed");
}

static int
run_timeout(void *arg)
{
    struct bench *bench = arg;
    struct cel__worker *worker = cel__worker();
    struct cel__timer *timers = calloc(bench->n + 1, sizeof(*timers));
    cel_time base = cel_after(60 * CEL_SEC);
    uint64_t random = 1;

    if (timers == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i <= bench->n; i++) {
        timers[i].fire = never;
        cel__heap_node_init(&timers[i].node);
    }
    for (size_t i = 0; i < bench->n; i++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        need(cel__timer_start(worker, &timers[i],
                              base + (cel_time)(random >> 26)),
             "timer");
    }
    for (size_t batch = 0; batch < BATCHES; batch++) {
        uint64_t began = tool_cpu();
        for (size_t i = 0; i < MEETINGS; i++) {
            random = random * 6364136223846793005U + 1442695040888963407U;
            need(cel__timer_start(worker, &timers[bench->n],
                                  base + (cel_time)(random >> 26)),
                 "timer");
            cel__timer_stop(worker, &timers[bench->n]);
        }
        bench->batches[batch] = (double)(tool_cpu() - began) / MEETINGS;
    }
    report(bench, "timeout");
    for (size_t i = 0; i < bench->n; i++) {
        cel__timer_stop(worker, &timers[i]);
    }
    free(timers);
    return 0;
}

/* One of the ring: it passes on what it gets, once. */
struct link {
    cel_chan *in;
    cel_chan *out;
};

static void
pass_on(void *arg)
{
    struct link *link = arg;
    uint64_t value;

    while (cel_chan_recv(link->in, &value, CEL_FOREVER) == 0) {
        value++;
        need(cel_chan_send(link->out, &value, CEL_FOREVER), "send");
    }
}

static int
run_ring(void *arg)
{
    struct bench *bench = arg;
    size_t n = bench->n;
    struct link *links = calloc(n, sizeof(*links));
    uint64_t value = 0;

    if (links == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        need(cel_chan_open(&links[i].in, sizeof(value), 0), "chan");
    }
    for (size_t i = 0; i + 1 < n; i++) {
        links[i].out = links[i + 1].in;
        need(cel_go(NULL, pass_on, &links[i]), "go");
    }
    /* The last one is this; all others wait when it has yielded. */
    (void)cel_yield();
    uint64_t began = tool_cpu();
    need(cel_chan_send(links[0].in, &value, CEL_FOREVER), "send");
    need(cel_chan_recv(links[n - 1].in, &value, CEL_FOREVER), "recv");
    double took = (double)(tool_cpu() - began);
    if (value != n - 1) {
        tool_die("the ring lost count");
    }
    printf("{\"library\": \"celadon\", \"case\": \"ring\", \"n\": %zu, "
           "\"ns\": %.1f}\n",
           n, took / (double)n);
    /* A million waiters need not be told to have been measured. */
    fflush(stdout);
    _exit(0);
}

static int
run_echo(void *arg)
{
    echo(arg);
    return 0;
}

static void *
other_worker(void *arg)
{
    need(cel_run(run_echo, arg, NULL), "run");
    return NULL;
}

static int
run_wake(void *arg)
{
    struct bench *bench = arg;
    pthread_t thread;

    /* With room for a value, so that only who receives is woken. */
    open_chans(bench, 1);
    bench->meetings = WAKES;
    if (pthread_create(&thread, NULL, other_worker, bench) != 0) {
        return -EAGAIN;
    }
    time_round_trips(bench, tool_now);
    cel_chan_shutdown(bench->chans[0]);
    (void)pthread_join(thread, NULL);
    report(bench, "wake");
    return 0;
}

static void *
other_thread(void *arg)
{
    struct bench *bench = arg;
    uint64_t value;

    while (read(bench->fds[0], &value, sizeof(value)) > 0 && !bench->stop) {
        if (write(bench->fds[1], &value, sizeof(value)) < 0) {
            break;
        }
    }
    return NULL;
}

static int
run_eventfd(void *arg)
{
    struct bench *bench = arg;
    pthread_t thread;
    uint64_t one = 1;

    bench->fds[0] = eventfd(0, 0);
    bench->fds[1] = eventfd(0, 0);
    if (pthread_create(&thread, NULL, other_thread, bench) != 0) {
        return -EAGAIN;
    }
    for (size_t batch = 0; batch < BATCHES; batch++) {
        uint64_t began = tool_now();
        for (size_t i = 0; i < WAKES; i++) {
            if (write(bench->fds[0], &one, sizeof(one)) < 0 ||
                read(bench->fds[1], &one, sizeof(one)) < 0) {
                tool_die("eventfd");
            }
        }
        bench->batches[batch] = (double)(tool_now() - began) / WAKES;
    }
    bench->stop = true;
    (void)!write(bench->fds[0], &one, sizeof(one));
    (void)pthread_join(thread, NULL);
    report(bench, "eventfd");
    return 0;
}

static const struct {
    const char *name;
    int (*run)(void *arg);
    bool takes_number;
} cases[] = {
    {"chan", run_chan, false},      {"select", run_select, false},
    {"timeout", run_timeout, true}, {"ring", run_ring, true},
    {"wake", run_wake, false},      {"eventfd", run_eventfd, false},
};

int
main(int argc, char **argv)
{
    static struct bench bench = {.meetings = MEETINGS};

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        if (argc == 2 + cases[i].takes_number &&
            strcmp(argv[1], cases[i].name) == 0) {
            if (cases[i].takes_number) {
                bench.n = (size_t)tool_number("N", argv[2], 1, 1e7);
            }
            need(cel_run(cases[i].run, &bench, NULL), "run");
            return 0;
        }
    }
    fprintf(stderr, "usage: meet chan | select | timeout N | ring N | "
                    "wake | eventfd\n");
    return 2;
}
