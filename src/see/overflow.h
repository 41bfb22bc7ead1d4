/* SPDX-License-Identifier: MIT */
/*
 * A last sentence when a coroutine's stack overflows.
 *
 * A fault in a guard kills the process by SIGSEGV, as it must; a handler on
 * an alternate stack first says whose stack it was and what helps.  Every
 * other fault is passed on to whoever handled it before.  Nothing is
 * installed unless asked for.
 *
 * Threads: any.
 */
#ifndef CEL_OVERFLOW_H
#define CEL_OVERFLOW_H

/*
 * Handle SIGSEGV and SIGBUS from now on; harmless where it is done already.
 * Each thread that is to be covered calls cel__overflow_thread() too.
 * Returns 0 or a negative errno, with nothing changed.
 */
int cel__overflow_install(void);

/*
 * Give the calling thread an alternate signal stack, unless it has one; it
 * is freed when the thread ends.
 * Returns 0 or a negative errno.
 */
int cel__overflow_thread(void);

#endif
