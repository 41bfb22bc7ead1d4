/* SPDX-License-Identifier: MIT */
/*
 * Waiting for what the kernel announces to nobody: by sleeping a little.
 *
 * A full backlog of a unix listener and a full queue of a unix datagram
 * socket fail with -EAGAIN while the caller's own socket is "writable", so
 * readiness would have the call spin.
 *
 * Threads: see net.h.
 *
 * Tests: unit/test_net.c
 */
#include "net/net.h"

#include <errno.h>

#include "sched/wait.h"

int
cel__net_nap(struct cel__worker *worker, cel_time *nap, cel_time deadline,
             const char *what)
{
    cel_time until = cel_after(*nap);
    int code;

    if (deadline < until) {
        until = deadline;
    }
    *nap = *nap < CEL__NET_NAP_MAX / 2 ? 2 * *nap : CEL__NET_NAP_MAX;
    do {
        code = cel__park(worker, until, what);
    } while (code == 0);
    return code == -ETIMEDOUT && until != deadline ? 0 : code;
}
