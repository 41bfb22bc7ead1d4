/* SPDX-License-Identifier: MIT */
/*
 * Look-ups by c-ares, on the worker's own loop: no thread.
 *
 * Threads: the worker's.
 *
 * Tests: unit/test_ares.c
 */
#ifndef CEL_ARES_H
#define CEL_ARES_H

#include "celadon/base.h"
#include "names/answer.h"
#include "sched/worker.h"

/*
 * Find the addresses of `host`, of `family` (AF_INET, AF_INET6, AF_UNSPEC:
 * both), in the hosts file or by the name servers.
 *
 * Suspends until then or `deadline`.  `worker` is one of cel_run().  Returns
 * 0 and the answer with a reference for the caller, or as cel_resolve() does.
 */
CEL_NODISCARD int cel__ares_resolve(struct cel__worker *worker,
                                    const char *host, int family,
                                    cel_time deadline,
                                    struct cel__answer **out);

#endif
