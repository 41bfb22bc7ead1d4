/* SPDX-License-Identifier: MIT */
/*
 * A histogram of latencies; see hist.h.
 *
 * Group 0 holds the values below 64, each exactly.  Group g > 0 holds those
 * from 64 * 2^(g-1) on, in 64 steps of 2^(g-1).
 */
#include "hist.h"

static unsigned
part_of(uint64_t value)
{
    if (value < HIST_PARTS) {
        return (unsigned)value;
    }
    unsigned shift = 63U - 6U - (unsigned)__builtin_clzll(value);
    if (shift + 1 >= HIST_GROUPS) {
        return HIST_GROUPS * HIST_PARTS - 1;
    }
    unsigned step = (unsigned)(value >> shift) - HIST_PARTS;
    return (shift + 1) * HIST_PARTS + step;
}

/* The first value beyond the part. */
static uint64_t
end_of(unsigned part)
{
    unsigned group = part / HIST_PARTS;
    unsigned step = part % HIST_PARTS;

    if (group == 0) {
        return step + 1U;
    }
    return (uint64_t)(HIST_PARTS + step + 1U) << (group - 1U);
}

void
hist_add(struct hist *hist, uint64_t value)
{
    hist->count++;
    hist->sum += value;
    if (value > hist->max) {
        hist->max = value;
    }
    hist->parts[part_of(value)]++;
}

uint64_t
hist_quantile(const struct hist *hist, double share)
{
    uint64_t wanted = (uint64_t)((double)hist->count * share);
    uint64_t seen = 0;

    for (unsigned part = 0; part < HIST_GROUPS * HIST_PARTS; part++) {
        seen += hist->parts[part];
        if (seen > wanted) {
            uint64_t end = end_of(part);
            return end < hist->max ? end : hist->max;
        }
    }
    return hist->max;
}
