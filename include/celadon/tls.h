/* SPDX-License-Identifier: MIT */
/*
 * Secure sockets: TLS 1.2 and 1.3, a client's and a server's side.
 *
 * OpenSSL 3 does the work, hence it is a library of its own:
 * `pkg-config celadon-tls`.
 *
 *     cel_tls_context_open(&context, CEL_TLS_CLIENT);
 *     fd = cel_connect(...);
 *     cel_tls_open(&tls, context, fd, "example.org");
 *     if (cel_tls_handshake(tls, deadline) < 0) { puts(cel_tls_reason(tls)) }
 *     cel_tls_send(tls, ...); cel_tls_recv(tls, ...);
 *     cel_tls_close(tls, deadline);
 *
 * A client trusts whom the system trusts, unless it is told otherwise, and
 * refuses a server whose certificate is not signed by those, is not valid at
 * the moment, or is not for the name that was asked for.
 *
 * One coroutine may receive while another sends; of several that do the same,
 * each is served in its turn.
 *
 * Errors of these calls, beside what a descriptor's may return (net.h):
 *   -EKEYREJECTED  the peer's certificate is refused
 *   -EPROTO        the peer does not speak TLS, or breaks its rules, or has
 *                  told us by an alert that we do
 *   -ECONNABORTED  the peer closed the connection without a word; what it
 *                  wanted to send may be cut short
 *   -ENOTCONN      the handshake was not made
 * cel_tls_reason() tells more of them.  All but the last end the connection:
 * each later call returns the same.
 *
 * Every call that may suspend returns -EPERM on a thread that runs no
 * coroutines, and may return -ETIMEDOUT, -ECANCELED, -ENOMEM as in net.h; "as
 * for all" below means these and the above.
 *
 * Threads: a connection's calls are of one thread.  Contexts are set up by
 * one; then any thread may open connections with them.
 */
#ifndef CELADON_TLS_H
#define CELADON_TLS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "celadon/base.h"
#include "celadon/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Contexts: what connections have in common.  Each call that sets something
 * is made before the first connection.  Those that read files keep the thread
 * waiting for the disk.
 */

/** What connections have in common. */
typedef struct cel_tls_context cel_tls_context;

/** The sides, for cel_tls_context_open(). */
#define CEL_TLS_CLIENT 0
#define CEL_TLS_SERVER 1

/**
 * Make a context for connections of that `side`: TLS 1.2 and 1.3, a client's
 * verify their peers, a server's ask for no certificate.  A server's needs a
 * certificate.  Does not suspend.  Returns 0, -ENOMEM or -EINVAL.
 */
CEL_API CEL_NODISCARD int cel_tls_context_open(cel_tls_context **out,
                                               int side);

/**
 * Let go of `context`; connections that use it keep it alive.  NULL is
 * allowed.  Does not suspend.
 */
CEL_API void cel_tls_context_close(cel_tls_context *context);

/**
 * Why the last call that set something in `context` failed: a text that is
 * valid until the next one, "" where none did.  Does not suspend.
 */
CEL_API const char *cel_tls_context_reason(const cel_tls_context *context);

/**
 * Show peers the certificate in the PEM file `chain`, with those that lead to
 * a root after it; `key` is the PEM file of its private key, without a
 * password.  Once for each kind of key.
 *
 * Does not suspend.  Returns 0, -ENOMEM, -EINVAL (there is no certificate or
 * key in it, or they do not belong together; see cel_tls_context_reason()), or
 * as open(2) and read(2), among them -ENOENT.
 */
CEL_API CEL_NODISCARD int cel_tls_context_use_certificate(
    cel_tls_context *context, const char *chain, const char *key);

/** The same, of texts of the files in memory.  Does not suspend.  Returns 0,
    -ENOMEM or -EINVAL. */
CEL_API CEL_NODISCARD int cel_tls_context_use_certificate_text(
    cel_tls_context *context, const char *chain, const char *key);

/**
 * Trust those who sign with the certificates in `path`: a PEM file, or a
 * folder as c_rehash(1) makes them; NULL: whom the system trusts.  May be
 * called again, for more.  Without any call a client trusts whom the system
 * trusts and a server nobody.
 *
 * Does not suspend.  Returns 0, -ENOMEM, -EINVAL (no certificate is in it), or
 * as open(2) and read(2), among them -ENOENT.
 */
