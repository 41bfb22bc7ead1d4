/* SPDX-License-Identifier: MIT */
/*
 * Generators: coroutines that exchange values with whoever asks them.
 *
 * A generator runs only while somebody waits for its next value, as a
 * generator of Python does, but may suspend for other reasons too.
 *
 * Threads: the run's in which it was opened.
 */
#ifndef CELADON_GEN_H
#define CELADON_GEN_H

#include "celadon/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A generator. */
typedef struct cel_gen cel_gen;

/**
 * Make a generator that will call `fn(gen, arg)` when first asked.
 * Does not suspend.  Returns 0, -ENOMEM or -EPERM (not in a coroutine).
 */
CEL_API CEL_NODISCARD int cel_gen_open(cel_gen **gen,
                                       void (*fn)(cel_gen *gen, void *arg),
                                       void *arg);

/**
 * Hand `in` to the generator and wait for the value it yields next, which is
 * left in `*out` (out may be NULL).  The first `in` is lost: nobody asked.
 *
 * Suspends until the value comes.  Returns 1 with a value, 0 where the
 * generator has ended, -EBUSY (somebody is asking it already), -ECANCELED
 * (the caller was cancelled), -ETIMEDOUT (a scope's deadline passed) or
 * -ENOMEM (no room for that): the generator goes on to its next yield, its
 * value is dropped; -EDEADLK.
 */
CEL_API CEL_NODISCARD int cel_gen_send(cel_gen *gen, void *in, void **out);

/**
 * Inside `fn`: hand out `value` and wait until somebody asks again.
 *
 * Suspends.  Returns 1 with what was sent in `*in` (in may be NULL), or
 * -ECANCELED where the generator is being closed, within a shield too: clean
 * up and return; or, and it goes on though nobody asks, -ETIMEDOUT (a scope's
 * deadline passed) or -ENOMEM (no room for that).
 */
CEL_API CEL_NODISCARD int cel_gen_yield(cel_gen *gen, void *value, void **in);

/**
 * End the generator: its cel_gen_yield() returns -ECANCELED; wait for `fn` to
 * return and release `gen`.  NULL is allowed.  Suspends.  Not inside `fn`.
 */
CEL_API void cel_gen_close(cel_gen *gen);

#ifdef __cplusplus
}
#endif

#endif
