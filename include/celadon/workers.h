/* SPDX-License-Identifier: MIT */
/*
 * Many cores: a run of several workers, each a thread with a loop of its own.
 *
 *     cel_options options;
 *
 *     cel_options_init(&options);
 *     options.workers = CEL_WORKERS_ALL;
 *     cel_run(serve, NULL, &options);
 *
 * A coroutine begins at one worker and stays there; coroutines of different
 * workers run at the same time, so what they share is guarded by channels and
 * locks, or is atomic.  cel_go() starts at the caller's worker; the calls here
 * start elsewhere.
 *
 * What may be used at all workers of a run: channels, select, locks, events,
 * semaphores, wait groups, groups; and of a coroutine cel_join(),
 * cel_cancel() and cel_id().  What is one worker's: generators, descriptors
 * (see celadon/net.h: a descriptor goes from one to another by cel_disown()
 * here and cel_own() there), and scopes, which are a coroutine's own.
 *
 * Where there are several workers, the calls that tell of a wait that could
 * never end (-EDEADLK) tell only of those that wait for themselves: what one
 * worker waits for, another may do.
 *
 * A child after fork(2) has only the worker that called it.  It can start
 * nothing elsewhere, and what coroutines of other workers held is held for
 * ever.  cel_run() returns there where worker 0 called; any other's thread
 * ends with its coroutines.  Most children call exec(3) or _exit(2).
 *
 * Threads: in a coroutine of a cel_run().
 */
#ifndef CELADON_WORKERS_H
#define CELADON_WORKERS_H

#include "celadon/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How many workers the calling run has, or -EPERM (not in a coroutine).
 * Does not suspend. */
CEL_API int cel_workers(void);

/** Which of them this is, from 0, the one that called cel_run(); or -EPERM
 * (not in a coroutine).  Does not suspend. */
CEL_API int cel_worker_index(void);

/**
 * As cel_go(), at the worker of the number `worker`: it begins when that one
 * next looks at its messages, or once it has memory for it.  Whatever the
 * caller has written before, `fn` sees.
 *
 * Does not suspend.  Returns 0, -EINVAL (there is no such worker), -ENOMEM,
 * -ESRCH (in a child after fork, that worker is not there) or -EPERM (not in a
 * coroutine); on error nothing was started.
 */
CEL_API CEL_NODISCARD int cel_go_on(cel_coro **out, int worker,
                                    void (*fn)(void *arg), void *arg);

/**
 * As cel_go(), at whichever worker has time first.  The coroutine lies at the
 * caller's, which lets it begin when none of its own is ready, and of those
 * that lie there half each millisecond in any case; until then a worker that
 * has nothing to do may take it.  One that sleeps is woken where several lie,
 * and for one alone at most each 25 us; of many at one worker the youngest may
 * begin first.  Where it begins it stays.  With one worker it is cel_go().
 *
 * Memory for its stack is taken where it begins: where there is none, it waits
 * for it.
 *
 * Does not suspend.  Returns 0, -ENOMEM or -EPERM (not in a coroutine); on
 * error nothing was started.
 */
CEL_API CEL_NODISCARD int cel_go_spread(cel_coro **out, void (*fn)(void *arg),
                                        void *arg);

/** What a worker has done and has to do; see cel_worker_stats_get(). */
typedef struct cel_worker_stats {
    uint64_t switches; /**< from one coroutine to another, so far */
    uint64_t arrived;  /**< coroutines that other workers started there */
    uint64_t coros;    /**< coroutines that have not ended, its own included */
    uint64_t ready;    /**< those of them that could run at once */
    uint64_t stolen; /**< spread coroutines that it took from other workers */
} cel_worker_stats;

/**
 * Fill the first `size` bytes of `stats`, sizeof(cel_worker_stats) usually,
 * for the worker of the number `worker`: as of when that one last looked at
 * its messages, some 0.1 ms ago, or when it went to sleep.
 *
 * Does not suspend.  Returns 0, -EINVAL (there is no such worker) or -EPERM
 * (not in a coroutine).
 */
CEL_API int cel_worker_stats_get(int worker, cel_worker_stats *stats,
                                 size_t size);

#ifdef __cplusplus
}
#endif

#endif
