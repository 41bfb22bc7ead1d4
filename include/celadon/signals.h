/* SPDX-License-Identifier: MIT */
/*
 * Signals, received by coroutines.
 *
 * An object receives the signals it was opened for; a coroutine asks it for
 * the next one, with a deadline.  As long as one is open for a signal, that
 * signal has no other effect in this process: what was set for it before (its
 * default, a handler, being ignored) does not happen, and comes back when the
 * last one closes.  Signals that nobody asked for stay as they are: Ctrl-C
 * ends the program until it opens SIGINT.
 *
 * It is no matter which thread the system gives a signal to, whether that one
 * runs coroutines, and which of them wait; a thread that has it blocked is
 * simply not given it.
 *
 * A signal that comes again before it was received counts once, real-time
 * ones too, and in which order several came is not told; none is lost
 * altogether.  Of several objects for one signal each receives it; of several
 * coroutines that wait at one object, one does.
 *
 * In the child of a fork the objects are there as well, with nothing
 * received, and what the child is sent is its own.  A program started by
 * cel_process_spawn(), or by exec, has none of it.
 *
 * Threads: any that runs coroutines.
 */
#ifndef CELADON_SIGNALS_H
#define CELADON_SIGNALS_H

#include <stddef.h>

#include "celadon/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What receives signals. */
typedef struct cel_signals cel_signals;

/**
 * Begin to receive the `count` signals of `signals`: SIGINT, SIGTERM, …
 *
 * Does not suspend.  Returns 0, and what receives them in `*out`, for
 * cel_signals_close(); or a negative errno, and nothing has changed:
 *   -EINVAL      no signal; or one that can't be received: SIGKILL, SIGSTOP,
 *                and those that tell of a fault in the program, SIGSEGV,
 *                SIGBUS, SIGFPE, SIGILL
 *   -EPERM       the thread runs no coroutines
 *   -EMFILE, -ENFILE, -ENOMEM   the system is short of something
 */
CEL_API CEL_NODISCARD int cel_signals_open(cel_signals **out,
                                           const int signals[], size_t count);

/**
 * Wait for the next signal that `signals` receives; one that came before is
 * there at once.
 *
 * Suspends until one comes or `deadline`; may suspend even so.  Returns its
 * number, or a negative errno:
 *   -EPERM       the thread runs no coroutines
 *   -ETIMEDOUT   `deadline` passed first; one that is there is received
 *   -ECANCELED   the coroutine was cancelled, or `signals` was closed
 *   -ENOMEM      no memory to wait with
 *   others       as epoll_ctl(2)
 */
CEL_API CEL_NODISCARD int cel_signals_wait(cel_signals *signals,
                                           cel_time deadline);

/**
 * Receive no more; what the signals did before comes back, unless somebody
 * has set another handler meanwhile.  What came and was not received is lost.
 * Coroutines of this thread that wait return -ECANCELED; those of others must
 * have gone before.  Does not suspend.  NULL is allowed.
 */
CEL_API void cel_signals_close(cel_signals *signals);

#ifdef __cplusplus
}
#endif

#endif
