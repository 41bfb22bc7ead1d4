/* SPDX-License-Identifier: MIT */
/*
 * What backends share that only learn when a descriptor is ready: the queues
 * of operations, and running them when an event has come.
 *
 * Threads: the loop's owner.
 */
#ifndef CEL_READINESS_H
#define CEL_READINESS_H

#include <stdint.h>

#include "io/backend.h"
#include "io/fd.h"
#include "io/loop.h"

/* Which of its entry's queues `op` waits in. */
int cel__readiness_queue(const struct cel__op *op);

/* See that what the operations of `entry`, which is fd's, wait for is told of.
   Returns 0 or a negative errno; -EPERM: the descriptor can't be waited for,
   it is always ready. */
typedef int cel__readiness_arm(struct cel__loop *loop, int fd,
                               struct cel__fd *entry);

/* What submit() does: try `op` where that may succeed, else queue it, as the
   last of its queue, and arm its entry. */
int cel__readiness_submit(struct cel__loop *loop, struct cel__op *op,
                          cel__readiness_arm *arm);

/*
 * The descriptor is ready for `events` (of poll(2) and epoll(7)): run what
 * waits for it.
 */
void cel__readiness_event(struct cel__loop *loop, struct cel__fd *entry,
                          uint32_t events);

/* What the operations of `entry` wait for, as events of poll(2), 0 where none
   does; not those that the kernel has a request for. */
uint32_t cel__readiness_interest(const struct cel__fd *entry);

/* End the operations of `entry` with `result`; not those that the kernel has a
   request for. */
void cel__readiness_end(struct cel__loop *loop, struct cel__fd *entry,
                        int64_t result);

#endif
