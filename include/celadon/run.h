/* SPDX-License-Identifier: MIT */
/*
 * Coroutines: starting, joining, cancelling, sleeping.
 *
 * A coroutine runs until it calls something that suspends; then others run.
 * Nothing else interrupts it.  Every call of this library says in its
 * contract whether it suspends.
 *
 * C++: an exception is caught in the coroutine that throws it, and does not
 * leave cel_run().  Nothing suspends in a catch block, nor in a destructor
 * that an exception calls: what is being handled is known by thread.
 *
 * Threads: cel_run() in any thread; the rest in a coroutine of that run.  A
 * run may have several threads, see celadon/workers.h; where a call is for one
 * of them only, it says so.
 */
#ifndef CELADON_RUN_H
#define CELADON_RUN_H

#include "celadon/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A coroutine. */
typedef struct cel_coro cel_coro;

/** What cel_run() may be told; see cel_options_init(). */
typedef struct cel_options {
    size_t size;         /**< of this structure, for growth */
    size_t stack_size;   /**< bytes of stack a coroutine, 256 KiB by default;
                              address space, memory only as it is touched */
    const char *backend; /**< "uring", "epoll", "poll"; NULL: CELADON_BACKEND
                              of the environment, else the best for most */
    int workers;         /**< threads that run coroutines, 1 by default; at
                              most CEL_WORKERS_MAX, or CEL_WORKERS_ALL */
} cel_options;

/** As many workers as this process may use processors. */
#define CEL_WORKERS_ALL (-1)

/** The most workers a run can have. */
#define CEL_WORKERS_MAX 1024

/** Fill `options` with the defaults.  Any thread.  Does not suspend. */
CEL_API void cel_options_init(cel_options *options);

/**
 * Run `fn(arg)` as the first coroutine of this thread, on the thread's own
 * stack.  When it returns, coroutines that are still there, at whatever
 * worker, are cancelled, and this returns when all have ended.  It keeps its
 * thread meanwhile: it is not for coroutines, and does not suspend.  The other
 * workers' threads block all signals but those that are for who caused them.
 *
 * `options` may be NULL.  Returns what `fn` returned, or, without having
 * called it, -EALREADY (the thread runs coroutines already), -EINVAL (no such
 * backend, unknown options, no such number of workers), -ENOSYS (this system
 * does not have that backend; cel_info_refusal() tells why), -EAGAIN (it gives
 * no thread to a worker), -ENOMEM, -EMFILE, or as epoll_create(2),
 * epoll_ctl(2), eventfd(2), mmap(2) and sigaltstack(2); no thread is left
 * then.
 */
CEL_API CEL_NODISCARD int cel_run(int (*fn)(void *arg), void *arg,
                                  const cel_options *options);

/**
 * Start a coroutine that calls `fn(arg)`; it runs when the caller next
 * suspends, after those that are ready already.
 *
 * Where `out` is not NULL the coroutine stays in `*out` until cel_join();
 * else it is gone when it ends.  `arg` must stay valid as long as `fn` uses
 * it.  Does not suspend.  Returns 0, -ENOMEM or -EPERM (not in a coroutine);
 * on error nothing was started.
 */
CEL_API CEL_NODISCARD int cel_go(cel_coro **out, void (*fn)(void *arg),
                                 void *arg);

/**
 * Wait until `coro` has ended, and release it.  At any worker of the run;
 * several may wait at one time, as long as all have begun to before it ends.
 *
 * Suspends until then or `deadline`.  Returns 0: `coro` is released; or, and
 * then it still stands, -ETIMEDOUT, -ECANCELED (the caller was cancelled),
 * -EDEADLK (it is the caller, or nothing could ever end it), -ENOMEM (no room
 * for the deadline, or to ask another worker) or -EPERM (not in a coroutine).
 */
CEL_API CEL_NODISCARD int cel_join(cel_coro *coro, cel_time deadline);

/**
 * Cancel `coro`: the call in which it is suspended, and every later one that
 * would suspend, returns -ECANCELED, so that it can clean up and end; where
 * that has to wait, see cel_scope_shield().  Does not suspend and does not
 * wait for the end: see cel_join().  From any thread, as long as nobody has
 * joined it; from another than its run's it is cancelled soon.
 */
CEL_API void cel_cancel(cel_coro *coro);

/** Whether the calling coroutine was cancelled; not within a shield, see
 * cel_scope_shield().  Does not suspend. */
CEL_API int cel_cancelled(void);

/**
 * Let every coroutine that is ready run before this one goes on.  Suspends.
 * Returns 0, or -ECANCELED where this one was cancelled (it yields even so).
 */
CEL_API int cel_yield(void);

/**
 * Suspend until `deadline`.  Returns 0, or, before that, -ECANCELED or
 * -ETIMEDOUT (a scope's deadline passed, see cel_scope_enter()); with
 * CEL_FOREVER also -EDEADLK, with any other -ENOMEM (no room for it).
 */
CEL_API int cel_sleep(cel_time deadline);

/** The calling coroutine, or NULL.  Does not suspend. */
CEL_API cel_coro *cel_self(void);

/**
 * Name the calling coroutine for those who look from outside.  `name` must
 * outlive it; a literal, usually.  Does not suspend.
 */
CEL_API void cel_set_name(const char *name);

/** The name of `coro`, one of the caller's worker, or NULL.  Does not
 * suspend. */
CEL_API const char *cel_name(const cel_coro *coro);

/** The number of `coro`, unique in the process.  Does not suspend. */
CEL_API uint64_t cel_id(const cel_coro *coro);

#ifdef __cplusplus
}
#endif

#endif
