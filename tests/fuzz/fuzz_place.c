/* SPDX-License-Identifier: MIT */
/* A host and a service in one text: what was cut says the same together. */
#include <stdio.h>
#include <string.h>

#include "fuzz.h"
#include "names/place.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cel__place place;
    char text[512];
    char again[512];
    char bare[512];

    if (size >= sizeof(text)) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    if (!cel__place_read(text, &place)) {
        return 0;
    }
    MUST(strlen(place.host) < sizeof(place.host));
    MUST(place.service > text && place.service[0] != '\0');
    MUST(strchr(place.service, ':') == NULL);
    (void)snprintf(again, sizeof(again), "[%s]:%s", place.host, place.service);
    (void)snprintf(bare, sizeof(bare), "%s:%s", place.host, place.service);
    MUST(strcmp(again, text) == 0 || strcmp(bare, text) == 0);
    return 0;
}
