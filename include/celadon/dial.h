/* SPDX-License-Identifier: MIT */
/*
 * Connections to names, and listening at them.
 *
 * What net.h says of errors, descriptors and suspending holds here.
 *
 * Threads: as net.h.
 */
#ifndef CELADON_DIAL_H
#define CELADON_DIAL_H

#include "celadon/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Connect a stream to `host`, a name or an address, at `service`, a port's
 * number or name.  With `service` NULL `host` has both:
 *   example.org:80, 127.0.0.1:http, [::1]:80
 *   unix:/run/server.sock, unix:@name   (see cel_addr_parse())
 *
 * Of several addresses those of IPv6 and IPv4 are tried in turn, beginning
 * with the family of the first; the next one 250 ms after the one before, or
 * at once where that has failed.  The first that stands wins, the others are
 * closed (RFC 8305).
 *
 * Suspends until a connection stands, all have failed, or `deadline`; then
 * nothing is left of them.  Returns the descriptor, which is owned, or a
 * negative errno:
 *   -EINVAL  `host` is NULL, or has no form of the above
 *   -ENOENT  no such host or service
 *   -EAGAIN  the name servers can't tell now
 *   others   as for all, and as cel_resolve() and cel_connect().  Where all
 *            addresses fail: of the first that was reached, or else of the
 *            first
 */
CEL_API CEL_NODISCARD int cel_dial(const char *host, const char *service,
                                   cel_time deadline);

/**
 * Listen for streams at `where`:
 *   :8080                   any address of this machine, IPv6 and IPv4; IPv4
 *                           alone where the system has no IPv6
 *   *:8080                  any IPv4 address
 *   [::]:8080               any IPv6 address, and IPv4 without CEL_V6ONLY
 *   127.0.0.1:80, [::1]:80  one address
 *   host:80                 the first of the host's that this machine has
 *   unix:/path, unix:@name  a unix socket
 * A port may be a name.  `backlog` and `flags` are cel_listen()'s.
 *
 * Suspends where a name is to be looked up, until then or `deadline`.  Returns
 * the descriptor, or a negative errno:
 *   -EINVAL         `where` has no such form, or unknown flags
 *   -EADDRINUSE     somebody listens there, or, of a unix socket, its file is
 *                   there yet
 *   -EADDRNOTAVAIL  the address is another machine's
 *   others          as cel_resolve() and cel_listen()
 */
CEL_API CEL_NODISCARD int cel_listen_at(const char *where, int backlog,
                                        int flags, cel_time deadline);

#ifdef __cplusplus
}
#endif

#endif
