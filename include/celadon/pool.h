/* SPDX-License-Identifier: MIT */
/*
 * Calls that block, made on threads.
 *
 * Some calls can't be made to wait for readiness: a library's, a file
 * system's, a long computation.  They are handed to a pool of threads that
 * the whole process shares, in the order they came, while the coroutine is
 * suspended and the others run.
 *
 * Threads are started when there is work for them, at most ten or as many as
 * CELADON_POOL_THREADS says, and end after ten idle seconds.  They take no
 * signals, and do not keep the process from exiting.  In the child of a fork
 * the pool is empty: calls that were on their way end with -ECANCELED there.
 *
 * Threads: in a coroutine, but for cel_pool_set_threads().
 */
#ifndef CELADON_POOL_H
#define CELADON_POOL_H

#include "celadon/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Call `fn(arg)` on a thread of the pool and wait for it; what it returns is
 * left in `*result` (result may be NULL).  `fn` runs outside any coroutine:
 * no call of this library that needs one may be made in it.
 *
 * A call that has begun can't be taken back, so there are two ways to wait:
 *
 * `release` NULL: once `fn` has begun the caller waits for its end, whatever
 * the deadline; before that the deadline and cancelling take it out of the
 * queue uncalled.  `arg` may lie on the caller's stack.
 *
 * `release` given: the caller leaves at once at `deadline` or when cancelled,
 * and `arg` is not its own any more: `fn`, if it has begun, runs to its end,
 * and then, or where it never begins, `release(arg)` is called, on any
 * thread.  In all other cases it is not called and `arg` stays the caller's.
 *
 * Suspends.  Returns 0: `fn` has returned; -ETIMEDOUT or -ECANCELED: it was
 * not called, or, with `release`, its end was not waited for; or, with
 * nothing done, -ENOMEM, -EAGAIN (no thread could be started) or -EPERM (not
 * in a coroutine).
 *
 * In the child of a fork a call that was on its way ends with -ECANCELED.
 * Nobody knows how far `fn` came, so `release` is not called there.
 */
CEL_API CEL_NODISCARD int cel_offload(int *result, int (*fn)(void *arg),
                                      void *arg, void (*release)(void *arg),
                                      cel_time deadline);

/**
 * Let the pool have up to `nthreads` threads, at least 1 and at most 1024.
 * Threads above the new bound end when they have finished what they do.
 * Does not suspend.  Any thread.
 */
CEL_API void cel_pool_set_threads(unsigned nthreads);

#ifdef __cplusplus
}
#endif

#endif
