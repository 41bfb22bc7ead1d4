/* SPDX-License-Identifier: MIT */
/*
 * Answers of name servers that say that there is nothing, and for how long.
 *
 * c-ares keeps to itself what comes with them.
 *
 * Threads: any.
 *
 * Tests: unit/test_negative.c, fuzz/fuzz_negative.c
 */
#ifndef CEL_NEGATIVE_H
#define CEL_NEGATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a name, with the 0 byte. */
#define CEL__NEGATIVE_NAME 256

/*
 * Read the message of `len` bytes.  Returns whether it says that a name does
 * not exist, or has no addresses of the kind asked for: then the name asked
 * for is in `name`, without a dot at the end, and in `*ttl` the seconds for
 * which that holds (RFC 2308: the least of the zone's SOA record; 0 where none
 * came with it, and then it is not to be remembered).
 */
bool cel__negative_read(const void *message, size_t len,
                        char name[CEL__NEGATIVE_NAME], uint32_t *ttl);

#endif
