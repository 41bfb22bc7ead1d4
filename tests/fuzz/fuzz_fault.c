/* SPDX-License-Identifier: MIT */
/* CELADON_FAULT: what is taken can be asked for again in other words. */
#include "../lib/fault.h"

#include <stdio.h>
#include <string.h>

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cel__fault fault;
    struct cel__fault same;
    char text[128];

    if (size >= sizeof(text)) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    memset(&fault, 'x', sizeof(fault));
    if (!cel__fault_read(text, &fault)) {
        return 0;
    }
    MUST(memchr(fault.point, '\0', sizeof(fault.point)) != NULL);
    MUST(fault.point[0] != '\0' && fault.number > 0);
    MUST(fault.error > 0 && fault.error <= 4095);
    (void)snprintf(text, sizeof(text), "%s:%lu:%d", fault.point, fault.number,
                   fault.error);
    MUST(cel__fault_read(text, &same));
    MUST(strcmp(same.point, fault.point) == 0);
    MUST(same.number == fault.number && same.error == fault.error);
    return 0;
}
