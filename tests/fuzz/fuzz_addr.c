/* SPDX-License-Identifier: MIT */
/* Addresses as text: what can be read is written so that it reads the same. */
#include <celadon.h>

#include <errno.h>
#include <string.h>

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_storage addr;
    struct sockaddr_storage again;
    socklen_t len = 0;
    socklen_t relen = 0;
    char text[512];
    char small[24];

    if (size >= sizeof(text)) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    int err = cel_addr_parse(text, &addr, &len);
    MUST(err == 0 || err == -EINVAL);
    if (err < 0) {
        MUST(len == 0);
        /* Whatever it is as an address, it is refused or written. */
        memset(&addr, 0, sizeof(addr));
        memcpy(&addr, data, size < sizeof(addr) ? size : sizeof(addr));
        len = (socklen_t)(size < sizeof(addr) ? size : sizeof(addr));
        (void)cel_addr_format((struct sockaddr *)&addr, len, small,
                              sizeof(small));
        return 0;
    }
    int n = cel_addr_format((struct sockaddr *)&addr, len, text, sizeof(text));
    MUST(n > 0 && n < CEL_ADDR_TEXT && strlen(text) == (size_t)n);
    if (strchr(text, '?') != NULL) {
        return 0; /* control characters are not kept */
    }
    memset(&again, 0, sizeof(again));
    MUST(cel_addr_parse(text, &again, &relen) == 0);
    MUST(relen == len && memcmp(&again, &addr, len) == 0);
    return 0;
}
