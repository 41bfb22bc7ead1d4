/* SPDX-License-Identifier: MIT */
/*
 * The state of the epoll backend, for the one that is built upon it.
 *
 * The functions of cel__epoll_backend work on any loop whose `state` begins
 * with a struct cel__epoll, but for open() and close(), which own the memory.
 *
 * Threads: the loop's owner.
 */
#ifndef CEL_EPOLL_H
#define CEL_EPOLL_H

#include <stdbool.h>
#include <sys/epoll.h>

struct cel__fd;
struct cel__loop;

/* Events taken a wait: few enough that the sockets which were received from
   are still in the processor's caches when their coroutines answer.  With 256
   a thousand connections on one core need 2 to 5 % more of its time. */
#define CEL__EPOLL_NEVENTS 32

struct cel__epoll {
    int epoll;
    int wake;         /* eventfd */
    unsigned nevents; /* that the last poll brought */
    bool coarse;      /* epoll_pwait2() is not to be had: milliseconds only */
    /* Too large for a coroutine's stack. */
    struct epoll_event events[CEL__EPOLL_NEVENTS];
};

/* Make the kernel objects.  Returns 0 or a negative errno; then there are
   none. */
int cel__epoll_init(struct cel__epoll *state);

void cel__epoll_fini(struct cel__epoll *state);

/* Let the kernel forget `fd`, which is registered by edges, until an operation
   is armed again. */
void cel__epoll_disarm(struct cel__loop *loop, int fd, struct cel__fd *entry);

/* See cel__readiness_arm. */
int cel__epoll_arm(struct cel__loop *loop, int fd, struct cel__fd *entry);

/* See cel__backend.wake(). */
void cel__epoll_wake(struct cel__loop *loop);

#endif
