/* SPDX-License-Identifier: MIT */
/*
 * The clock, and how fast the processor's counter ticks.
 *
 * On x86-64 the counter's rate is nowhere to be read reliably, least of all
 * in virtual machines, so it is compared with the clock over 20 us: a reading
 * is good to about 30 ns, hence the rate to 0.3 %.  It is only ever used for
 * "has it been long?".
 *
 * Threads: any.
 *
 * Tests: unit/test_clock.c
 */
#include "base/clock.h"

#include <pthread.h>
#include <time.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static double ticks_per_ns; /* set under `once` */

cel_time
cel__clock_now(void)
{
    struct timespec now;

    /* Cannot fail: the clock exists and the pointer is good. */
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (cel_time)now.tv_sec * CEL_SEC + now.tv_nsec;
}

cel_time
cel_now(void)
{
    return cel__clock_now();
}

cel_time
cel_after(int64_t ns)
{
    cel_time now = cel__clock_now();

    if (ns > 0 && now > CEL_FOREVER - ns) {
        return CEL_FOREVER;
    }
    /* A moment in the past is as good as any other: now > 0, so the sum
       cannot fall below the range. */
    return now + ns;
}

#if defined(__x86_64__)

/* How long the two are compared. */
#define SPAN (20 * CEL_USEC)

static double
compare(void)
{
    cel_time start = cel__clock_now();
    uint64_t first = cel__clock_ticks();
    cel_time now;

    do {
        now = cel__clock_now();
    } while (now - start < SPAN);
    return (double)(cel__clock_ticks() - first) / (double)(now - start);
}

/* Interrupted between the two readings of a pair one would be wrong by
   microseconds, preempted by milliseconds: so the middle one of three. */
static void
measure(void)
{
    double a = compare();
    double b = compare();
    double c = compare();

    if (a > b) {
        double greater = a;
        a = b;
        b = greater;
    }
    ticks_per_ns = c < a ? a : c > b ? b : c;
}

#elif defined(__aarch64__)

static void
measure(void)
{
    uint64_t hz;

    __asm__("mrs %0, cntfrq_el0" : "=r"(hz));
    ticks_per_ns = (double)hz / (double)CEL_SEC;
}

#else

static void
measure(void)
{
    ticks_per_ns = 1;
}

#endif

uint64_t
cel__clock_ticks_in(cel_time ns)
{
    (void)pthread_once(&once, measure);
    double ticks = (double)ns * ticks_per_ns;
    /* The half range is centuries, and surely fits. */
    return ticks < 0x1p63 ? (uint64_t)ticks : UINT64_C(1) << 63;
}
