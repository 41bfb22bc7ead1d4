/* SPDX-License-Identifier: MIT */
/*
 * The system call of an operation, made at once and never blocking.
 *
 * Threads: any; an entry's are its loop's owner.
 */
#ifndef CEL_OP_H
#define CEL_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "io/backend.h"
#include "io/fd.h"

/*
 * Try `op`; `entry` is its descriptor's, or NULL where there is none.
 *
 * Returns true where it ended: result is set.  False: it would block; `moved`
 * tells what a `whole` one has done so far.  Keeps the entry's ready bits.
 */
bool cel__op_try(struct cel__fd *entry, struct cel__op *op);

/* How many bytes of those left `op` is to ask for, were it called now. */
size_t cel__op_portion(const struct cel__fd *entry, const struct cel__op *op);

/*
 * `op`, which asked for `asked` bytes, succeeded with `n`.  Returns whether
 * it ended so, as cel__op_try() does; a `whole` one may have more to do.
 */
bool cel__op_moved(struct cel__fd *entry, struct cel__op *op, size_t asked,
                   ssize_t n);

/*
 * Which of `events` `fd` is ready for now, with failure and hang-up, by
 * poll(2); 0 where none, or a negative errno.
 */
int cel__op_look(int fd, uint32_t events);

/* Whether its flags say that it shall not wait (MSG_DONTWAIT), or it asks for
   what no readiness announces (MSG_OOB, MSG_ERRQUEUE). */
bool cel__op_never_waits(const struct cel__op *op);

/*
 * Have the processor fetch `op` and the frames around it, where its waiter
 * goes on (below) and has its buffer perhaps (above).  `op` may be anything.
 */
static inline void
cel__op_fetch(const struct cel__op *op)
{
    uintptr_t at = (uintptr_t)op;

    cel__fetch_four((const void *)(at - 256));
    cel__fetch_four((const void *)at);
}

/* The first operation of `queue`, or NULL. */
static inline struct cel__op *
cel__op_first(const struct cel__link *queue)
{
    struct cel__link *link = cel__list_first(queue);

    return link == NULL ? NULL : cel__container(link, struct cel__op, link);
}

/* The direction of an operation other than CEL__OP_POLL. */
static inline uint8_t
cel__op_bit(const struct cel__op *op)
{
    const unsigned writes = 1u << CEL__OP_SEND | 1u << CEL__OP_SENDMSG |
                            1u << CEL__OP_WRITE | 1u << CEL__OP_CONNECT;

    return (writes >> op->code & 1) != 0 ? CEL__WRITABLE : CEL__READABLE;
}

#endif
