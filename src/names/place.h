/* SPDX-License-Identifier: MIT */
/*
 * A host and a service in one text, as people write them.
 *
 * Threads: any.
 *
 * Tests: unit/test_dial.c, fuzz/fuzz_place.c
 */
#ifndef CEL_PLACE_H
#define CEL_PLACE_H

#include <stdbool.h>

/* The longest name of a host that DNS has, and a scope. */
#define CEL__PLACE_HOST 288

struct cel__place {
    char host[CEL__PLACE_HOST]; /* without brackets; "": any */
    const char *service;        /* in the text; not "" */
};

/* Cut `text`, "host:service" or "[host]:service".  False: it is not. */
bool cel__place_read(const char *text, struct cel__place *place);

#endif
