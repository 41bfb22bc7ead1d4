/* SPDX-License-Identifier: MIT */
/*
 * Who looks names up: c-ares, or the C library on the pool.
 *
 * Threads: any.
 *
 * Tests: unit/test_choice.c
 */
#ifndef CEL_CHOICE_H
#define CEL_CHOICE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether c-ares does, decided when first asked: as CELADON_RESOLVER says
 * ("ares", "system"); else where name servers are named by CELADON_DNS, or
 * the system's configuration wants nothing but its hosts file and name
 * servers.
 */
bool cel__choice_is_ares(void);

/* What was chosen, and why, for people.  Found weakly by see/info.c, for
   not everybody who links that looks names up. */
const char *cel__choice_report(void);

/*
 * Copy the first source of host names in the file `path`, of the form of
 * nsswitch.conf(5), that c-ares does not know, into `word` of `size` bytes.
 * False: there is none, or no such file.
 */
bool cel__choice_stranger(const char *path, char *word, size_t size);

#endif
