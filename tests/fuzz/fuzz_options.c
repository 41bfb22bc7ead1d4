/* SPDX-License-Identifier: MIT */
/*
 * Options of any size, older and younger than ours: taken where they say
 * nothing that is unknown here.
 */
#include "sched/run.h"

#include <errno.h>
#include <string.h>

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _Alignas(cel_options) uint8_t bytes[4 * sizeof(cel_options)] = {0};
    cel_options known;
    size_t has;

    if (size < sizeof(has) || size > sizeof(bytes)) {
        return 0;
    }
    memcpy(bytes, data, size);
    memcpy(&has, bytes, sizeof(has));
    /* A caller says what it has: here, never more than there is. */
    has = has > size ? size : has;
    memcpy(bytes, &has, sizeof(has));
    int err = cel__options_read(&known, (const cel_options *)bytes);
    MUST(err == 0 || err == -EINVAL);
    if (err < 0) {
        return 0;
    }
    MUST(known.size == sizeof(known));
    MUST(known.workers >= 1 && known.workers <= CEL_WORKERS_MAX);
    for (size_t i = sizeof(known); i < has; i++) {
        MUST(bytes[i] == 0);
    }
    return 0;
}
