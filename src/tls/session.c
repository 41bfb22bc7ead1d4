/* SPDX-License-Identifier: MIT */
/*
 * Sessions that a client may resume, which saves the certificates and their
 * verification: the last one of each host, of a number of hosts.
 *
 * A session of TLS 1.3 is used once, as RFC 8446 asks (C.4), and the server
 * hands out others with each connection; one of TLS 1.2 until it is replaced.
 * A session was verified by the rules of its context, so none is shared among
 * contexts.
 *
 * Servers keep nothing: they hand out tickets.  The mark of each context is
 * random, so that none takes another's.
 *
 * Threads: any; the table is changed under the lock of contexts, which is
 * never held across anything that waits.
 *
 * Tests: unit/test_tls.c
 */
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "tls/tls.h"

/* The session of `host`, or NULL.  The caller holds the lock. */
static struct cel__tls_session *
find(cel_tls_context *context, const char *host)
{
    for (unsigned i = 0; i < CEL__TLS_SESSIONS; i++) {
        struct cel__tls_session *entry = &context->sessions[i];
        if (entry->host != NULL && strcasecmp(entry->host, host) == 0) {
            return entry;
        }
    }
    return NULL;
}

static void
drop(struct cel__tls_session *entry)
{
    free(entry->host);
    SSL_SESSION_free(entry->session);
    entry->host = NULL;
    entry->session = NULL;
}

/* OpenSSL has a new session.  Returns 1 where the reference is kept. */
static int
keep(SSL *ssl, SSL_SESSION *session)
{
    const cel_tls *tls = SSL_get_app_data(ssl);
    cel_tls_context *context = tls->context;
    char *host = tls->host == NULL
                     ? NULL
                     : cel__alloc_text(tls->host, strlen(tls->host));

    if (host == NULL) {
        return 0;
    }
    cel__tls_context_lock();
    struct cel__tls_session *entry = find(context, host);
    if (entry == NULL) {
        entry = &context->sessions[context->next_session];
        context->next_session = (context->next_session + 1) %
                                CEL__TLS_SESSIONS;
    }
    drop(entry);
    entry->host = host;
    entry->session = session;
    cel__tls_context_unlock();
    return 1;
}

void
cel__tls_session_init(cel_tls_context *context)
{
    unsigned char mark[16];
    SSL_CTX *ctx = context->ctx;

    if (context->server) {
        (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        if (RAND_bytes(mark, sizeof(mark)) == 1) {
            (void)SSL_CTX_set_session_id_context(ctx, mark, sizeof(mark));
        }
        return;
    }
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT |
                                                  SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep);
}

void
cel__tls_session_fini(cel_tls_context *context)
{
    for (unsigned i = 0; i < CEL__TLS_SESSIONS; i++) {
        drop(&context->sessions[i]);
    }
}

void
cel__tls_session_resume(cel_tls *tls)
{
    cel_tls_context *context = tls->context;

    cel__tls_context_lock();
    struct cel__tls_session *entry = find(context, tls->host);
    if (entry != NULL) {
        (void)SSL_set_session(tls->ssl, entry->session);
        if (SSL_SESSION_get_protocol_version(entry->session) != CEL_TLS_1_2) {
            drop(entry);
        }
    }
    cel__tls_context_unlock();
}
