/* SPDX-License-Identifier: MIT */
/* The name that a client's hello asks for: it lies within what was sent. */
#include <string.h>

#include "fuzz.h"
#include "tls/tls.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cel__tls_asked asked;
    uint8_t *copy = malloc(size + 1); /* of its own, so that ends are seen */

    MUST(copy != NULL);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    if (cel__tls_name_read(copy, size, &asked)) {
        MUST(asked.text == (char *)copy + 5 && asked.len <= size - 5);
        MUST(memchr(asked.text, '\0', asked.len) == NULL);
    }
    free(copy);
    return 0;
}
