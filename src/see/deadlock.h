/* SPDX-License-Identifier: MIT */
/*
 * Who waits for whom in a circle.
 *
 * Threads: the worker's.
 */
#ifndef CEL_DEADLOCK_H
#define CEL_DEADLOCK_H

#include <stddef.h>

struct cel__worker;

/*
 * Find the circles of coroutines of `worker` that wait for each other, and
 * call say(arg, line) for each of a circle's members in turn.  A circle in
 * which somebody has a deadline is none.  Looks at so many at most, so among
 * very many it may miss some.  Does not suspend.  Returns how many there are.
 */
size_t cel__deadlock_find(const struct cel__worker *worker,
                          void (*say)(void *arg, const char *line), void *arg);

/* Nothing can wake any coroutine of `worker`: tell the log why.  Only the
   first few times. */
void cel__deadlock_report(struct cel__worker *worker);

#endif
