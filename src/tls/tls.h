/* SPDX-License-Identifier: MIT */
/*
 * What contexts and connections of TLS are inside; the rest is celadon/tls.h.
 *
 * This is a library of its own: of the engine it has the public calls only,
 * and what needs nothing else (stream/buffer.h, base/alloc.h).
 *
 * Threads: see celadon/tls.h.
 */
#ifndef CEL_TLS_H
#define CEL_TLS_H

#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "celadon/stream.h"
#include "celadon/sync.h"
#include "celadon/tls.h"
#include "stream/buffer.h"

/* Enough for a sentence and the subject of a certificate. */
#define CEL__TLS_REASON 256

/* How many hosts a client remembers a session of. */
#define CEL__TLS_SESSIONS 32

/* A host that a server has another context for. */
struct cel__tls_name {
    struct cel__tls_name *next;
    cel_tls_context *context; /* a reference */
    char text[];              /* as it was given */
};

/* A session to be resumed. */
struct cel__tls_session {
    char *host;           /* NULL: none here */
    SSL_SESSION *session; /* a reference */
};

struct cel_tls_context {
    atomic_int refs; /* the maker's, connections', other contexts' names */
    SSL_CTX *ctx;
    BIO_METHOD *method; /* of connections' BIOs */
    bool server;
    /* Was told whom to trust; under the lock once it has connections. */
    bool trusts;
    unsigned char *protocols; /* a server's, each after its length; or NULL */
    unsigned nprotocols;      /* bytes */
    struct cel__tls_name *names;

    /* Under the lock. */
    struct cel__tls_session sessions[CEL__TLS_SESSIONS];
    unsigned next_session; /* to be replaced */

    char reason[CEL__TLS_REASON];
};

/*
 * OpenSSL reads from and writes to memory, so nothing suspends within it: a
 * BIO takes what `raw` has buffered and appends to `out`.  Who holds `reader`
 * lets more come, who holds `writer` sends.
 *
 * Invariant: bytes in `going` are older than those in `out`.
 */
struct cel_tls {
    SSL *ssl;
    cel_tls_context *context; /* a reference */
    /* A client's peer; what a server's client has asked for; or NULL. */
    char *host;

    cel_mutex *reader;
    cel_stream *raw; /* over the socket; only read from */
    const char *in;  /* what `raw` has buffered */
    size_t inlen;    /* and how many bytes */
    bool ended;      /* nothing comes after that */

    cel_mutex *writer;
    int fd;                   /* raw's */
    struct cel__buffer out;   /* encrypted, to be sent */
    struct cel__buffer going; /* being sent; `writer`'s holder has it */
    bool shut;                /* close_notify was written */

    bool ready; /* the handshake is done */
    int broken; /* a negative errno: the connection is of no use any more */
    char protocol[256]; /* agreed on; "": none */
    char reason[CEL__TLS_REASON];
};

/* bio.c */

/* Make the methods of a context's BIOs.  Returns NULL where memory is
   short. */
BIO_METHOD *cel__tls_bio_method(void);

/* Let `tls` have its SSL read and write memory.  Returns 0 or -ENOMEM. */
int cel__tls_bio_open(cel_tls *tls);

/* context.c */

void cel__tls_context_get(cel_tls_context *context);

/* What connections change of their contexts is changed under this lock, one
   for all: a fork waits for it, and so a child never finds it taken. */
void cel__tls_context_lock(void);
void cel__tls_context_unlock(void);

/* Have somebody trusted, whom the system trusts if nobody was named.  Returns
   0 or as cel_tls_context_trust(). */
int cel__tls_context_default_trust(cel_tls_context *context);

/* name.c */

/* A name as a client's hello has it. */
struct cel__tls_asked {
    const char *text; /* without a 0 byte */
    size_t len;
};

/*
 * The host name in the extension of `size` bytes (RFC 6066, 3): the length of
 * a list, a kind (0: a host), a length, the name.  Returns whether there is
 * one.
 */
bool cel__tls_name_read(const unsigned char *bytes, size_t size,
                        struct cel__tls_asked *out);

/* Let `context` look at the names that clients ask for. */
void cel__tls_name_init(cel_tls_context *context);

/* Release all names. */
void cel__tls_name_fini(cel_tls_context *context);

/* session.c */

void cel__tls_session_init(cel_tls_context *context);
void cel__tls_session_fini(cel_tls_context *context);

/* Let `tls`, a client's, try to resume a session with its host. */
void cel__tls_session_resume(cel_tls *tls);

/* reason.c */

/* Write why OpenSSL's last call failed; returns the errno for it. */
int cel__tls_reason_of_queue(char *reason);

/*
 * SSL_get_error() said `error`, which is none to go on after.  Keep and return
 * what `tls` fails with from now on, and why.
 */
int cel__tls_reason_fail(cel_tls *tls, int error);

/* The socket failed with `err`: say so, if it is more than a wait that was
   ended.  Returns `err`. */
int cel__tls_reason_lost(cel_tls *tls, int err);

/* For SSL_set_verify(): notes which certificate is refused, and why. */
int cel__tls_reason_verify(int ok, X509_STORE_CTX *store);

/* transfer.c */

/*
 * Send what is there to be sent.  The caller holds `writer`.  Suspends.
 * Returns 0 or an error.
 */
int cel__tls_flush(cel_tls *tls, cel_time deadline);

/*
 * Let something come, or the end.  The caller holds `reader`.  Suspends.
 * Returns 0 or an error.
 */
int cel__tls_pump(cel_tls *tls, cel_time deadline);

/* cel_tls_send() of several pieces. */
ssize_t cel__tls_send(cel_tls *tls, const struct iovec *pieces, int npieces,
                      cel_time deadline);

#endif
