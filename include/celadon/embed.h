/* SPDX-License-Identifier: MIT */
/*
 * Coroutines inside a loop of somebody else's: of a window system, a game, a
 * server that has one already.
 *
 * That loop waits for one descriptor more, at most until a moment it is told,
 * and then lets the coroutines have a turn:
 *
 *     for (;;) {
 *         cel_time until = cel_embed_deadline();
 *         ... wait until then, for cel_embed_fd() to be readable, and for
 *             whatever else there is ...
 *         ... serve that ...
 *         cel_embed_turn();
 *     }
 *
 * The thread's own stack is a coroutine too, the one that calls these; it may
 * call all else of this library, but what suspends keeps that loop waiting.
 *
 * The backend is epoll or io_uring, as the options or CELADON_BACKEND say;
 * epoll stands in for poll, which has no descriptor to wait for.
 *
 * Threads: each call on the thread that opened it.
 */
#ifndef CELADON_EMBED_H
#define CELADON_EMBED_H

#include "celadon/base.h"
#include "celadon/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Let the calling thread run coroutines, until cel_embed_close(), as within
 * cel_run(); the caller is the first of them.  `options` may be NULL;
 * there is one worker, whatever it says.
 *
 * Does not suspend.  Returns 0, or, with nothing done, -EALREADY (the thread
 * runs coroutines already), -EINVAL (no such backend, unknown options),
 * -ENOSYS (this system does not have that backend, or no epoll), -ENOMEM,
 * -EMFILE, or as epoll_create(2), epoll_ctl(2), eventfd(2), mmap(2) and
 * sigaltstack(2).
 */
CEL_API CEL_NODISCARD int cel_embed_open(const cel_options *options);

/**
 * The descriptor to wait for: readable when coroutines have something to do.
 * It is ours, to be waited for and nothing else.  The child of a fork asks
 * again, after its first turn.
 *
 * Does not suspend.  Returns it, or -EPERM (the thread has not opened this).
 */
CEL_API int cel_embed_fd(void);

/**
 * Until when to wait: a moment of cel_now(), CEL_AT_ONCE where there is
 * something to do already, or CEL_FOREVER.  To be asked before every wait:
 * only then does what other threads send make the descriptor readable.
 *
 * Does not suspend.  Returns CEL_FOREVER where the thread has not opened this.
 */
CEL_API cel_time cel_embed_deadline(void);

/**
 * Look at what has happened, without waiting, and let every coroutine that is
 * ready run once.  One that does not suspend keeps the caller waiting.
 *
 * Suspends the caller in favour of those, and of nothing else.  Returns 0, or
 * -EPERM: the thread has not opened this, or the caller is one of those.
 */
CEL_API int cel_embed_turn(void);

/**
 * End it: coroutines that are still there are cancelled, and this returns when
 * all have ended.  Suspends.  Returns 0, or -EPERM as cel_embed_turn().
 */
CEL_API int cel_embed_close(void);

#ifdef __cplusplus
}
#endif

#endif
