/* SPDX-License-Identifier: MIT */
/*
 * Operations that a coroutine waits for.
 *
 * Threads: the calling coroutine's worker.
 */
#ifndef CEL_IO_H
#define CEL_IO_H

#include "celadon/base.h"
#include "io/backend.h"
#include "sched/worker.h"

/*
 * A call ended without a wait: yield if it is time, which is after
 * CEL__BUDGET of them.  May suspend.  Returns `result`.
 */
int64_t cel__io_charge(struct cel__worker *worker, int64_t result);

/*
 * Run `op` (code, fd and what the code reads are set, the rest is zero) to
 * its end.
 *
 * Suspends until it ends, `deadline`, cancelling, or a resumption by hand.
 * Returns op->result, or why the wait ended: -ETIMEDOUT, -ECANCELED,
 * -EDEADLK, CEL__RESUMED; then the call had no effect, but for what
 * op->moved tells of a `whole` one.  Where the effect came first it is what is
 * returned.  `op` is IDLE after.
 */
int64_t cel__op_await(struct cel__worker *worker, struct cel__op *op,
                      cel_time deadline, const char *what);

/*
 * Wait until `fd` is ready for one of `events` (CEL__READABLE, …).
 * Suspends.  Returns what it is ready for, or as cel__op_await().
 */
int64_t cel__fd_await(struct cel__worker *worker, int fd, uint32_t events,
                      cel_time deadline, const char *what);

#endif
