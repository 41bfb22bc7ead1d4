/* SPDX-License-Identifier: MIT */
/*
 * Names to addresses.
 *
 * Threads: in a coroutine, but for cel_resolve_free().
 */
#ifndef CELADON_RESOLVE_H
#define CELADON_RESOLVE_H

#include "celadon/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct addrinfo;

/**
 * As getaddrinfo(3), which is called on a thread of the pool (see pool.h)
 * unless `host` is numeric or NULL; `host`, `service` and `hints` may be
 * NULL as there.  The addresses are left in `*out`, for cel_resolve_free().
 *
 * Suspends until they are there or `deadline`.  Returns 0, or, with `*out` as
 * it was, a negative errno; that of getaddrinfo's own errors is
 *   -ENOENT           EAI_NONAME, EAI_NODATA: no such host or service, or
 *                     it has no addresses of that kind
 *   -EAGAIN           EAI_AGAIN: the name servers did not answer; also where
 *                     the pool could start no thread
 *   -EIO              EAI_FAIL: they answered with an error
 *   -EAFNOSUPPORT     EAI_FAMILY, EAI_ADDRFAMILY
 *   -ESOCKTNOSUPPORT  EAI_SOCKTYPE
 *   -EPROTONOSUPPORT  EAI_SERVICE: not known for that kind of socket
 *   -EINVAL           EAI_BADFLAGS
 *   -ENOMEM           EAI_MEMORY
 *   errno             EAI_SYSTEM
 * or -ETIMEDOUT, -ECANCELED, -EPERM (not in a coroutine).
 */
CEL_API CEL_NODISCARD int cel_resolve(const char *host, const char *service,
                                      const struct addrinfo *hints,
                                      struct addrinfo **out,
                                      cel_time deadline);

/** Free what cel_resolve() found; NULL is allowed.  Any thread.  Does not
    suspend. */
CEL_API void cel_resolve_free(struct addrinfo *found);

#ifdef __cplusplus
}
#endif

#endif