CEL_API CEL_NODISCARD int cel_tls_context_trust(cel_tls_context *context,
                                                const char *path);

/** The same, of the text of a PEM file in memory.  Does not suspend.  Returns
    0, -ENOMEM or -EINVAL. */
CEL_API CEL_NODISCARD int cel_tls_context_trust_text(cel_tls_context *context,
                                                     const char *text);

/** Ask for no certificate of the peer, or accept any. */
#define CEL_TLS_VERIFY_NONE 0
/** Ask for one; who has none is welcome, who has a wrong one is refused.  A
    server's; with a client it is as CEL_TLS_VERIFY. */
#define CEL_TLS_VERIFY_IF_GIVEN 1
/** Refuse who has none, or a wrong one. */
#define CEL_TLS_VERIFY 2

/** Say what is asked of the peer's certificate.  Does not suspend.  Returns 0
    or -EINVAL (no such mode). */
CEL_API CEL_NODISCARD int cel_tls_context_verify(cel_tls_context *context,
                                                 int mode);

/** Versions of the protocol. */
#define CEL_TLS_1_2 0x0303
#define CEL_TLS_1_3 0x0304

/** Speak the versions from `least` to `most` only; 0: no limit.  Does not
    suspend.  Returns 0 or -EINVAL (no such versions). */
CEL_API CEL_NODISCARD int cel_tls_context_versions(cel_tls_context *context,
                                                   int least, int most);

/** Offer and accept only these ciphers, in OpenSSL's way to name them: of TLS
    1.2 and of TLS 1.3, NULL: as it is.  Does not suspend.  Returns 0, -ENOMEM
    or -EINVAL (no such cipher). */
CEL_API CEL_NODISCARD int cel_tls_context_ciphers(cel_tls_context *context,
                                                  const char *tls12,
                                                  const char *tls13);

/**
 * Speak one of these protocols above TLS (ALPN), the best first, with commas
 * between: "h2,http/1.1".  A client offers them; a server chooses, and
 * refuses a client that offers others only.
 *
 * Does not suspend.  Returns 0, -ENOMEM or -EINVAL (a name is empty or too
 * long).
 */
CEL_API CEL_NODISCARD int cel_tls_context_protocols(cel_tls_context *context,
                                                    const char *names);

/**
 * To a client that asks for the host `name` (SNI), or where that is "*.more",
 * for one word and ".more", be as `other` says, whose certificate, trust,
 * demands, versions and protocols count then.  `other` is kept alive; two that
 * name each other are so for ever.
 *
 * Does not suspend.  Returns 0, -ENOMEM or -EINVAL (`name` is empty, or one of
 * both is no server's).
 */
CEL_API CEL_NODISCARD int cel_tls_context_name(cel_tls_context *context,
                                               const char *name,
                                               cel_tls_context *other);

/** The SSL_CTX of OpenSSL, for what has no call here.  Does not suspend. */
CEL_API void *cel_tls_context_openssl(cel_tls_context *context);

/*
 * Connections.
 */

/** A connection. */
typedef struct cel_tls cel_tls;

/**
 * Make a connection of TLS over the stream socket `fd`, which it has and
 * closes from now on.  `host`, a client's: the name or the numeric address
 * that the server must have proof of, and a name is told to the server (SNI);
 * NULL only where nothing is verified.  A server's is NULL.
 *
 * Does not suspend.  Returns 0, -ENOMEM, -EBADF or -EINVAL (a host is missing,
 * or is none); on error `fd` is still the caller's, and `*out` as
 * it was.
 */
CEL_API CEL_NODISCARD int cel_tls_open(cel_tls **out, cel_tls_context *context,
                                       int fd, const char *host);

/**
 * Agree with the peer on how to go on; before that nothing else is possible.
 *
 * Suspends.  Returns 0 (also if it is done already), or a negative errno: as
 * for all, but never -ENOTCONN, and as recv(2) and send(2).  After -ETIMEDOUT
 * and -ECANCELED
 * it may be called again, and goes on.
 */
