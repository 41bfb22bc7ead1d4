/* SPDX-License-Identifier: MIT */
/*
 * Descriptors: making, accepting, connecting, owning, closing them.
 *
 * Threads: see celadon/net.h.
 *
 * Tests: unit/test_net.c
 */
#include "celadon/net.h"

#include "celadon/transfer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/check.h"
#include "base/log.h"
#include "base/sys.h"
#include "net/net.h"
#include "sched/io.h"

/* Pauses of cel_accept() where descriptors or memory are short. */
#define PAUSE     (10 * CEL_MSEC)
#define PAUSE_MAX CEL_SEC

/* How seldom the log is told of that. */
#define SAY_EVERY (60 * CEL_SEC)

CEL__STATIC_ASSERT(CEL_READABLE == CEL__READABLE &&
                       CEL_URGENT == CEL__URGENT &&
                       CEL_WRITABLE == CEL__WRITABLE &&
                       CEL_FAILED == CEL__FAILED &&
                       CEL_HUNG_UP == CEL__HUNG_UP,
                   "events have one set of values");

static int
set_on(int fd, int level, int option)
{
    static const int on = 1;

    return cel__sys_setsockopt(fd, level, option, &on, sizeof(on));
}

/* Set what `flags` and the family ask for before bind(2). */
static int
set_options(int fd, int family, int flags)
{
    bool inet = family == AF_INET || family == AF_INET6;
    int err = 0;

    if (inet) {
        err = set_on(fd, SOL_SOCKET, SO_REUSEADDR);
    }
    if (err == 0 && (flags & CEL_REUSEPORT) != 0) {
        err = set_on(fd, SOL_SOCKET, SO_REUSEPORT);
    }
    /* Whatever the system's default is. */
    if (err == 0 && family == AF_INET6) {
        int only = (flags & CEL_V6ONLY) != 0;
        err = cel__sys_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only,
                                  sizeof(only));
    }
    /* Connections inherit it from their listener: no call for each. */
    if (err == 0 && inet && (flags & CEL_NODELAY) != 0) {
        err = set_on(fd, IPPROTO_TCP, TCP_NODELAY);
    }
    return err;
}

/* A socket of `type` bound to `addr`, of which nobody knows yet. */
static int
bound_socket(const struct sockaddr *addr, socklen_t addrlen, int type,
             int flags)
{
    int fd = cel__sys_socket(addr->sa_family,
                             type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return fd;
    }
    int err = set_options(fd, addr->sa_family, flags);
    if (err < 0) {
        goto close_fd;
    }
    err = cel__sys_bind(fd, addr, addrlen);
    if (err < 0) {
        goto close_fd;
    }
    return fd;

close_fd:
    (void)cel__sys_close(fd);
    return err;
}

int
cel_listen(const struct sockaddr *addr, socklen_t addrlen, int backlog,
           int flags)
{
    struct cel__worker *worker = cel__worker();

    if (worker == NULL) {
        return -EPERM;
    }
    if ((flags & ~(CEL_REUSEPORT | CEL_V6ONLY | CEL_NODELAY)) != 0) {
        return -EINVAL;
    }
    int fd = bound_socket(addr, addrlen, SOCK_STREAM, flags);
    if (fd < 0) {
        return fd;
    }
    /* The kernel cuts it to net.core.somaxconn. */
    int err = cel__sys_listen(fd, backlog == 0 ? INT32_MAX : backlog);
    if (err < 0) {
        (void)cel__sys_close(fd);
        return err;
    }
    cel__loop_own(&worker->loop, fd);
    return fd;
}

/* Whether accept4() failed for its connection's sake: the next may be well. */
static bool
is_passed_over(int64_t err)
{
    switch (-err) {
    case ECONNABORTED:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case ENONET:
    case EHOSTDOWN:
    case EHOSTUNREACH:
        return true;
    default:
        return false;
    }
}

