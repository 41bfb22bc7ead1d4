/* SPDX-License-Identifier: MIT */
/*
 * Printing what a worker's coroutines do; the rest is celadon/see.h.
 *
 * Threads: see each.
 */
#ifndef CEL_DUMP_H
#define CEL_DUMP_H

#include "celadon/see.h"
#include "see/see.h"

/* Set up what asks for a dump. */
void cel__dump_prepare(struct cel__see *see);

/* Print the coroutines of `worker`, the calling thread's, to `fd`.  Returns
   0 or what writing failed with.  Does not suspend. */
int cel__dump_worker(struct cel__worker *worker, int fd, unsigned flags);

#endif
