/* SPDX-License-Identifier: MIT */
/*
 * A load generator that does not itself saturate.
 *
 *     load http PORT [options]    a new connection per request
 *     load echo PORT [options]    kept connections, a message there and back
 *
 * N clients in one thread over epoll, each in a closed loop: it asks, waits
 * for the whole answer, and asks again (tool/client.c).  Ends in one line of
 * JSON.
 *
 * Clients begin 64 at a turn of the loop, a millisecond apart, so that the
 * first turn does not overflow a listener's queue.  A client that fails
 * counts as an error and begins anew in the same way.
 *
 * `busy` in the result says how much of the time the generator was at work
 * rather than waiting for the server; near 1 it was the generator, and not
 * the server, that set the limit.
 *
 * Not here: other machines, TLS, pipelining, more than one thread.
 */
#include "tool/client.h"
#include "tool/tool.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    NEVENTS = 256,
    BEGIN_AT_ONCE = 64,
    MAX_CLIENTS = 100000
};

/* How long to wait for the requests under way when the time is over. */
enum {
    GRACE_NS = 1000000000
};

struct options {
    bool http;
    int port;
    size_t nclients;
    size_t size;      /* bytes of an echo message */
    uint64_t warm_ns; /* uncounted at the beginning */
    uint64_t time_ns; /* counted after it */
    uint64_t count;   /* or until so many requests are counted; 0: no limit */
    bool spin;        /* poll instead of sleeping */
};

/* What the loop measures of itself, in the end over the counted time. */
struct meter {
    uint64_t began;     /* tool_now() when this phase began */
    uint64_t ended;     /* and when counting ended */
    uint64_t cpu_began; /* tool_cpu() likewise */
    uint64_t cpu_ended;
    uint64_t idle_ns; /* in polls that brought nothing */
};

static void
begin_idle(struct load *load, struct client *clients, size_t nclients)
{
    static size_t next;
    size_t begun = 0;

    for (size_t i = 0; i < nclients && begun < BEGIN_AT_ONCE; i++) {
        next = next + 1 < nclients ? next + 1 : 0;
        if (clients[next].state == CLIENT_IDLE) {
            client_begin(load, &clients[next]);
            begun++;
        }
    }
}

/* Wait for events and hand them out.  The time this took if there were none,
   else 0. */
static uint64_t
turn(struct load *load, int timeout_ms)
{
    struct epoll_event events[NEVENTS];
    uint64_t began = tool_now();

    int n = epoll_wait(load->epoll, events, NEVENTS, timeout_ms);
    if (n <= 0) {
        return tool_now() - began;
    }
    for (int i = 0; i < n; i++) {
        client_event(load, events[i].data.ptr, events[i].events);
    }
    return 0;
}

/* Warm-up, counting, finishing: move on to what is due.  False when all is
   over. */
static bool
advance(struct load *load, const struct options *options, struct meter *meter,
        uint64_t now)
{
    if (load->stopping) {
        return load->active > 0 && now - meter->ended < GRACE_NS;
    }
    if (!load->measuring) {
        if (now - meter->began < options->warm_ns) {
            return true;
        }
        load->measuring = true;
        meter->began = now;
        meter->cpu_began = tool_cpu();
        meter->idle_ns = 0;
    }
    if (now - meter->began >= options->time_ns ||
        (options->count > 0 && load->hist.count >= options->count)) {
        load->stopping = true;
        meter->ended = now;
        meter->cpu_ended = tool_cpu();
    }
    return true;
}

static void
run(struct load *load, struct client *clients, const struct options *options,
    struct meter *meter)
{
    meter->began = tool_now();
    while (advance(load, options, meter, tool_now())) {
        bool lacking = load->active < options->nclients && !load->stopping;
        if (lacking) {
            begin_idle(load, clients, options->nclients);
        }
        uint64_t idle = turn(load, options->spin ? 0 : lacking ? 1 : 10);
        if (!load->stopping) {
            meter->idle_ns += idle;
        }
    }
}

