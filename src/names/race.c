/* SPDX-License-Identifier: MIT */
/*
 * The race of RFC 8305: addresses in turn by family, each with a head start,
 * or none after one that has failed.
 *
 * One coroutine runs it: an operation an attempt, all of them its own.
 *
 * Threads: see race.h.
 *
 * Tests: unit/test_dial.c
 */
#include "names/race.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/sys.h"
#include "celadon/net.h"
#include "sched/io.h"
#include "sched/wait.h"

/* Invariant: fd < 0 => op is IDLE. */
struct attempt {
    struct cel__op op; /* the wait for connect(2) */
    int fd;            /* or -1: it has failed, or won */
};

struct race {
    struct cel__worker *worker;
    const struct addrinfo *addrs[CEL__RACE_MOST]; /* in the order of tries */
    size_t naddrs;
    size_t next;      /* the first that was not tried */
    size_t nlive;     /* attempts that have not ended */
    cel_time next_at; /* when `next` is tried, whatever the others do */
    int err;          /* what to say where all fail */
    struct attempt attempts[];
};

/* The next of `list` whose family is `family`, or is not; NULL: none. */
static const struct addrinfo *
seek(const struct addrinfo *list, int family, bool other)
{
    while (list != NULL && (list->ai_family != family) != other) {
        list = list->ai_next;
    }
    return list;
}

/* How many of `list` are tried. */
static size_t
count(const struct addrinfo *list)
{
    size_t n = 0;

    for (; list != NULL && n < CEL__RACE_MOST; list = list->ai_next) {
        n++;
    }
    return n;
}

/* The addresses of `list` by turns: of the first's family, of another. */
static void
line_up(struct race *race, const struct addrinfo *list)
{
    int family = list->ai_family;
    const struct addrinfo *turns[2] = {list, seek(list, family, true)};

    for (int i = 0; race->naddrs < CEL__RACE_MOST; i = 1 - i) {
        if (turns[i] == NULL) {
            if (turns[1 - i] == NULL) {
                break;
            }
            continue;
        }
        race->addrs[race->naddrs++] = turns[i];
        turns[i] = seek(turns[i]->ai_next, family, i == 1);
    }
}

/* Whether a failure tells of us and not of who was called. */
static bool
is_vague(int err)
{
    return err == 0 || err == -ENETUNREACH || err == -EHOSTUNREACH ||
           err == -EADDRNOTAVAIL || err == -EAFNOSUPPORT || err == -ENETDOWN;
}

static void
note(struct race *race, int err)
{
    if (race->err == 0 || (is_vague(race->err) && !is_vague(err))) {
        race->err = err;
    }
    race->next_at = CEL_AT_ONCE;
}

static void
wake_racer(struct cel__op *op)
{
    cel__wake(op->waiter);
}

/* Wait for `fd`, whose connect(2) is under way. */
static int
follow(struct race *race, struct attempt *attempt, int fd)
{
    attempt->op = (struct cel__op){
        .code = CEL__OP_CONNECT,
        .fd = fd,
        .done = wake_racer,
        .waiter = race->worker->current,
    };
    int n = cel__loop_submit(&race->worker->loop, &attempt->op);
    if (n != 0) {
        return n < 0 ? n : (int)attempt->op.result;
    }
    attempt->fd = fd;
    race->nlive++;
    race->next_at = cel_after(CEL__RACE_HEAD_START);
    return -EINPROGRESS;
}

/* Try the next address.  Returns a descriptor that stands already, or -1. */
static int
try_next(struct race *race)
{
    struct attempt *attempt = &race->attempts[race->next];
    const struct addrinfo *addr = race->addrs[race->next++];
    struct cel__loop *loop = &race->worker->loop;

    attempt->fd = -1;
    int fd = cel__sys_socket(addr->ai_family,
                             SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        note(race, fd);
        return -1;
    }
    cel__loop_own(loop, fd);
    int err = cel__sys_connect(fd, addr->ai_addr, addr->ai_addrlen);
    if (err == -EINPROGRESS) {
        err = follow(race, attempt, fd);
    }
    if (err == 0) {
        return fd;
    }
    if (err != -EINPROGRESS) {
        note(race, err);
        (void)cel_close(fd);
    }
    return -1;
}

/* Look at those that have ended.  Returns one that stands, or -1. */
static int
look(struct race *race)
{
    for (size_t i = 0; i < race->next; i++) {
        struct attempt *attempt = &race->attempts[i];
        int fd = attempt->fd;
        if (fd < 0 || attempt->op.state != CEL__OP_IDLE) {
            continue;
        }
        race->nlive--;
        attempt->fd = -1;
        if (attempt->op.result == 0) {
            return fd;
        }
        note(race, (int)attempt->op.result);
        (void)cel_close(fd);
    }
    return -1;
}

/* Wait for what comes next.  Suspends.  Returns 0, or why to give up. */
static int
await(struct race *race, cel_time deadline)
{
    bool more = race->next < race->naddrs;
    cel_time until = more && race->next_at < deadline ? race->next_at
                                                      : deadline;

    int code = cel__park(race->worker, until, "connect");
    if (code != -ETIMEDOUT) {
        return code;
    }
    /* If it was not the scope's deadline that passed. */
    return until != deadline && cel_now() >= until ? 0 : code;
}

static int
run(struct race *race, cel_time deadline)
{
    for (;;) {
        int fd = look(race);
        while (fd < 0 && race->next < race->naddrs &&
               (race->nlive == 0 || cel_now() >= race->next_at)) {
            fd = try_next(race);
        }
        if (fd >= 0) {
            return fd;
        }
        if (race->nlive == 0) {
            return race->err;
        }
        int err = await(race, deadline);
        if (err < 0) {
            fd = look(race);
            return fd >= 0 ? fd : err;
        }
    }
}

int
cel__race_connect(struct cel__worker *worker, const struct addrinfo *list,
                  cel_time deadline)
{
    struct race *race = cel__alloc_zeroed(
        1, sizeof(*race) + count(list) * sizeof(race->attempts[0]));

    if (race == NULL) {
        return -ENOMEM;
    }
    race->worker = worker;
    line_up(race, list);
    int fd = run(race, deadline);
    for (size_t i = 0; i < race->next; i++) {
        if (race->attempts[i].fd >= 0) {
            (void)cel_close(race->attempts[i].fd);
        }
        while (race->attempts[i].op.state != CEL__OP_IDLE) {
            cel__park_firmly(worker, "the end of an attempt to connect");
        }
    }
    free(race);
    return (int)cel__io_charge(worker, fd);
}
