/* SPDX-License-Identifier: MIT */
/*
 * How a system call's errno becomes its result; see sys.h.
 *
 * Threads: any.
 */
#ifndef CEL_SYS_CALL_H
#define CEL_SYS_CALL_H

#include <errno.h>

#include "base/fault.h"

/* For a signal handler, which must leave errno as it was. */
static inline int
cel__errno_keep(void)
{
    return errno;
}

static inline void
cel__errno_restore(int kept)
{
    errno = kept;
}

/* Set `n` to what fn args comes to, or to the fault that is due. */
#define CEL__SYS_ONCE(n, fn, args)                                            \
    do {                                                                      \
        (n) = -cel__fault(#fn);                                               \
        if ((n) == 0) {                                                       \
            (n) = fn args;                                                    \
            if ((n) == -1) {                                                  \
                (n) = -errno;                                                 \
            }                                                                 \
        }                                                                     \
    } while (0)

/* The same, and again as long as signals interrupt it. */
#define CEL__SYS(n, fn, args)                                                 \
    do {                                                                      \
        CEL__SYS_ONCE(n, fn, args);                                           \
    } while ((n) == -EINTR)

/* Define cel__sys_NAME(), which is NAME() by one of these. */
#define CEL__SYS_WRAP_BY(how, type, name, parameters, args)                   \
    static inline type cel__sys_##name parameters                             \
    {                                                                         \
        type n;                                                               \
        how(n, name, args);                                                   \
        return n;                                                             \
    }
#define CEL__SYS_WRAP(type, name, parameters, args)                           \
    CEL__SYS_WRAP_BY(CEL__SYS, type, name, parameters, args)
#define CEL__SYS_WRAP_ONCE(type, name, parameters, args)                      \
    CEL__SYS_WRAP_BY(CEL__SYS_ONCE, type, name, parameters, args)

#endif