CEL_API CEL_NODISCARD int cel_tls_handshake(cel_tls *tls, cel_time deadline);

/**
 * Receive up to `len` bytes into `buf`.
 *
 * Suspends until there is something, the peer has ended the stream, or
 * `deadline`; may suspend even so.  Returns how many bytes; 0: the peer has
 * said that this is the end; or a negative errno: as for all, and as
 * recv(2).
 */
CEL_API CEL_NODISCARD ssize_t cel_tls_recv(cel_tls *tls, void *buf, size_t len,
                                           cel_time deadline);

/**
 * Send `len` bytes of `buf`.
 *
 * Suspends until they are in the socket's buffer or `deadline`; may suspend
 * even so.  Returns `len`; or fewer, where an error came after that many,
 * which the next call tells; or a negative errno: as for all, as send(2), and
 *   -EPIPE       the peer is gone, or cel_tls_shutdown() was called
 * Where it is fewer, up to 80 KiB of what was counted may still be here,
 * encrypted; they leave with the next call that sends, receives or closes.
 */
CEL_API CEL_NODISCARD ssize_t cel_tls_send(cel_tls *tls, const void *buf,
                                           size_t len, cel_time deadline);

/**
 * Tell the peer that nothing more will be sent (close_notify).  Receiving goes
 * on.
 *
 * Suspends as cel_tls_send().  Returns 0 (also if it is done already), or a
 * negative errno: as for all, and as send(2).
 */
CEL_API CEL_NODISCARD int cel_tls_shutdown(cel_tls *tls, cel_time deadline);

/**
 * Shut `tls` down, unless that was done or can not be, until `deadline`; close
 * its socket and release it, in any case.  NULL is allowed.  Nobody else may
 * be in a call of it: cancel them, or cel_shutdown() its socket, and join.
 *
 * Suspends as cel_tls_send().  Returns 0, or why the peer was not told, as
 * cel_tls_shutdown(), or as cel_close().
 */
CEL_API int cel_tls_close(cel_tls *tls, cel_time deadline);

/**
 * Make a buffered stream over `tls`, which the stream has from now on, and
 * closes.  Does not suspend.  Returns 0 or -ENOMEM, and then `tls` is still
 * the caller's, and `*out` as it was.
 */
CEL_API CEL_NODISCARD int cel_tls_stream(cel_stream **out, cel_tls *tls);

/*
 * What is known of a connection.  Texts are valid as long as it is.
 */

/**
 * Why the last call failed, "" where there is nothing to say: of a refused
 * certificate, which one and why.  Does not suspend.
 */
CEL_API const char *cel_tls_reason(const cel_tls *tls);

/** "TLSv1.2", "TLSv1.3".  Does not suspend. */
CEL_API const char *cel_tls_version(const cel_tls *tls);

/** The cipher, in OpenSSL's way to name it; "" before the handshake.  Does not
    suspend. */
CEL_API const char *cel_tls_cipher(const cel_tls *tls);

/** The protocol agreed on (ALPN); "" where none was.  Does not suspend. */
CEL_API const char *cel_tls_protocol(const cel_tls *tls);

/** The host that the client asked for (SNI); "" where it did not.  Does not
    suspend. */
CEL_API const char *cel_tls_host(const cel_tls *tls);

/** Whether the peer has a certificate and it was verified.  Does not
    suspend. */
CEL_API int cel_tls_verified(const cel_tls *tls);

/** Whether an earlier session was resumed; clients try by themselves.  Does
    not suspend. */
CEL_API int cel_tls_resumed(const cel_tls *tls);

/**
 * The subject of the peer's certificate, verified or not, as "CN=name,O=…",
 * cut to `size` bytes, the 0 byte included.
 *
 * Does not suspend.  Returns the whole length, -ENOENT (it has none) or
 * -ENOMEM.
 */
CEL_API int cel_tls_peer(const cel_tls *tls, char *text, size_t size);

/** The SSL of OpenSSL, for what has no call here; it must not read or write.
    Does not suspend. */
CEL_API void *cel_tls_openssl(cel_tls *tls);

#ifdef __cplusplus
}
#endif

#endif
