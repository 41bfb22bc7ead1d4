/* SPDX-License-Identifier: MIT */
/* Messages of name servers, of which some deny. */
#include "names/negative.h"

#include <string.h>

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[CEL__NEGATIVE_NAME];
    uint32_t ttl = UINT32_MAX;
    uint8_t *copy = malloc(size + 1); /* of its own, so that ends are seen */

    MUST(copy != NULL);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    memset(name, 'x', sizeof(name));
    if (cel__negative_read(copy, size, name, &ttl)) {
        MUST(memchr(name, '\0', sizeof(name)) != NULL && name[0] != '\0');
        MUST(ttl <= INT32_MAX);
    }
    free(copy);
    return 0;
}
