/* SPDX-License-Identifier: MIT */
/*
 * Two clocks: CLOCK_MONOTONIC (about 22 ns a reading) for deadlines, and the
 * processor's own counter (about 10 ns) for "has it been long?".
 *
 * Threads: any.
 */
#ifndef CEL_CLOCK_H
#define CEL_CLOCK_H

#include <stdint.h>

#include "celadon/base.h"

cel_time cel__clock_now(void);

/* Ticks of cel__clock_ticks() in `ns` nanoseconds; measured once. */
uint64_t cel__clock_ticks_in(cel_time ns);

/* The processor's counter; on others than x86-64 and aarch64 the clock. */
static inline uint64_t
cel__clock_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;

    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return (uint64_t)cel__clock_now();
#endif
}

#endif
