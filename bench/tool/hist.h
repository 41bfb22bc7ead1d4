/* SPDX-License-Identifier: MIT */
/*
 * A histogram of latencies, exact to 1.6 %, in constant space.
 *
 * A value falls into the group of its highest bit; each group is cut into 64
 * equal parts.  So a million latencies cost as little to keep as ten, and
 * recording one is an increment: the measuring does not slow the measured.
 */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>

enum {
    HIST_PARTS = 64,
    HIST_GROUPS = 40
};

struct hist {
    uint64_t count; /* values recorded */
    uint64_t sum;   /* of the values themselves, so that the mean is exact */
    uint64_t max;   /* the greatest of them */
    uint64_t parts[HIST_GROUPS * HIST_PARTS]; /* how many fell into each */
};

/** Record one value, in nanoseconds. */
void hist_add(struct hist *hist, uint64_t value);

/** The value that a share of `share` (0 to 1) of the values stay below; 0 if
    there are none.  At most 1.6 % too high. */
uint64_t hist_quantile(const struct hist *hist, double share);

#endif