static bool
is_shortage(int64_t err)
{
    return err == -EMFILE || err == -ENFILE || err == -ENOBUFS ||
           err == -ENOMEM;
}

static void
say_shortage(int64_t err)
{
    static _Atomic cel_time last = -SAY_EVERY;
    cel_time now = cel_now();

    if (now - atomic_load_explicit(&last, memory_order_relaxed) >= SAY_EVERY) {
        atomic_store_explicit(&last, now, memory_order_relaxed);
        cel__log("accept: error %d (%s are short), trying again until it "
                 "passes",
                 (int)-err,
                 err == -EMFILE || err == -ENFILE ? "descriptors" : "buffers");
    }
}

/*
 * Accepting on `fd` met the shortage `err`: wait a while.  Returns 0, `err`
 * where `deadline` has come, or why the wait ended.
 */
static int64_t
wait_out(struct cel__worker *worker, int fd, int64_t err, cel_time *pause,
         cel_time deadline)
{
    cel_time until = cel_after(*pause);

    if (deadline <= CEL_AT_ONCE) {
        return err;
    }
    say_shortage(err);
    if (deadline < until) {
        until = deadline;
    }
    *pause = *pause < PAUSE_MAX / 2 ? 2 * *pause : PAUSE_MAX;
    /* Urgent data a listener never has: a sleep that closing `fd` ends. */
    int64_t n = cel__fd_await(worker, fd, CEL__URGENT, until,
                              "accept: descriptors or memory are short");
    if (n == -ETIMEDOUT) {
        return until == deadline ? err : 0;
    }
    return n < 0 ? n : 0;
}

int
cel_accept(int fd, struct sockaddr *addr, socklen_t *addrlen,
           cel_time deadline)
{
    struct cel__worker *worker = cel__worker();
    socklen_t room = addrlen == NULL ? 0 : *addrlen;
    cel_time pause = PAUSE;
    int64_t n;

    if (worker == NULL) {
        return -EPERM;
    }
    do {
        struct cel__op op = {
            .code = CEL__OP_ACCEPT,
            .fd = fd,
            .addr = addr,
            .addrlen = addrlen,
        };
        if (addrlen != NULL) {
            *addrlen = room;
        }
        n = cel__op_await(worker, &op, deadline, "accept");
        if (n >= 0) {
            cel__loop_own_accepted(&worker->loop, (int)n, fd);
            return (int)n;
        }
        if (is_passed_over(n)) {
            n = 0;
        }
        else if (is_shortage(n)) {
            n = wait_out(worker, fd, n, &pause, deadline);
        }
    } while (n == 0);
    return (int)n;
}

ssize_t
cel_accept_many(int fd, int *conns, size_t n, cel_time deadline)
{
    size_t taken = 0;

    if (n == 0) {
        return -EINVAL;
    }
    /* An error after some is the next call's. */
    for (; taken < n; taken++) {
        int conn = cel_accept(fd, NULL, NULL,
                              taken == 0 ? deadline : CEL_AT_ONCE);
        if (conn < 0) {
            return taken == 0 ? conn : (ssize_t)taken;
        }
        conns[taken] = conn;
    }
    return (ssize_t)taken;
}

/* Connect `fd`, which is owned. */
static int
establish(struct cel__worker *worker, int fd, const struct sockaddr *addr,
          socklen_t addrlen, cel_time deadline)
{
    struct cel__op op = {.code = CEL__OP_CONNECT, .fd = fd};
    cel_time nap = CEL__NET_NAP;

    for (;;) {
        int err = cel__sys_connect(fd, addr, addrlen);
        if (err == -EINPROGRESS) {
            return (int)cel__op_await(worker, &op, deadline, "connect");
        }
        if (err != -EAGAIN || addr->sa_family != AF_UNIX) {
            return (int)cel__io_charge(worker, err);
        }
        /* The backlog of a unix listener is full. */
        err = cel__net_nap(worker, &nap, deadline, "connect");
        if (err < 0) {
            return err;
        }
    }
}