static double
share(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0.0;
}

static void
print_result(const struct load *load, const struct options *options,
             const struct meter *meter)
{
    const struct hist *hist = &load->hist;
    uint64_t wall = meter->ended - meter->began;
    double cpu = share(meter->cpu_ended - meter->cpu_began, wall);
    double busy = options->spin ? 1.0 - share(meter->idle_ns, wall) : cpu;

    printf("{\"mode\": \"%s\", \"clients\": %zu, \"requests\": %llu, "
           "\"total\": %llu, \"errors\": %llu, \"seconds\": %.4f, "
           "\"rps\": %.1f, \"mean_us\": %.1f, \"p50_us\": %.1f, "
           "\"p99_us\": %.1f, \"max_us\": %.1f, \"cpu\": %.3f, "
           "\"busy\": %.3f}\n",
           options->http ? "http" : "echo", options->nclients,
           (unsigned long long)hist->count, (unsigned long long)load->total,
           (unsigned long long)load->errors, (double)wall / 1e9,
           share(hist->count, wall) * 1e9, share(hist->sum, hist->count) / 1e3,
           (double)hist_quantile(hist, 0.5) / 1e3,
           (double)hist_quantile(hist, 0.99) / 1e3, (double)hist->max / 1e3,
           cpu, busy);
}

static _Noreturn void
usage(void)
{
    fprintf(stderr, "usage: load http|echo PORT [-c CLIENTS] [-t SECONDS] "
                    "[-w WARM-UP] [-n REQUESTS] [-s BYTES] [-p]\n"
                    "  -p  poll without sleeping\n");
    exit(2);
}

static void
parse(struct options *options, int argc, char **argv)
{
    int opt;

    while ((opt = getopt(argc, argv, "c:t:w:n:s:p")) != -1) {
        switch (opt) {
        case 'c':
            options->nclients = (size_t)tool_number("-c", optarg, 1,
                                                    MAX_CLIENTS);
            break;
        case 't':
            options->time_ns = (uint64_t)(tool_number("-t", optarg, 0.01,
                                                      3600) *
                                          1e9);
            break;
        case 'w':
            options->warm_ns = (uint64_t)(tool_number("-w", optarg, 0, 3600) *
                                          1e9);
            break;
        case 'n':
            options->count = (uint64_t)tool_number("-n", optarg, 1, 1e12);
            break;
        case 's':
            options->size = (size_t)tool_number("-s", optarg, 8,
                                                CLIENT_MAX_SIZE);
            break;
        case 'p':
            options->spin = true;
            break;
        default:
            usage();
        }
    }
    if (argc - optind != 2) {
        usage();
    }
    options->http = strcmp(argv[optind], "http") == 0;
    if (!options->http && strcmp(argv[optind], "echo") != 0) {
        usage();
    }
    options->port = (int)tool_number("PORT", argv[optind + 1], 1, 65535);
}

int
main(int argc, char **argv)
{
    static struct load load;
    struct meter meter = {0};
    struct options options = {
        .nclients = 64,
        .size = 64,
        .warm_ns = 200000000,
        .time_ns = 1000000000,
    };

    parse(&options, argc, argv);
    tool_raise_nofile();
    load.http = options.http;
    load.size = options.size;
    load.server.sin_family = AF_INET;
    load.server.sin_port = htons((uint16_t)options.port);
    load.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    struct client *clients = calloc(options.nclients, sizeof(*clients));
    if (load.epoll < 0 || clients == NULL) {
        tool_die("cannot begin");
    }
    run(&load, clients, &options, &meter);
    print_result(&load, &options, &meter);
    free(clients);
    if (load.total == 0) {
        errno = 0;
        tool_die("load: no request was answered, %llu failed",
                 (unsigned long long)load.errors);
    }
    return 0;
}
