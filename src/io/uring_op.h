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
bool cel__uring_op_is_call(const struct cel__fd *entry,
                           const struct cel__op *op);

/* Whether the kernel can tell by a request when `op` may succeed. */
bool cel__uring_op_is_question(const struct cel__fd *entry,
                               const struct cel__op *op);

/* Fill in a request to tell once when `fd` is ready for one of `events`. */
void cel__uring_op_poll(struct cel__uring_sqe *sqe, int fd, uint32_t events);

/* Fill in the request for `op`: its call (`is_call`), or the question whether
   that may succeed.  Sets op->posted; user_data is the caller's. */
void cel__uring_op_post(const struct cel__fd *entry, struct cel__op *op,
                        bool is_call, struct cel__uring_sqe *sqe);

/* The same for an operation on a file. */
void cel__uring_op_post_file(struct cel__op *op, struct cel__uring_sqe *sqe);

/*
 * The request of `op` has ended as `cqe` says.  `entry` is NULL where its
 * descriptor was forgotten meanwhile.  Returns whether `op` has ended: result
 * is set; else it is to be posted again, as a question where result is
 * -EAGAIN.
 */
bool cel__uring_op_ended(struct cel__fd *entry, struct cel__op *op,
                         const struct cel__uring_cqe *cqe);

#endif
