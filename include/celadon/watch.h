/* SPDX-License-Identifier: MIT */
/*
 * Watchers: functions that are called when something happens, for programs
 * that are written so, as for libev and its like.
 *
 * A watcher is made stopped, for a descriptor, a moment, a signal or the
 * thread's own rhythm; once started it calls its function each time that comes
 * about, until it is stopped.
 *
 * Where: in one coroutine a thread, which is there as long as a watcher is
 * active.  So a function may suspend like any other code; the functions of
 * this thread's other watchers wait until it has returned, and the rest of
 * the program does not.  What takes long belongs in a coroutine of its own,
 * see cel_go().  They are called in the order in which things happened; what
 * happens again to one watcher before its function was called counts once.
 *
 * A function may start, stop and close any watcher, its own too.  Once
 * cel_watch_stop() or cel_watch_close() has returned the function is not
 * called any more; a call of it that is suspended goes on.
 *
 * When the run ends every watcher is stopped; it is to be closed before.
 *
 * Threads: a watcher is used on the thread that made it.
 */
#ifndef CELADON_WATCH_H
#define CELADON_WATCH_H

#include <stdint.h>

#include "celadon/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A watcher. */
typedef struct cel_watch cel_watch;

/**
 * What a watcher calls.  `what` is, of a descriptor, what it is ready for, as
 * cel_wait_fd() has it, or a negative errno, and then the watcher has stopped
 * (-ECANCELED: cel_close() closed it; -EBADF: it is not open; -ENOMEM); of a
 * timer, and of the rhythm, 0; of a signal its number, or likewise a negative
 * errno.  May suspend.
 */
typedef void cel_watch_fn(cel_watch *watch, int what, void *arg);

/**
 * Make a watcher that calls `fn(watch, what, arg)` as long as the descriptor
 * `fd` is ready for one of `events`: CEL_READABLE, CEL_URGENT, CEL_WRITABLE.
 * Who does not read what there is, is called again.  `fd` stays the caller's;
 * stop the watcher before closing it.
 *
 * Does not suspend.  Returns 0, and the watcher in `*out`, for
 * cel_watch_close(); or -EPERM (the thread runs no coroutines), -ENOMEM.
 */
CEL_API CEL_NODISCARD int cel_watch_fd(cel_watch **out, int fd, int events,
                                       cel_watch_fn *fn, void *arg);

/**
 * Make a watcher that calls `fn(watch, 0, arg)` `after` nanoseconds after its
 * start, and then, where `every` is not 0, every `every` nanoseconds, counted
 * from there: calls that come late do not delay those that follow, and those
 * that were missed are not made up for.  Where `every` is 0 it stops before
 * the call.
 *
 * Does not suspend.  Returns as cel_watch_fd(); -EINVAL where either is
 * negative.
 */
CEL_API CEL_NODISCARD int cel_watch_timer(cel_watch **out, int64_t after,
                                          int64_t every, cel_watch_fn *fn,
                                          void *arg);

/**
 * Make a watcher that calls `fn(watch, signal, arg)` when `signal` has come;
 * it has no other effect between start and stop, see signals.h.
 *
 * Does not suspend.  Returns as cel_watch_fd().
 */
CEL_API CEL_NODISCARD int cel_watch_signal(cel_watch **out, int signal,
                                           cel_watch_fn *fn, void *arg);

/**
 * Make a watcher that calls `fn(watch, 0, arg)` whenever this thread has
 * nothing left to run, and, as long as that stays so, again and again: it does
 * not sleep, but looks for what has come and calls once more.  For work that
 * is done when there is no other, a bit at a time.
 *
 * Does not suspend.  Returns as cel_watch_fd().
 */
CEL_API CEL_NODISCARD int cel_watch_idle(cel_watch **out, cel_watch_fn *fn,
                                         void *arg);

/**
 * Make a watcher that calls `fn(watch, 0, arg)` before this thread sleeps:
 * when nothing is left to run, none is idle, and it is about to wait.  What
 * has become ready meanwhile runs first, and then it is called again.
 *
 * Within a loop of somebody else's (see embed.h) that is where
 * cel_embed_deadline() is asked.
 *
 * Does not suspend.  Returns as cel_watch_fd().
 */
CEL_API CEL_NODISCARD int cel_watch_prepare(cel_watch **out, cel_watch_fn *fn,
                                            void *arg);

/**
 * Make a watcher that calls `fn(watch, 0, arg)` when this thread has slept,
 * before the functions of watchers for what has come meanwhile.
 *
 * Does not suspend.  Returns as cel_watch_fd().
 */
CEL_API CEL_NODISCARD int cel_watch_check(cel_watch **out, cel_watch_fn *fn,
                                          void *arg);

/**
 * Start `watch`; one that is active stays as it is, with its times.
 *
 * Does not suspend.  Returns 0, or, and then it is stopped, -ENOMEM, or as
 * epoll_ctl(2), among them -EBADF; of a signal as cel_signals_open() too.
 */
CEL_API CEL_NODISCARD int cel_watch_start(cel_watch *watch);

/** Stop `watch`: its function is not called any more.  Does not suspend. */
CEL_API void cel_watch_stop(cel_watch *watch);

/** Whether `watch` was started and neither stopped nor is over.  Does not
    suspend. */
CEL_API int cel_watch_active(const cel_watch *watch);

/** Stop `watch` and release it.  Does not suspend.  NULL is allowed. */
CEL_API void cel_watch_close(cel_watch *watch);

/**
 * Wait until no watcher of this thread is active and all calls are over: the
 * loop of a program that has nothing but watchers.
 *
 * Suspends until then or `deadline`.  Returns 0, -EPERM (the thread runs no
 * coroutines), -ETIMEDOUT, -ECANCELED, -ENOMEM (no room for the deadline), or
 * -EDEADLK (called by a watcher, or nothing can come any more: none is active
 * but those of sleeps, or one of the calls waits for what can't come).
 */
CEL_API CEL_NODISCARD int cel_watch_run(cel_time deadline);

#ifdef __cplusplus
}
#endif

#endif
