/* SPDX-License-Identifier: MIT */
/*
 * Answers that still hold: a table of buckets of four.
 *
 * What has expired is found out when it is asked for or its place is needed,
 * so nothing here has a timer.
 *
 * Threads: see cache.h.
 *
 * Tests: unit/test_cache.c
 */
#include "names/cache.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"

/* The bucket of a name: FNV-1a of its letters, large or small. */
static struct cel__cache_entry *
bucket(struct cel__cache *cache, const char *name, int family)
{
    uint32_t hash = 2166136261U ^ (uint32_t)family;

    for (; *name != '\0'; name++) {
        unsigned char c = (unsigned char)*name;
        if (c >= 'A' && c <= 'Z') {
            c = (unsigned char)(c + ('a' - 'A'));
        }
        hash = (hash ^ c) * 16777619U;
    }
    size_t n = hash % (CEL__CACHE_SIZE / CEL__CACHE_WAYS);
    return &cache->entries[n * CEL__CACHE_WAYS];
}

static void
drop(struct cel__cache_entry *entry)
{
    free(entry->name);
    cel__answer_unref(entry->answer);
    memset(entry, 0, sizeof(*entry));
}

static bool
is_for(const struct cel__cache_entry *entry, const char *name, int family)
{
    return entry->name != NULL && entry->family == family &&
           strcasecmp(entry->name, name) == 0;
}

struct cel__answer *
cel__cache_find(struct cel__cache *cache, const char *name, int family,
                cel_time now)
{
    struct cel__cache_entry *entry = bucket(cache, name, family);

    for (int i = 0; i < CEL__CACHE_WAYS; i++, entry++) {
        if (!is_for(entry, name, family)) {
            continue;
        }
        if (entry->expires <= now) {
            drop(entry);
            return NULL;
        }
        cel__answer_ref(entry->answer);
        return entry->answer;
    }
    return NULL;
}

void
cel__cache_put(struct cel__cache *cache, const char *name, int family,
               struct cel__answer *answer, cel_time now)
{
    struct cel__cache_entry *entry = bucket(cache, name, family);
    struct cel__cache_entry *least = entry;
    cel_time most = answer->naddrs == 0 ? CEL__CACHE_NOTHING_MAX
                                        : CEL__CACHE_TTL_MAX;
    cel_time life = answer->ttl * CEL_SEC;

    if (life == 0 || answer->naddrs > CEL__CACHE_ADDRS) {
        return;
    }
    for (int i = 0; i < CEL__CACHE_WAYS; i++, entry++) {
        if (is_for(entry, name, family)) {
            least = entry;
            break;
        }
        if (entry->expires < least->expires) {
            least = entry;
        }
    }
    size_t size = strlen(name) + 1;
    char *copy = cel__alloc(size);
    if (copy == NULL) {
        return;
    }
    drop(least);
    memcpy(copy, name, size);
    least->name = copy;
    least->family = family;
    least->expires = now + (life < most ? life : most);
    least->answer = answer;
    cel__answer_ref(answer);
}

void
cel__cache_clear(struct cel__cache *cache)
{
    for (size_t i = 0; i < CEL__CACHE_SIZE; i++) {
        if (cache->entries[i].name != NULL) {
            drop(&cache->entries[i]);
        }
    }
}
