/* SPDX-License-Identifier: MIT */
/*
 * The clock, and how fast the processor's counter ticks.
 *
 * On x86-64 the counter's rate is nowhere to be read reliably, least of all
 * in virtual machines, so it is compared with the clock over 50 us: a reading
 * is good to about 30 ns, hence the rate to 0.1 %.  It is only ever used for
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
#define SPAN (50 * CEL_USEC)

/* Ticks between which a reading of the clock counts as undisturbed: 200-500
   ns, above the 20-50 ns it takes, and 1 % of the span that is measured. */
#define UNDISTURBED 1000

/* Both at one moment. */
static void
read_both(cel_time *now, uint64_t *ticks)
{
    uint64_t least = UINT64_MAX;
    int ntries = 0;

    *now = 0;
    *ticks = 0;
    /* Interrupted between the two, the pair would be wrong by microseconds,
       preempted by milliseconds: so the closest pair of ten. */
    do {
        uint64_t before = cel__clock_ticks();
        cel_time time = cel__clock_now();
        uint64_t after = cel__clock_ticks();

        if (after - before < least) {
            least = after - before;
            *now = time;
            *ticks = after;
        }
    } while (least >= UNDISTURBED && ++ntries < 10);
}

static void
measure(void)
{
    cel_time start;
    cel_time now;
    uint64_t first;
    uint64_t last;

    read_both(&start, &first);
    do {
        read_both(&now, &last);
    } while (now - start < SPAN);
    ticks_per_ns = (double)(last - first) / (double)(now - start);
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
