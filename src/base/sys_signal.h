/* SPDX-License-Identifier: MIT */
/*
 * What of sys.h may be called in a signal's handler: errno is as it was.
 *
 * Threads: any.
 */
#ifndef CEL_SYS_SIGNAL_H
#define CEL_SYS_SIGNAL_H

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

/* Make the eventfd `fd` readable.  It can't fail but by being so already. */
static inline void
cel__sys_poke(int fd)
{
    const uint64_t one = 1;
    int before = errno;

    (void)!write(fd, &one, sizeof(one));
    errno = before;
}

#endif
