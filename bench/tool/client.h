/* SPDX-License-Identifier: MIT */
/*
 * One client of the load generator: ask, read the answer, ask again.
 *
 * A client is idle (no descriptor), connecting (its request could not be sent
 * yet) or reading.  client_begin() takes it out of idleness, client_event()
 * moves it on, and whatever goes wrong makes it idle again with an error
 * counted; the caller restarts idle clients at its own pace.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "hist.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CLIENT_MAX_SIZE = 16384,
    CLIENT_HEAD = 12
};

enum client_state {
    CLIENT_IDLE,
    CLIENT_CONNECTING,
    CLIENT_READING
};

struct client {
    enum client_state state;
    int fd;                 /* valid unless idle */
    uint32_t serial;        /* of the request; an echo must carry it */
    uint64_t began;         /* when this request began, tool_now() */
    size_t got;             /* bytes of the answer so far */
    char head[CLIENT_HEAD]; /* the first of them (http) */
};

/* A run of many clients: what they share and what they count. */
struct load {
    bool http;                 /* else echo */
    size_t size;               /* of an echo message, 8..CLIENT_MAX_SIZE */
    struct sockaddr_in server; /* whom to ask */
    uint32_t source;           /* come from 127.0.0.source; 0: as it falls */
    int epoll;                 /* its data.ptr are the clients */
    bool measuring;            /* the warm-up is over: count */
    bool stopping;             /* finish what has begun, begin nothing */
    size_t active;             /* clients that are not idle */
    uint64_t total;            /* requests answered, warm-up included */
    uint64_t errors;           /* failures of any kind, at any time */
    struct hist hist;          /* latencies of the measured requests */
};

/** Connect an idle client and send its request.  On failure it is idle
    still, and an error is counted. */
void client_begin(struct load *load, struct client *client);

/** Take what epoll says of a client that is not idle. */
void client_event(struct load *load, struct client *client, uint32_t events);

#endif
