/* SPDX-License-Identifier: MIT */
/*
 * The floating point control words of a greenlet.
 *
 * The engine's switch does not save them (1.7 ns, and 9.7 -> 42 ns among a
 * thousand coroutines where they are reloaded unconditionally); a greenlet
 * must, for greenlet does and numeric code sets rounding modes.  Reloaded only
 * where they differ, compared word by word: one load of both would wait for
 * two stores (c-runtimes, 5a).
 *
 * Threads: any.
 */
#ifndef CELEXT_FPENV_H
#define CELEXT_FPENV_H

#include <stdint.h>

#if defined(__x86_64__)

/* The status flags in the low six bits of mxcsr are nobody's property. */
#define FPENV_CONTROL 0xffc0u

struct fpenv {
    uint32_t mxcsr;
    uint16_t x87;
};

static inline void
fpenv_save(struct fpenv *env)
{
    __asm__ volatile("stmxcsr %0" : "=m"(env->mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(env->x87));
}

static inline void
fpenv_load(const struct fpenv *env)
{
    struct fpenv now;

    fpenv_save(&now);
    if (((now.mxcsr ^ env->mxcsr) & FPENV_CONTROL) != 0) {
        __asm__ volatile("ldmxcsr %0" : : "m"(env->mxcsr));
    }
    if (now.x87 != env->x87) {
        __asm__ volatile("fldcw %0" : : "m"(env->x87));
    }
}

#elif defined(__aarch64__)

struct fpenv {
    uint64_t fpcr;
};

static inline void
fpenv_save(struct fpenv *env)
{
    __asm__ volatile("mrs %0, fpcr" : "=r"(env->fpcr));
}

static inline void
fpenv_load(const struct fpenv *env)
{
    struct fpenv now;

    fpenv_save(&now);
    if (now.fpcr != env->fpcr) {
        __asm__ volatile("msr fpcr, %0" : : "r"(env->fpcr));
    }
}

#else

#include <fenv.h>

struct fpenv {
    int rounding;
};

static inline void
fpenv_save(struct fpenv *env)
{
    env->rounding = fegetround();
}

static inline void
fpenv_load(const struct fpenv *env)
{
    if (fegetround() != env->rounding) {
        (void)fesetround(env->rounding);
    }
}

#endif

#endif
