/* SPDX-License-Identifier: MIT */
/*
 * One operation as a request of io_uring, and what its completion makes of it.
 *
 * Threads: the loop's owner.
 */
#ifndef CEL_URING_OP_H
#define CEL_URING_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "io/backend.h"
#include "io/fd.h"
#include "io/uring_abi.h"

/* Whether the kernel can make the call of `op` itself: on owned sockets. */
bool cel__uring_op_fits(const struct cel__fd *entry, const struct cel__op *op);

/* Fill in, but for user_data, the request for `op`; `entry` may be NULL for
   one on a file. */
void cel__uring_op_put(const struct cel__fd *entry, struct cel__op *op,
                       struct cel__uring_sqe *sqe);

/*
 * The request of `op` has ended as `cqe` says.  `entry` is NULL where its
 * descriptor was forgotten meanwhile.  Returns whether `op` has ended: result
 * is set; else it has more to do, or result is -EAGAIN or -EINTR.
 */
bool cel__uring_op_ended(struct cel__fd *entry, struct cel__op *op,
                         const struct cel__uring_cqe *cqe);

#endif
