/* SPDX-License-Identifier: MIT */
/*
 * The context switch itself, one file an architecture.
 *
 * Saved: the callee-saved registers of the C calling convention, nothing
 * else.  Floating point control words are not: an embedder whose coroutines
 * change them saves them around its own calls (Python does).
 *
 * A switch ends in a return, a new context is begun by a call of its own and
 * ends by a return: so all calls are answered, and the processor foresees each
 * return (a yield among 1000 coroutines: 8 ns, and 43 with a jump).
 *
 * Threads: any; both contexts on the calling one.
 *
 * Tests: unit/test_switch.c, unit/test_backtrace.c
 */
#ifndef CEL_SWITCH_H
#define CEL_SWITCH_H

/*
 * Save the current context's stack pointer in `*from` and continue the one
 * that `to` was saved for.  Returns when somebody continues this one.
 */
void cel__switch(void **from, void *to);

/*
 * Save the current context likewise and call entry(arg) on the stack that ends
 * at `top` (16-aligned).  `entry` returns the saved stack pointer of the
 * context that goes on when this one ends.  A debugger's backtrace ends there.
 */
void cel__switch_start(void **from, void *top, void *(*entry)(void *),
                       void *arg);

/*
 * Lay out a first frame below `top` so that switching to the returned stack
 * pointer does the same.  The return into it is not foreseen: for contexts
 * that begin where another one ends, which looks for it.
 */
void *cel__switch_prepare(void *top, void *(*entry)(void *), void *arg);

/*
 * Call fn(arg) on the current stack, so that an unwinder in it goes on from
 * this call into the context that was suspended with the stack pointer `sp`,
 * whose stack is not touched.  Returns 1; or 0, and `fn` was not called, where
 * there is no way to.
 */
int cel__switch_visit(void *sp, void (*fn)(void *), void *arg);

#endif
