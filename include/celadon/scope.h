/* SPDX-License-Identifier: MIT */
/*
 * Scopes: a deadline for all that is called below, whatever it takes itself.
 *
 *     cel_scope scope;
 *
 *     cel_scope_enter(&scope, cel_after(5 * CEL_SEC));
 *     err = talk_to_server();      // takes no deadline, or longer ones
 *     if (cel_scope_leave(&scope) == -ETIMEDOUT) { ... }
 *
 * Scopes nest; the earliest deadline counts.  A call that is ended by a scope
 * returns -ETIMEDOUT as if the deadline had been its own.  A scope that is not
 * left bounds its coroutine to its end: leave it on every path.
 *
 * A scope may shield, too, from being cancelled and from the scopes around it,
 * for what has to be done in the end and has to wait for something:
 *
 *     cel_scope_shield(&scope, cel_after(CEL_SEC));
 *     say_goodbye();               // also where the coroutine was cancelled
 *     cel_scope_leave(&scope);
 *
 * Threads: in a coroutine; a scope is its coroutine's own.
 */
#ifndef CELADON_SCOPE_H
#define CELADON_SCOPE_H

#include "celadon/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A scope, on the stack of who enters it; nothing in it is for reading. */
typedef struct cel_scope {
    cel_time opaque[4];
} cel_scope;

/**
 * From here on until cel_scope_leave(), no call of this coroutine waits beyond
 * `deadline`.  Does not suspend.  Returns 0, or -EPERM (not in a coroutine).
 */
CEL_API int cel_scope_enter(cel_scope *scope, cel_time deadline);

/**
 * As cel_scope_enter(), and until `scope` is left nothing from outside ends a
 * call: neither a cancel, be it from before, from meanwhile or the end of the
 * run, nor the deadline of a scope around this one.  It counts again once
 * `scope` is left.  Does not suspend.  Returns 0, -EINVAL (`deadline` is
 * CEL_FOREVER: somebody may wait for the end) or -EPERM (not in a coroutine).
 */
CEL_API CEL_NODISCARD int cel_scope_shield(cel_scope *scope,
                                           cel_time deadline);

/**
 * Leave `scope`, the one entered last.  Does not suspend.  Returns 0, or
 * -ETIMEDOUT where its deadline, and not that of a scope around it, has ended
 * a call; -EPERM (not in a coroutine).
 */
CEL_API int cel_scope_leave(cel_scope *scope);

#ifdef __cplusplus
}
#endif

#endif
