/* SPDX-License-Identifier: MIT */
/*
 * Rare events on demand: the hard build's dice and the torture run's faults.
 *
 * CELADON_FAULT=NAME:N:ERRNAME makes the N-th call of cel__fault("NAME")
 * return that error (NAME * counts every point); CELADON_SEED seeds the dice
 * and is printed when a hard build starts, so that a run can be had again.
 * Outside hard builds every function here is an empty inline; in those they
 * are tests/lib/fault.c's.
 *
 * Threads: any.
 */
#ifndef CEL_FAULT_H
#define CEL_FAULT_H

#include <stdint.h>

#if CEL__HARD
/* 0, or a positive errno value that the caller must fail with. */
int cel__fault(const char *name);
/* A number below `n`, at random. */
uint32_t cel__dice(uint32_t n);
#else
static inline int
cel__fault(const char *name)
{
    (void)name;
    return 0;
}
static inline uint32_t
cel__dice(uint32_t n)
{
    (void)n;
    return 0;
}
#endif

#endif
