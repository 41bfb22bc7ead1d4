/* SPDX-License-Identifier: MIT */
/*
 * Structures that grow: a caller's may be older or younger than ours, and its
 * first member, a size_t, says how many bytes it has.
 *
 * Threads: any.
 */
#ifndef CEL_SIZED_H
#define CEL_SIZED_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

/*
 * Copy over the defaults in `known`, of `size` bytes, what `given` has of
 * them; NULL has nothing.  The size stays ours.  Returns 0, or -EINVAL: it is
 * too small, or uses what is unknown here.
 */
static inline int
cel__sized_read(void *known, size_t size, const void *given)
{
    const char *bytes = given;
    size_t has;

    if (given == NULL) {
        return 0;
    }
    memcpy(&has, given, sizeof(has));
    if (has < sizeof(has)) {
        return -EINVAL;
    }
    for (size_t i = size; i < has; i++) {
        if (bytes[i] != 0) {
            return -EINVAL;
        }
    }
    memcpy(known, given, has < size ? has : size);
    memcpy(known, &size, sizeof(size));
    return 0;
}

#endif
