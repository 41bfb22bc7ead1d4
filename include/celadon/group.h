/* SPDX-License-Identifier: MIT */
/*
 * Groups: coroutines that belong together, and end together.
 *
 *     cel_group *group;
 *
 *     err = cel_group_open(&group, 0);
 *     for (i = 0; err == 0 && i < n; i++) {
 *         err = cel_group_go(group, fetch, &pages[i]);
 *     }
 *     if (err == 0) {
 *         err = cel_group_wait(group, CEL_FOREVER);
 *     }
 *     first_error = cel_group_close(group);
 *
 * A member that fails, by returning a negative number, cancels the others;
 * its result is kept.  Closing a group cancels the members that are left and
 * waits until they have ended: none outlives it.
 *
 * Threads: any.  Members run at the worker whose call started them, but for
 * cel_group_go_on() and cel_group_go_spread(); the members of a group may be
 * spread over the workers of one run.
 */
#ifndef CELADON_GROUP_H
#define CELADON_GROUP_H

#include "celadon/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A group of coroutines. */
typedef struct cel_group cel_group;

/** For cel_group_open(): a member's failure does not cancel the others. */
#define CEL_GROUP_KEEP_GOING 1U

/**
 * Make an empty group.  Its members are bounded by the scopes that the caller
 * is in now.  `flags` is 0 or CEL_GROUP_KEEP_GOING.  Does not suspend.
 * Returns 0, -ENOMEM, or -EINVAL (unknown flags).
 */
CEL_API CEL_NODISCARD int cel_group_open(cel_group **group, unsigned flags);

/**
 * Start a member that calls `fn(arg)`, as cel_go() does.  `arg` must stay
 * valid as long as `fn` uses it.  Does not suspend.  Returns 0, -ECANCELED
 * (the group was cancelled, or a member has failed), -ENOMEM or -EPERM (not in
 * a coroutine); on error nothing was started.
 */
CEL_API CEL_NODISCARD int cel_group_go(cel_group *group, int (*fn)(void *arg),
                                       void *arg);

/**
 * As cel_group_go(), at the worker of the number `worker`, as cel_go_on().
 * Does not suspend.  Returns as cel_group_go(), or -EINVAL (there is no such
 * worker), -ESRCH (in a child after fork, that worker is not there).
 */
CEL_API CEL_NODISCARD int cel_group_go_on(cel_group *group, int worker,
                                          int (*fn)(void *arg), void *arg);

/**
 * As cel_group_go(), at whichever worker has time first, as cel_go_spread().
 * Does not suspend.  Returns as cel_group_go().
 */
CEL_API CEL_NODISCARD int cel_group_go_spread(cel_group *group,
                                              int (*fn)(void *arg), void *arg);

/**
 * Wait until the group has no members.
 *
 * Suspends until then or `deadline`.  Returns 0, whatever the members
 * returned; or -ETIMEDOUT, -ECANCELED (the caller was cancelled), -EDEADLK
 * (the caller is a member, or nothing could ever end it), -ENOMEM or -EPERM
 * (not in a coroutine).
 */
CEL_API CEL_NODISCARD int cel_group_wait(cel_group *group, cel_time deadline);

/**
 * Cancel all members, and refuse new ones.  Does not suspend and does not
 * wait for their end.
 */
CEL_API void cel_group_cancel(cel_group *group);

/**
 * What the first member that failed returned; 0 where none has.  What members
 * return for having been cancelled by cel_group_cancel() or cel_group_close()
 * is no failure.  Does not suspend.
 */
CEL_API int cel_group_error(cel_group *group);

/**
 * Cancel the members that are left, wait until they have ended, and release
 * the group.  NULL is allowed.  Not by a member.
 *
 * Suspends while there are members, neither a deadline nor a cancel
 * notwithstanding.  Returns as cel_group_error().
 */
CEL_API int cel_group_close(cel_group *group);

#ifdef __cplusplus
}
#endif

#endif
