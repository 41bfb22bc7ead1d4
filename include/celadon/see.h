/* SPDX-License-Identifier: MIT */
/*
 * Seeing inside a running program: what each coroutine does or waits for.
 *
 * Nothing here happens by itself: without a call, and without CELADON_DUMP or
 * CELADON_LOG in the environment, no handler is installed and nothing is
 * printed.  With either of them set to 1 a coroutine whose stack overflows is
 * named on standard error before SIGSEGV ends the process.
 *
 * Threads: any.
 */
#ifndef CELADON_SEE_H
#define CELADON_SEE_H

#include "celadon/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Flag of cel_dump(): no backtraces, a line a coroutine. */
#define CEL_DUMP_BRIEF 1u

/**
 * Print every coroutine of the process to the descriptor `fd`: number, name,
 * what it waits for and since when, deadline, stack, backtrace; and after
 * them who waits for each other in a circle.  For people; it may change.
 *
 * In a backtrace module and offset are those of the call, as addr2line(1)
 * wants them; functions that are not exported have a name as long as their
 * module's file is there and was not stripped.
 *
 * The coroutines of the calling thread are printed before this returns; each
 * other thread prints its own when its loop next looks for messages, which
 * one that computes does not, and leaves out what is still to be printed from
 * a call before.  `fd` is duplicated for them.
 *
 * Does not suspend; blocks the thread as writing to `fd` does.  Returns 0,
 * -EINVAL (unknown flags), -EMFILE, or as write(2).
 */
CEL_API int cel_dump(int fd, unsigned flags);

/**
 * From now on let the signal `signo` print what cel_dump() does to standard
 * error; where it interrupts a coroutine that runs, that one's backtrace
 * comes first.  System calls that it interrupts go on, but for the polls.
 *
 * CELADON_DUMP=1 in the environment does it for SIGQUIT, unless the program
 * has a handler of its own, when a thread first runs coroutines.
 *
 * Does not suspend.  Returns 0, or as sigaction(2), among them -EINVAL (no
 * such signal).
 */
CEL_API int cel_dump_on_signal(int signo);

/**
 * Start a thread that tells, by the log or else to standard error, when a
 * thread's coroutines are held up: one of them has run for `limit_ns`
 * nanoseconds and more without a switch and without a look at the backend.
 * It names the coroutine and the function that it is in, and says so once each
 * time, and not more often than once a second.
 *
 * The thread that is held up is asked by SIGURG: so calls that signals
 * interrupt, as nanosleep(2), may end early.  A deadlock at what threads share
 * is not noticed any more, for a thread more might end it.  A child of fork(2)
 * that runs coroutines has one of its own.
 *
 * CELADON_WATCHDOG=100ms (or 2s) in the environment does it when a thread
 * first runs coroutines.
 *
 * Does not suspend.  Returns 0 (where it runs already it has a new limit),
 * -EINVAL (less than a millisecond), -EAGAIN (no more threads), or as
 * sigaction(2).
 */
CEL_API int cel_watchdog_start(int64_t limit_ns);

/** End the watchdog.  Harmless where there is none.  Does not suspend, and
 *  waits a tenth of a second at most. */
CEL_API void cel_watchdog_stop(void);

/** What has happened in a thread's run; see cel_stats_get(). */
typedef struct cel_stats {
    size_t size;       /**< of this structure, for growth */
    uint64_t alive;    /**< coroutines there are, the first one among them */
    uint64_t ready;    /**< of them, and callbacks: in the run queue */
    uint64_t started;  /**< coroutines made so far */
    uint64_t switches; /**< from one coroutine to another */
    uint64_t parks;    /**< waits that suspended, or looked for events */
    uint64_t wakes;    /**< coroutines that were made ready */
    uint64_t turns;    /**< looks at the backend */
    uint64_t armed;    /**< operations that wait there now */
    uint64_t timers;   /**< deadlines that are set now */
    uint64_t fired;    /**< deadlines that passed */
} cel_stats;

/**
 * Fill `stats`, whose `size` is set, with the calling thread's counters.
 * Does not suspend.  Returns 0, -EINVAL (a size that is no structure's) or
 * -EPERM (not in a coroutine); on error nothing is changed.
 */
CEL_API int cel_stats_get(cel_stats *stats);

/**
 * Let `sink` have each line, without its newline, that the library has to say
 * to nobody's call: a deadlock and who waits for whom in it, stacks without
 * guards.  It may be called on any thread and on any stack, and must neither
 * suspend nor keep the text.  NULL: such lines are dropped, as they are from
 * the beginning; but with CELADON_LOG=1 in the environment they go to
 * standard error.
 *
 * Does not suspend.
 */
CEL_API void cel_log_to(void (*sink)(const char *line));

#ifdef __cplusplus
}
#endif

#endif
