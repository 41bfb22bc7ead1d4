/* SPDX-License-Identifier: MIT */
/*
 * What every other public header needs: linkage, time, error rules.
 *
 * Errors: a call that can fail returns a negative errno value (see errno.h);
 * errno itself is neither read nor written.  Three codes have a meaning of
 * Celadon's own, the same in every call:
 *   -ETIMEDOUT  the deadline passed before the call had an effect
 *   -ECANCELED  the coroutine was cancelled, or what it waited for closed
 *   -EDEADLK    the wait could never end: nothing is left that could wake it
 */
#ifndef CELADON_BASE_H
#define CELADON_BASE_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CEL_API       __attribute__((visibility("default")))
#define CEL_NODISCARD __attribute__((warn_unused_result))
/* The arguments from `from` on are those of the format `at`. */
#define CEL_PRINTF(at, from) __attribute__((format(printf, at, from)))
#else
#define CEL_API
#define CEL_NODISCARD
#define CEL_PRINTF(at, from)
#endif

/**
 * A point in time: nanoseconds of CLOCK_MONOTONIC.
 *
 * Every call that may suspend takes one as its last argument: the latest
 * moment at which it returns.  A deadline that lies in the past still allows
 * one attempt.
 */
typedef int64_t cel_time;

/** No deadline. */
#define CEL_FOREVER INT64_MAX
/** A deadline that has passed already: try once, never suspend. */
#define CEL_AT_ONCE ((cel_time)0)

/** Nanoseconds in a microsecond, a millisecond and a second. */
#define CEL_USEC ((cel_time)1000)
#define CEL_MSEC ((cel_time)1000000)
#define CEL_SEC  ((cel_time)1000000000)

/** The present moment.  Any thread.  Does not suspend. */
CEL_API cel_time cel_now(void);

/**
 * The moment `ns` nanoseconds from now; CEL_FOREVER where that is beyond the
 * range of cel_time.  Any thread.  Does not suspend.
 */
CEL_API cel_time cel_after(int64_t ns);

#ifdef __cplusplus
}
#endif

#endif
