/* SPDX-License-Identifier: MIT */
/*
 * The loop of one worker: its descriptors and the backend behind them.
 *
 * The backend is chosen once, when the loop opens: the one CELADON_BACKEND
 * names, else the best that works here.
 *
 * Threads: the owner's, save cel__loop_wake().
 */
#ifndef CEL_LOOP_H
#define CEL_LOOP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/fork.h"
#include "celadon/base.h"
#include "io/backend.h"
#include "io/fd.h"

/* Invariant: forks == cel__fork_count(), or the parent's kernel objects have
   not been touched in this process. */
struct cel__loop {
    const struct cel__backend *backend;
    struct cel__fd_table fds;
    size_t narmed;  /* operations ARMED: something that may still happen */
    void *state;    /* the backend's own */
    unsigned forks; /* cel__fork_count() when `state` was made */
    /* Why the backend that was asked for, or a better one than this, is not
       used, for people to read; NULL where there is nothing to say.  Also
       after cel__loop_open() failed. */
    const char *reason;
    /* Called around a wait that may sleep; may be NULL. */
    void (*before_sleep)(struct cel__loop *loop);
    void (*after_sleep)(struct cel__loop *loop);
};

/*
 * `backend` names one (NULL: CELADON_BACKEND, else the best).  Returns 0,
 * -EINVAL (no such backend), -ENOSYS (not on this system), -EMFILE, -ENOMEM.
 */
int cel__loop_open(struct cel__loop *loop, const char *backend);

/* The names of all backends, the best first; NULL: there are fewer. */
const char *cel__loop_backend_name(size_t number);

/* Operations that are still armed end with -ECANCELED. */
void cel__loop_close(struct cel__loop *loop);

/*
 * Start `op`: code, fd, done and what the code reads are set, the rest is
 * zero.  Tries the system call at once where that may succeed.  Returns as
 * cel__backend.submit() does.  A POLL of a descriptor that can't be waited
 * for (a regular file) ends at once: it is always ready.  Operations on files
 * are for backends with `files` only.
 */
int cel__loop_submit(struct cel__loop *loop, struct cel__op *op);

/*
 * Try the system call of `op`, which is IDLE, once, even where nothing says
 * that it may succeed; but not before those that came first.  Returns whether
 * it ended (result is set); else nothing has changed, but for what `moved`
 * tells.
 */
bool cel__loop_try(struct cel__loop *loop, struct cel__op *op);

/* See cel__backend.cancel(); harmless where `op` is IDLE. */
void cel__loop_cancel(struct cel__loop *loop, struct cel__op *op, int result);

/* All that wait for a descriptor, with -ECANCELED. */
void cel__loop_cancel_all(struct cel__loop *loop);

/* See cel__backend.poll(). */
int cel__loop_poll(struct cel__loop *loop, cel_time timeout);

/*
 * `fd`, new from the kernel, is the engine's from now on, until
 * cel__loop_forget(): it is non-blocking, and only closed after
 * cel__loop_forget() in every loop that saw it.  Operations that wait for an
 * earlier descriptor of that number end with -ECANCELED.  Where memory is
 * short it stays unowned, which is only slower.
 */
void cel__loop_own(struct cel__loop *loop, int fd);

/* The same for a connection accepted from `listener`, whose protocol it
   shares: saves asking the kernel. */
void cel__loop_own_accepted(struct cel__loop *loop, int fd, int listener);

/* Whether `fd` is owned. */
bool cel__loop_owns(const struct cel__loop *loop, int fd);

/*
 * `fd` is about to be closed or given away.  Its operations end with
 * `result`; no later event of it reaches the number's next owner.
 */
void cel__loop_forget(struct cel__loop *loop, int fd, int result);

/*
 * From now on somebody else's loop sleeps, not this one, which is new.
 * Returns 0, -ENOSYS (the backend is poll, which has nothing to wait for), or
 * as io_uring_register(2).
 */
int cel__loop_embed(struct cel__loop *loop);

/* What that one waits for: a descriptor that is readable when a poll would
   not sleep; not after a fork, before the next poll. */
int cel__loop_fd(const struct cel__loop *loop);

/* Before that one waits: hand to the kernel what was submitted.  Returns false
   where it does not take it now, and a poll must try again. */
bool cel__loop_hand_over(struct cel__loop *loop);

/* Whether only cel__loop_wake() could end a poll, so that one may as well
   sleep at a futex. */
bool cel__loop_is_idle(const struct cel__loop *loop);

/* Let a poll that sleeps return.  Any thread. */
void cel__loop_wake(struct cel__loop *loop);

int cel__loop_forked(struct cel__loop *loop);

/*
 * In the child of a fork: drop what belongs to the parent and arm again what
 * waits.  Harmless elsewhere; the loop's other functions see to it
 * themselves.  Returns 0 or what the backend fails with.
 */
static inline int
cel__loop_after_fork(struct cel__loop *loop)
{
    return cel__likely(loop->forks == cel__fork_count())
               ? 0
               : cel__loop_forked(loop);
}

/* For backends: take `op`, which is ARMED, out of its queue and end it. */
void cel__loop_finish(struct cel__loop *loop, struct cel__op *op,
                      int64_t result);

#endif
