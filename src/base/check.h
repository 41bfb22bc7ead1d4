/* SPDX-License-Identifier: MIT */
/*
 * Assertions, the last word on broken invariants, hints to the compiler and to
 * the processor.
 *
 * Threads: any.
 */
#ifndef CEL_CHECK_H
#define CEL_CHECK_H

#include <stdint.h>

#define cel__likely(x)   __builtin_expect(!!(x), 1)
#define cel__unlikely(x) __builtin_expect(!!(x), 0)

/* A function for what happens seldom: kept out of the ones that run all the
   time, which would save registers for its sake in every call. */
#define CEL__COLD __attribute__((cold, noinline))

/* A function whose callers can't afford a call: every nanosecond is counted
   (bench/core.c). */
#define CEL__HOT static inline __attribute__((always_inline))

/*
 * Have the processor fetch the cache line at `where`, which may be anywhere,
 * or that and the three that follow.  The asm is for gcc 12, which takes a
 * function that does nothing but fetch for one that does nothing, and leaves
 * out its calls.
 */
CEL__HOT void
cel__fetch(const void *where)
{
    __asm__ volatile("");
    __builtin_prefetch(where);
}

CEL__HOT void
cel__fetch_four(const void *where)
{
    uintptr_t at = (uintptr_t)where;

    cel__fetch((const void *)at);
    cel__fetch((const void *)(at + 64));
    cel__fetch((const void *)(at + 128));
    cel__fetch((const void *)(at + 192));
}

#define CEL__STATIC_ASSERT(expr, text) _Static_assert(expr, text)

/*
 * Write "celadon: " and the formatted text to stderr and abort.  Only for
 * states that this library itself must never reach.
 */
_Noreturn void cel__panic(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Evaluated in hard builds only; the expression has no side effects. */
#if CEL__HARD
#define cel__assert(expr)                                                     \
    (cel__likely(expr) ? (void)0                                              \
                       : cel__panic("%s:%d: %s", __FILE__, __LINE__, #expr))
#else
#define cel__assert(expr) ((void)sizeof(!(expr)))
#endif

#endif
