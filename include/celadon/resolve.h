/* SPDX-License-Identifier: MIT */
/*
 * Names to addresses.
 *
 * Where the library was built with c-ares (Meson's option `dns`) names are
 * looked up on the coroutine's own loop, by any number at once and without a
 * thread: the hosts file, then the name servers of /etc/resolv.conf, with its
 * search list and options.  Answers are remembered as long as they say they
 * live, up to 256 names a thread and an hour; that there is no such name, or
 * no address of that kind, as the zone says (RFC 2308), up to a minute.  The
 * file is read anew when it has changed.
 *
 * The C library's getaddrinfo() is called on a thread of the pool (see
 * pool.h) instead where
 *   - /etc/nsswitch.conf wants host names from elsewhere too (mdns, resolve,
 *     myhostname, …), for which it has modules and c-ares none;
 *   - the hints ask for what c-ares can't: AI_IDN and the like, AI_ALL, IPv4
 *     as IPv6 (AI_V4MAPPED with AF_INET6), another family;
 *   - only the name of the service is to be looked up.
 *
 * The environment chooses otherwise: CELADON_RESOLVER=ares or =system; and
 * CELADON_DNS=ADDRESS:PORT,… names servers to ask in place of the system's.
 * cel_info_report() tells what was chosen, and why.
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
 * As getaddrinfo(3): `host`, `service` and `hints` may be NULL as there.  The
 * addresses are left in `*out`, for cel_resolve_free() and nothing else.
 * Numeric hosts and services are read on the spot.
 *
 * Suspends until the addresses are there or `deadline`; may suspend even
 * where they are remembered.  Giving up leaves other look-ups alone.  Returns
 * 0, or, with `*out` as it was, a negative errno:
 *   -ENOENT           no such host or service, or it has no addresses of that
 *                     kind (EAI_NONAME, EAI_NODATA)
 *   -EAGAIN           the name servers did not answer, or can't now
 *                     (EAI_AGAIN); also where the pool could start no thread
 *   -EIO              they answered with an error (EAI_FAIL)
 *   -EAFNOSUPPORT     EAI_FAMILY, EAI_ADDRFAMILY
 *   -ESOCKTNOSUPPORT  EAI_SOCKTYPE
 *   -EPROTONOSUPPORT  EAI_SERVICE: not known for that kind of socket; or a
 *                     number above 65535, which is no port
 *   -EINVAL           EAI_BADFLAGS
 *   -ENOMEM           EAI_MEMORY
 *   errno             EAI_SYSTEM
 *   -ETIMEDOUT        `deadline` passed first; numeric ones and names that
 *                     are remembered are found in any case
 *   -ECANCELED        the coroutine was cancelled
 *   -EPERM            not in a coroutine
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
