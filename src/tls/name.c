/* SPDX-License-Identifier: MIT */
/*
 * A server of several names: which context a client gets (SNI).
 *
 * The choice is made as soon as the client has said hello, before a version,
 * a session or anything else is chosen: so all that the other context demands
 * counts, and no session of one host is resumed with another.
 *
 * Threads: the connection's; names are not changed once there are any.
 *
 * Tests: unit/test_tls.c, fuzz/fuzz_sni.c
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "tls/tls.h"

bool
cel__tls_name_read(const unsigned char *bytes, size_t size,
                   struct cel__tls_asked *out)
{
    if (size < 5 || bytes[2] != TLSEXT_NAMETYPE_host_name) {
        return false;
    }
    size_t list = (size_t)bytes[0] << 8 | bytes[1];
    size_t len = (size_t)bytes[3] << 8 | bytes[4];
    if (list != size - 2 || len > size - 5) {
        return false;
    }
    out->text = (const char *)bytes + 5;
    out->len = len;
    return memchr(out->text, '\0', len) == NULL;
}

static bool
same(const char *name, const char *text, size_t len)
{
    return strlen(name) == len && strncasecmp(name, text, len) == 0;
}

/* Whether `name` is the one asked for, or is "*.more" and covers it. */
static bool
covers(const char *name, const struct cel__tls_asked *asked)
{
    if (name[0] != '*') {
        return same(name, asked->text, asked->len);
    }
    const char *dot = memchr(asked->text, '.', asked->len);
    if (dot == NULL || dot == asked->text) {
        return false;
    }
    return same(name + 1, dot, asked->len - (size_t)(dot - asked->text));
}

static void
become(SSL *ssl, const cel_tls_context *other)
{
    SSL_CTX *ctx = other->ctx;

    /* The demands are each connection's own: they do not come along. */
    (void)SSL_set_SSL_CTX(ssl, ctx);
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(ctx), cel__tls_reason_verify);
    (void)SSL_set_min_proto_version(ssl,
                                    (int)SSL_CTX_get_min_proto_version(ctx));
    (void)SSL_set_max_proto_version(ssl,
                                    (int)SSL_CTX_get_max_proto_version(ctx));
}

static int
hello(SSL *ssl, int *alert, /* NOLINT(readability-non-const-parameter) */
      void *arg)
{
    const cel_tls_context *context = arg;
    const unsigned char *bytes;
    size_t size;
    struct cel__tls_asked asked;
    cel_tls *tls = SSL_get_app_data(ssl);

    (void)alert;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes,
                                  &size) != 1 ||
        !cel__tls_name_read(bytes, size, &asked)) {
        return SSL_CLIENT_HELLO_SUCCESS;
    }
    /* A client that is asked again says hello twice. */
    free(tls->host);
    tls->host = cel__alloc_text(asked.text, asked.len);
    const struct cel__tls_name *best = NULL;
    for (const struct cel__tls_name *name = context->names; name != NULL;
         name = name->next) {
        if (covers(name->text, &asked) &&
            (best == NULL || best->text[0] == '*')) {
            best = name;
        }
    }
    if (best != NULL) {
        become(ssl, best->context);
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

void
cel__tls_name_init(cel_tls_context *context)
{
    SSL_CTX_set_client_hello_cb(context->ctx, hello, context);
}

void
cel__tls_name_fini(cel_tls_context *context)
{
    while (context->names != NULL) {
        struct cel__tls_name *name = context->names;
        context->names = name->next;
        if (name->context != context) {
            cel_tls_context_close(name->context);
        }
        free(name);
    }
}

int
cel_tls_context_name(cel_tls_context *context, const char *name,
                     cel_tls_context *other)
{
    size_t len = strlen(name);

    if (!context->server || !other->server || len == 0) {
        return -EINVAL;
    }
    struct cel__tls_name *entry = cel__alloc(sizeof(*entry) + len + 1);
    if (entry == NULL) {
        return -ENOMEM;
    }
    memcpy(entry->text, name, len + 1);
    if (other != context) {
        cel__tls_context_get(other); /* a context must not hold itself */
    }
    entry->context = other;
    entry->next = context->names;
    context->names = entry;
    return 0;
}
