/* SPDX-License-Identifier: MIT */
/*
 * How much of a stack was ever used.
 *
 * Threads: any, as long as the stack is there.
 */
#ifndef CEL_DEPTH_H
#define CEL_DEPTH_H

#include "coro/stack.h"

/* Bytes of the C stack that were ever touched; walks pages, for dumps. */
size_t cel__depth_used(const struct cel__stack *stack);

#endif