int
cel_connect(const struct sockaddr *addr, socklen_t addrlen, cel_time deadline)
{
    struct cel__worker *worker = cel__worker();

    if (worker == NULL) {
        return -EPERM;
    }
    int fd = cel__sys_socket(addr->sa_family,
                             SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return fd;
    }
    cel__loop_own(&worker->loop, fd);
    int err = establish(worker, fd, addr, addrlen, deadline);
    if (err < 0) {
        (void)cel_close(fd);
        return err;
    }
    return fd;
}

int
cel_udp(const struct sockaddr *addr, socklen_t addrlen, int flags)
{
    struct cel__worker *worker = cel__worker();

    if (worker == NULL) {
        return -EPERM;
    }
    if ((flags & ~(CEL_REUSEPORT | CEL_V6ONLY)) != 0) {
        return -EINVAL;
    }
    int fd = bound_socket(addr, addrlen, SOCK_DGRAM, flags);
    if (fd >= 0) {
        cel__loop_own(&worker->loop, fd);
    }
    return fd;
}

int
cel_udp_connect(const struct sockaddr *addr, socklen_t addrlen)
{
    struct cel__worker *worker = cel__worker();

    if (worker == NULL) {
        return -EPERM;
    }
    int fd = cel__sys_socket(addr->sa_family,
                             SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return fd;
    }
    int err = cel__sys_connect(fd, addr, addrlen);
    if (err < 0) {
        (void)cel__sys_close(fd);
        return err;
    }
    cel__loop_own(&worker->loop, fd);
    return fd;
}

/* What both calls that make two descriptors do after. */
static int
own_both(struct cel__worker *worker, int err, const int made[2], int fds[2])
{
    if (err == 0) {
        for (int i = 0; i < 2; i++) {
            fds[i] = made[i];
            cel__loop_own(&worker->loop, made[i]);
        }
    }
    return err;
}

int
cel_socketpair(int fds[2])
{
    struct cel__worker *worker = cel__worker();
    int made[2];

    if (worker == NULL) {
        return -EPERM;
    }
    int err = cel__sys_socketpair(
        AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, made);
    return own_both(worker, err, made, fds);
}

int
cel_pipe(int fds[2])
{
    struct cel__worker *worker = cel__worker();
    int made[2];

    if (worker == NULL) {
        return -EPERM;
    }
    int err = cel__sys_pipe2(made, O_NONBLOCK | O_CLOEXEC);
    return own_both(worker, err, made, fds);
}

int
cel_own(int fd)
{
    struct cel__worker *worker = cel__worker();

    if (worker == NULL) {
        return -EPERM;
    }
    int mode = cel__sys_fcntl(fd, F_GETFL, 0);
    if (mode < 0) {
        return mode;
    }
    if (cel__loop_owns(&worker->loop, fd)) {
        return 0;
    }
    cel__loop_own(&worker->loop, fd);
    if (!cel__loop_owns(&worker->loop, fd)) {
        return -ENOMEM;
    }
    int err = (mode & O_NONBLOCK) != 0
                  ? 0
                  : cel__sys_fcntl(fd, F_SETFL, mode | O_NONBLOCK);
    if (err < 0) {
        cel_disown(fd);
    }
    return err;
}

void
cel_disown(int fd)
{
    struct cel__worker *worker = cel__worker();

    if (worker != NULL) {
        cel__loop_forget(&worker->loop, fd, -ECANCELED);
    }
}

int
cel_close(int fd)
{
    cel_disown(fd);
    return cel__sys_close(fd);
}

int
cel_shutdown(int fd, int how)
{
    return cel__sys_shutdown(fd, how);
}

int
cel_wait_fd(int fd, int events, cel_time deadline)
{
    struct cel__worker *worker = cel__worker();

    if (worker == NULL) {
        return -EPERM;
    }
    return (int)cel__fd_await(worker, fd, (uint32_t)events, deadline,
                              "wait_fd");
}
