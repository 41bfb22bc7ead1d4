/* SPDX-License-Identifier: MIT */
/*
 * What the benchmark's C programs share; see tool.h.
 *
 * Threads: none of it is for more than one thread.
 */
#include "tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

void
tool_die(const char *format, ...)
{
    int err = errno;
    va_list args;

    fflush(stdout);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    if (err != 0) {
        fprintf(stderr, ": %s", strerror(err));
    }
    fputc('\n', stderr);
    exit(1);
}

static uint64_t
read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

uint64_t
tool_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t
tool_cpu(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void
tool_raise_nofile(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

double
tool_number(const char *what, const char *text, double low, double high)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= low && value <= high)) {
        errno = 0;
        tool_die("%s: '%s' is not a number from %g to %g", what, text, low,
                 high);
    }
    return value;
}

int
tool_listen(int port, int backlog)
{
    static const int on = 1;
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };

    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        tool_die("socket");
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ||
        listen(fd, backlog) < 0) {
        tool_die("port %d", port);
    }
    return fd;
}
