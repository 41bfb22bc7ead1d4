/* SPDX-License-Identifier: MIT */
/*
 * What backends share that only learn when a descriptor is ready: the queues
 * of operations, and running them when an event has come.
 *
 * Threads: the loop's owner.
 */
#ifndef CEL_READINESS_H
#define CEL_READINESS_H

#include <stdbool.h>
#include <stdint.h>

#include "io/backend.h"
#include "io/fd.h"
#include "io/loop.h"

/* Which of its entry's queues `op` waits in. */
int cel__readiness_queue(const struct cel__op *op);

/*
 * First half of submit(): try `op` where that may succeed, else queue it.
 *
 * Returns 1 where it ended, 0 where it is queued, as the last of its queue,
 * and the caller must arm its entry, left in `*out`; or a negative errno.
 */
int cel__readiness_submit(struct cel__loop *loop, struct cel__op *op,
                          struct cel__fd **out);

/*
 * Second half where arming failed with `err`: take `op` out of its queue
 * again.  Returns what submit() is to return: 1 (result is set) where the
 * kernel says that the descriptor can't be waited for (-EPERM), for then it
 * is always ready; else `err`.
 */
int cel__readiness_refused(struct cel__fd *entry, struct cel__op *op, int err);

/*
 * The descriptor is ready for `events` (of poll(2) and epoll(7)): run what
 * waits for it.
 */
void cel__readiness_event(struct cel__loop *loop, struct cel__fd *entry,
                          uint32_t events);

/* What the operations of `entry` wait for, as events of poll(2); not those
   that the kernel has a request for. */
uint32_t cel__readiness_interest(const struct cel__fd *entry);

/* Whether anybody waits for readiness of the descriptor, be it only for its
   failure. */
static inline bool
cel__readiness_wanted(const struct cel__fd *entry)
{
    return cel__readiness_interest(entry) != 0;
}

/* End the operations of `entry` with `result`; not those that the kernel has a
   request for. */
void cel__readiness_end(struct cel__loop *loop, struct cel__fd *entry,
                        int64_t result);

#endif
