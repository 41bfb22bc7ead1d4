/* SPDX-License-Identifier: MIT */
/*
 * Connecting to several addresses, of which the first to answer wins.
 *
 * Threads: the calling coroutine's worker.
 *
 * Tests: unit/test_dial.c
 */
#ifndef CEL_RACE_H
#define CEL_RACE_H

#include <netdb.h>

#include "celadon/base.h"

/* When the next address is tried beside those that have not answered: what
   RFC 8305 recommends. */
#define CEL__RACE_HEAD_START (250 * CEL_MSEC)

/* The most addresses that are tried. */
#define CEL__RACE_MOST 64

struct cel__worker;

/*
 * Connect to one of `list`.  Suspends.  Returns an owned descriptor, or, with
 * nothing left of any, as cel_dial() does.
 */
CEL_NODISCARD int cel__race_connect(struct cel__worker *worker,
                                    const struct addrinfo *list,
                                    cel_time deadline);

#endif
