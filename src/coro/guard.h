/* SPDX-License-Identifier: MIT */
/*
 * Guards: pages below a stack that nobody may touch.
 *
 * Threads: any.
 */
#ifndef CEL_GUARD_H
#define CEL_GUARD_H

#include <stdbool.h>
#include <stddef.h>

enum cel__guard {
    CEL__GUARD_NONE,      /* too many already */
    CEL__GUARD_MARKED,    /* costs nothing but the pages' entries */
    CEL__GUARD_PROTECTED, /* two mappings of the process's limited number */
};

/* Guard the whole pages [low, low + len), which were never touched. */
enum cel__guard cel__guard_make(char *low, size_t len);

/* `count` guards of the kind CEL__GUARD_PROTECTED have been unmapped. */
void cel__guard_unmapped(size_t count);

/* Whether memory where a guard could not be made was touched: bad news. */
bool cel__guard_was_touched(char *low, size_t len);

#endif
