/* SPDX-License-Identifier: MIT */
/*
 * The state of the io_uring backend, and its operations as requests.
 *
 * Threads: the loop's owner, unless said otherwise.
 */
#ifndef CEL_URING_H
#define CEL_URING_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/backend.h"
#include "io/epoll.h"
#include "io/fd.h"
#include "io/uring_abi.h"
#include "io/uring_ring.h"

/* user_data of the request that watches the epoll; any other is nobody's or
   the address of an operation. */
#define CEL__URING_WATCH 1

/*
 * Invariants: nposted counts the operations that are posted; those in `files`
 * are ARMED and posted, those in `held` CANCELLED and posted.
 */
struct cel__uring {
    struct cel__epoll epoll; /* first: see epoll.h */
    struct cel__uring_ring ring;
    pthread_t owner; /* whose ring it is */
    size_t nposted;
    bool watching;          /* the request that watches the epoll is there */
    bool busy;              /* the last poll ended several operations */
    bool requests;          /* calls of sockets are requests from now on */
    bool embedded;          /* see cel__loop_embed() */
    bool sweep;             /* see cel__uring_sweep() */
    struct cel__link files; /* operations on files, which queue for nothing */
    unsigned load;          /* events a turn, on average, times 16 */
    unsigned threshold;     /* from which on `requests` is set */
    int retiring;           /* the descriptor to go on with; -1: none */
    struct cel__link held;  /* cancelled, and not back from the kernel yet */
};

/* Whether the kernel can make the call of `op` itself: on owned sockets. */
bool cel__uring_op_fits(const struct cel__fd *entry, const struct cel__op *op);

/* Write the request for `op`; `entry` may be NULL for one on a file. */
void cel__uring_op_put(const struct cel__fd *entry, struct cel__op *op,
                       struct io_uring_sqe *sqe);

/*
 * The request of `op` has ended as `cqe` says.  `entry` is NULL where its
 * descriptor was forgotten meanwhile.  Returns whether `op` has ended: result
 * is set; else it has more to do, or result is -EAGAIN or -EINTR.
 */
bool cel__uring_op_ended(struct cel__fd *entry, struct cel__op *op,
                         const struct io_uring_cqe *cqe);

/* See cel__loop_embed() and cel__loop_hand_over(). */
int cel__uring_embed(struct cel__loop *loop);
bool cel__uring_hand_over(struct cel__loop *loop);

/*
 * End `op`, which is posted and in no queue, with `result` or what came first:
 * now, or when it is back from the kernel.  From another thread than the
 * owner's, which must be kept away, the owner must then be woken.
 */
void cel__uring_cancel(struct cel__loop *loop, struct cel__op *op,
                       int64_t result);

/* An operation that was cancelled is back with `res`: end it. */
void cel__uring_cancel_ended(struct cel__loop *loop, struct cel__op *op,
                             int32_t res);

/* Tell the kernel (again) to cancel all that is held, and to let go of files
   that another thread has forgotten. */
void cel__uring_sweep(struct cel__loop *loop);

/* Ask for `op`, which waits on, to be taken back, if it is posted; it comes
   back as -ECANCELED, or ends first.  Returns whether it was asked. */
bool cel__uring_retire(struct cel__uring *state, const struct cel__op *op);

/* As nothing has happened yet. */
void cel__uring_load_init(struct cel__uring *state);

/* A turn has brought `nevents`: decide how calls are made from now on. */
void cel__uring_load_note(struct cel__uring *state, unsigned nevents);

/* `retiring` is not -1: have some requests taken back. */
void cel__uring_load_retire(struct cel__loop *loop);

#endif
