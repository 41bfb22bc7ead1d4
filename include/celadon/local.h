/* SPDX-License-Identifier: MIT */
/*
 * Values of a coroutine's own, and what is called when it ends.
 *
 * A coroutine ends when its function returns, also where it was cancelled, or
 * by cel_exit().  Then what it deferred is called, the last first, and after
 * that the destructors of its values.  In a cancelled coroutine they can't
 * suspend, as nothing can.
 *
 * Threads: in a coroutine, but for keys: any.
 */
#ifndef CELADON_LOCAL_H
#define CELADON_LOCAL_H

#include "celadon/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Names a value that each coroutine has of its own. */
typedef uint32_t cel_key;

/**
 * Make a key; every coroutine's value is NULL.  `destroy` (may be NULL) is
 * called with the value of a coroutine that ends, if that is not NULL.
 * Does not suspend.  Any thread.  Returns 0 or -EAGAIN (there are 256 keys).
 */
CEL_API CEL_NODISCARD int cel_key_open(cel_key *key,
                                       void (*destroy)(void *value));

/**
 * Release a key.  Values that coroutines still have are forgotten, not
 * destroyed.  Does not suspend.  Any thread.
 */
CEL_API void cel_key_close(cel_key key);

/**
 * Set the calling coroutine's value.  Does not suspend.  Returns 0, -ENOMEM,
 * -EINVAL (no such key) or -EPERM (not in a coroutine); on error the value is
 * as it was.
 */
CEL_API CEL_NODISCARD int cel_local_set(cel_key key, void *value);

/**
 * The calling coroutine's value; NULL where it has none, outside a coroutine
 * and where there is no such key.  Does not suspend.
 */
CEL_API void *cel_local_get(cel_key key);

/**
 * Have `fn(arg)` called when the calling coroutine ends.  Does not suspend.
 * Returns 0, -ENOMEM or -EPERM (not in a coroutine).
 */
CEL_API CEL_NODISCARD int cel_defer(void (*fn)(void *arg), void *arg);

/**
 * Take back what was deferred last, and call it now if `call` is not 0: then
 * it suspends as that does.  Returns 0, -ENOENT (nothing is deferred) or
 * -EPERM (not in a coroutine).
 */
CEL_API int cel_undefer(int call);

/**
 * End the calling coroutine here and now.  The functions that it is in do not
 * return and clean nothing up, so it is for what owns nothing, or has deferred
 * it.  `result` is a group member's (see cel_group_go()), else of no interest.
 * Does not return, but for -EPERM: not in a coroutine, or in the first one of
 * a run, which ends by returning.
 */
CEL_API int cel_exit(int result);

#ifdef __cplusplus
}
#endif

#endif
