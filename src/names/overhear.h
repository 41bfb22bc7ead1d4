/* SPDX-License-Identifier: MIT */
/*
 * The sockets of c-ares, which tell what comes in before it does.
 *
 * Threads: the channel's.
 *
 * Tests: unit/test_ares.c
 */
#ifndef CEL_OVERHEAR_H
#define CEL_OVERHEAR_H

#include <ares.h>
#include <stddef.h>

/* Who is told of each datagram that comes. */
struct cel__overhear {
    void (*heard)(struct cel__overhear *self, const void *message, size_t len);
};

/* Let `channel`, which has asked nothing yet, tell `self`, which outlives
   it.  Its sockets are non-blocking and close-on-exec from birth. */
void cel__overhear(ares_channel channel, struct cel__overhear *self);

#endif
