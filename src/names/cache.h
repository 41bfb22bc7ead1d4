/* SPDX-License-Identifier: MIT */
/*
 * Answers that still hold, by name and family; a bounded number.  One without
 * addresses says that there are none.
 *
 * Threads: one worker's.
 *
 * Tests: unit/test_cache.c
 */
#ifndef CEL_CACHE_H
#define CEL_CACHE_H

#include "celadon/base.h"
#include "names/answer.h"

/* Names kept; 256 answers of two addresses are 40 KiB. */
#define CEL__CACHE_SIZE 256
/* A name's bucket: the places it may have. */
#define CEL__CACHE_WAYS 4
/* Larger answers are not kept: they bound the memory. */
#define CEL__CACHE_ADDRS 32
/* The longest that an answer is believed, whatever it says of itself. */
#define CEL__CACHE_TTL_MAX (3600 * CEL_SEC)

/* The longest that nothing is believed: who has just made a name tries it. */
#define CEL__CACHE_NOTHING_MAX (60 * CEL_SEC)

/* Invariant: name == NULL <=> answer == NULL. */
struct cel__cache_entry {
    char *name;
    int family;
    cel_time expires;
    struct cel__answer *answer;
};

struct cel__cache {
    struct cel__cache_entry entries[CEL__CACHE_SIZE];
};

/* The answer for `name`, in small or capital letters, with a reference for
   the caller; NULL: there is none that holds at `now`. */
struct cel__answer *cel__cache_find(struct cel__cache *cache, const char *name,
                                    int family, cel_time now);

/* Keep `answer` from `now` for as long as it holds, in place of what would
   not have held longest.  Where memory is short it is not kept. */
void cel__cache_put(struct cel__cache *cache, const char *name, int family,
                    struct cel__answer *answer, cel_time now);

/* Forget all; a zeroed cache is an empty one. */
void cel__cache_clear(struct cel__cache *cache);

#endif
