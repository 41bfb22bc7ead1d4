/* SPDX-License-Identifier: MIT */
/*
 * The context switch itself, one file an architecture.
 *
 * Saved: the callee-saved registers of the C calling convention, nothing
 * else.  Floating point control words are not: an embedder whose coroutines
 * change them saves them around its own calls (Python does).
 *
 * Both entry points leave the same frame, so what one suspended the other may
 * resume.  They differ in how they end: cel__switch() jumps, which is best
 * where one call site serves many coroutines (2.9-4.8 ns against 23 with ret
 * at a thousand, loops-and-io_uring 4); cel__switch_ret() returns, which
 * keeps the return predictor in step where both sides switch from the same
 * depth, as two Python greenlets do (25.8 ns against 38.6,
 * greenlet-and-cpython 3.2).
 */
#ifndef CEL_SWITCH_H
#define CEL_SWITCH_H

/*
 * Save the current context's stack pointer in `*from` and continue the one
 * that `to` was saved for.  Returns when somebody continues this one.
 */
void cel__switch(void **from, void *to);
void cel__switch_ret(void **from, void *to);

/*
 * Lay out a first frame below `top` (16-aligned) so that switching to the
 * returned stack pointer calls entry(arg) there.  `entry` must not return.
 * A debugger's backtrace ends there.
 */
void *cel__switch_prepare(void *top, void (*entry)(void *), void *arg);

#endif
