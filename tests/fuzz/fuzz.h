/* SPDX-License-Identifier: MIT */
/*
 * What a fuzz target is: a function that is given bytes and must not mind.
 * What does not hold it tells by abort().
 *
 * Threads: one.
 */
#ifndef CEL_FUZZ_H
#define CEL_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
