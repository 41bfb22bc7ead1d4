/* SPDX-License-Identifier: MIT */
/*
 * What the files of net/ share.
 *
 * Threads: the calling coroutine's worker.
 */
#ifndef CEL_NET_H
#define CEL_NET_H

#include "celadon/base.h"
#include "sched/worker.h"

/* How long a first nap lasts, and the longest, where nothing tells when a
   call is worth trying again. */
#define CEL__NET_NAP     CEL_MSEC
#define CEL__NET_NAP_MAX (50 * CEL_MSEC)

/*
 * Sleep for `*nap`, but not past `deadline`, and double it.
 *
 * Suspends.  Returns 0, or, where `deadline` has come or the wait was ended,
 * as cel__park() does.
 */
int cel__net_nap(struct cel__worker *worker, cel_time *nap, cel_time deadline,
                 const char *what);

#endif
