/* SPDX-License-Identifier: MIT */
/*
 * The contract between the loop and what the operating system offers.
 *
 * The layers above see operations, never events: an operation is submitted
 * and ends exactly once, with the result that its system call would have had.
 * A completion backend (io_uring) hands it to the kernel; a readiness backend
 * (epoll, poll) waits until the descriptor is ready and makes the call then
 * (see readiness.h, which those share).
 *
 * Threads: the loop's owner only, save wake().
 */
#ifndef CEL_BACKEND_H
#define CEL_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/list.h"
#include "celadon/base.h"

struct cel__loop;
struct statx;

/*
 * What an operation does; in comments the fields it reads.
 *
 * Those of sockets never block, nor raise SIGPIPE, whatever mode the
 * descriptor is in.  READ, WRITE and ACCEPT of a descriptor that the engine
 * does not own ask poll(2) first, for that one may be in blocking mode.
 */
enum cel__op_code {
    CEL__OP_POLL,    /* wait until ready: events; result: what is */
    CEL__OP_RECV,    /* recv(2): buf, len, flags */
    CEL__OP_SEND,    /* send(2): data, len, flags */
    CEL__OP_RECVMSG, /* recvmsg(2): msg, flags */
    CEL__OP_SENDMSG, /* sendmsg(2): msg, flags */
    CEL__OP_READ,    /* read(2): buf, len; pipes, terminals, files */
    CEL__OP_WRITE,   /* write(2): data, len */
    CEL__OP_ACCEPT,  /* accept4(2), non-blocking, close-on-exec: addr,
                        addrlen */
    CEL__OP_CONNECT  /* the wait for a connect(2) in progress: nothing;
                        result: 0 or its error */
};

/*
 * Operations on files, which nothing announces, so that only a backend with
 * `files` takes them; in comments the fields they read.  They queue for
 * nothing.  Values go on where those above may end.
 */
enum cel__fileop_code {
    CEL__FILEOP_OPEN = 32, /* openat(2): fd, data (path), flags, len (mode) */
    CEL__FILEOP_CLOSE,     /* close(2) */
    CEL__FILEOP_READ,      /* pread(2), or read(2): buf, len, offset */
    CEL__FILEOP_WRITE,     /* pwrite(2), or write(2): data, len, offset */
    CEL__FILEOP_SYNC,      /* fsync(2); flags not 0: fdatasync(2) */
    CEL__FILEOP_STAT       /* statx(2): fd, data (path), flags, status */
};

/* The offset that stands for where the file itself stands. */
#define CEL__FILEOP_HERE ((int64_t)-1)

/* The most bytes that one call is asked to move (the kernel's MAX_RW_COUNT,
   64 KiB pages). */
#define CEL__FILEOP_MOST ((size_t)0x7fff0000)

/* What a descriptor can be ready for; the values of poll(2). */
#define CEL__READABLE 0x001 /* POLLIN */
#define CEL__URGENT   0x002 /* POLLPRI */
#define CEL__WRITABLE 0x004 /* POLLOUT */
#define CEL__FAILED   0x008 /* POLLERR, reported whether asked for or not */
#define CEL__HUNG_UP  0x010 /* POLLHUP, likewise */

enum cel__op_state {
    CEL__OP_IDLE,     /* not submitted, or done */
    CEL__OP_ARMED,    /* submitted, not yet done */
    CEL__OP_CANCELLED /* cancelled, the backend still holds it */
};

/*
 * One operation, in the memory of whoever waits for it (a coroutine's stack):
 * it stays valid until done() was called.  What no comment gives to the
 * backend is the submitter's; the rest of a zeroed one is in order.
 *
 * Invariants: state == CEL__OP_IDLE <=> link is in no queue; moved <= len;
 * whole and result >= 0 => result == moved; posted => state is not IDLE.
 */
struct cel__op {
    /* In its descriptor's queue (backend). */
    struct cel__link link;
    /* Called when it has ended; must not suspend. */
    void (*done)(struct cel__op *op);
    void *waiter; /* for done() */
    bool urgent;  /* for done(): the waiter goes first */
    /* Count, descriptor, events, or negative errno (backend). */
    int64_t result;
    /* `whole`: bytes so far, also where result is an error (backend). */
    size_t moved;
    uint8_t code;  /* enum cel__op_code, enum cel__fileop_code */
    uint8_t state; /* enum cel__op_state (backend) */
    /* RECV, SEND, READ, WRITE: go on until all of `len` has moved, or the
       stream ends. */
    bool whole;
    /* POLL: a call has been refused with -EAGAIN, so the ready bits that are
       clear can be believed: don't ask poll(2), wait for the next edge. */
    bool tried;
    /* The kernel has the call, and so its buffer (completion backends). */
    bool posted;
    int fd;
    int flags;       /* of the system call */
    uint32_t events; /* CEL__OP_POLL: what is waited for, as poll(2) */
    uint32_t asked;  /* `posted`: for how many bytes (backend) */
    size_t len;
    union {
        void *buf;
        const void *data;
        struct msghdr *msg;
        struct sockaddr *addr;
    };
    union {
        socklen_t *addrlen;
        int64_t offset;       /* CEL__FILEOP_HERE: where the file stands */
        struct statx *status; /* where to put it */
    };
};

/* Whether it is one of enum cel__fileop_code. */
static inline bool
cel__fileop_is(const struct cel__op *op)
{
    return op->code >= CEL__FILEOP_OPEN;
}

/* One backend.  Functions return 0 or a negative errno where not void. */
struct cel__backend {
    const char *name;
    bool files; /* it takes enum cel__fileop_code */

    /* Make loop->state and its kernel objects. */
    int (*open)(struct cel__loop *loop);
    void (*close)(struct cel__loop *loop);

    /*
     * Take `op`.  Never sleeps.  Returns 1 where it ended at once (result is
     * set, done() is not called), 0 where done() will be called from poll()
     * or cancel(), or a negative errno where it was not taken.
     */
    int (*submit)(struct cel__loop *loop, struct cel__op *op);

    /*
     * End `op`, which is ARMED: done() is called exactly once, from here or
     * from a later poll(), with `result` or, where that came first, with what
     * the system call returned.
     */
    void (*cancel)(struct cel__loop *loop, struct cel__op *op, int64_t result);

    /*
     * Sleep for at most `timeout` nanoseconds (0: not at all, CEL_FOREVER: no
     * limit) until something happens, then end what can end.  Calls
     * before_sleep() and after_sleep() around a wait whose timeout is not 0.
     * Returns 0, -EINTR (a signal), or what the backend fails with.
     */
    int (*poll)(struct cel__loop *loop, cel_time timeout);

    /*
     * `fd` is about to be closed or given away: end its operations with
     * `result` (or with what the system call returned, where that came
     * first), and let the kernel forget it, before this returns.  From
     * another thread than the owner's, which must be kept away meanwhile,
     * either may come about only when the owner next polls.
     */
    void (*forget)(struct cel__loop *loop, int fd, int result);

    /* Let a sleeping poll() return.  Any thread. */
    void (*wake)(struct cel__loop *loop);

    /* In the child of a fork: drop the parent's kernel objects without
       touching what they share with it, make new ones, arm again. */
    int (*after_fork)(struct cel__loop *loop);
};

extern const struct cel__backend cel__uring_backend;
extern const struct cel__backend cel__epoll_backend;
extern const struct cel__backend cel__poll_backend;

#endif
