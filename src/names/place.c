/* SPDX-License-Identifier: MIT */
/*
 * A host and a service in one text.
 *
 * Threads: see place.h.
 *
 * Tests: unit/test_dial.c, fuzz/fuzz_place.c
 */
#include "names/place.h"

#include <string.h>

bool
cel__place_read(const char *text, struct cel__place *place)
{
    const char *colon = strrchr(text, ':');

    if (colon == NULL || colon[1] == '\0') {
        return false;
    }
    size_t n = (size_t)(colon - text);
    bool brackets = n >= 2 && text[0] == '[' && text[n - 1] == ']';
    if (brackets) {
        text++;
        n -= 2;
    }
    else if (memchr(text, ':', n) != NULL) {
        return false; /* of which colon is the last meant? */
    }
    if (n >= sizeof(place->host) || (brackets && n == 0)) {
        return false;
    }
    memcpy(place->host, text, n);
    place->host[n] = '\0';
    place->service = colon + 1;
    return true;
}
