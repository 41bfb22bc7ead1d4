/* SPDX-License-Identifier: MIT */
/*
 * Seeing inside a running program: what each coroutine does or waits for.
 *
 * Nothing here happens by itself: without a call, and without CELADON_DUMP or
 * CELADON_LOG in the environment, no handler is installed and nothing is
 * printed.
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
 * wants them; functions that are not exported have no name (link a program
 * with -rdynamic).
 *
 * The coroutines of the calling thread are printed before this returns; each
 * other thread prints its own when its loop next looks for messages, which
 * one that computes does not, and leaves out what is still to be printed from
 * a call before.  `fd` is duplicated for them.
 *
 * Does not suspend; blocks the thread as writing to `fd` does.  Returns 0,
 * -EINVAL (unknown flags), -EMFILE, or what writing failed with.
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
 * Does not suspend.  Returns 0 or what sigaction(2) fails with: -EINVAL (no
 * such signal).
 */
CEL_API int cel_dump_on_signal(int signo);

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
