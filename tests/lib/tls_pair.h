/* SPDX-License-Identifier: MIT */
/*
 * Two connections of TLS to each other.
 *
 * Threads: a run's.
 */
#ifndef CEL_TEST_TLS_PAIR_H
#define CEL_TEST_TLS_PAIR_H

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "celadon/net.h"
#include "celadon/run.h"
#include "celadon/tls.h"
#include "cert.h"
#include "coros.h"
#include "tap.h"

/* A moment that is only reached where something hangs. */
static inline cel_time
late(void)
{
    return cel_after((cel_time)(8e9 * tap_slow()));
}

/* Sides that trust each other's root, and two connections of theirs. */
struct world {
    struct cert root;
    struct cert cert; /* of www.test, *.wild.test and 127.0.0.1 */
    cel_tls_context *client;
    cel_tls_context *server;
};

static inline cel_tls_context *
make_server(const struct cert *cert)
{
    cel_tls_context *context;

    CHECK_EQ(cel_tls_context_open(&context, CEL_TLS_SERVER), 0);
    CHECK_EQ(
        cel_tls_context_use_certificate_text(context, cert->text, cert->key),
        0);
    return context;
}

static inline cel_tls_context *
make_client(const struct cert *root)
{
    cel_tls_context *context;

    CHECK_EQ(cel_tls_context_open(&context, CEL_TLS_CLIENT), 0);
    CHECK_EQ(cel_tls_context_trust_text(context, root->text), 0);
    return context;
}

static inline void
make_world(struct world *w)
{
    w->root = make_cert(
        &(struct wish){.name = "Root", .from = -DAY, .until = DAY});
    w->cert = make_cert(&(struct wish){
        .name = "www.test",
        .hosts = "DNS:www.test,DNS:*.wild.test,IP:127.0.0.1",
        .issuer = &w->root,
        .from = -DAY,
        .until = DAY,
    });
    w->client = make_client(&w->root);
    w->server = make_server(&w->cert);
}

static inline void
free_world(struct world *w)
{
    cel_tls_context_close(w->client);
    cel_tls_context_close(w->server);
    free_cert(&w->cert);
    free_cert(&w->root);
}

/* Both ends of a connection, and what their handshakes came to. */
struct both {
    cel_tls *client;
    cel_tls *server;
    int cerr;
    int serr;
    int fds[2]; /* the client's socket, the server's */
};

static inline void
serve_handshake(void *arg)
{
    struct both *b = arg;

    b->serr = cel_tls_handshake(b->server, late());
}

/* Sockets, and TLS over them without a handshake. */
static inline struct both
open_both(const struct world *w, const char *host)
{
    struct both b = {.cerr = -1, .serr = -1};

    CHECK_EQ(cel_socketpair(b.fds), 0);
    CHECK_EQ(cel_tls_open(&b.client, w->client, b.fds[0], host), 0);
    CHECK_EQ(cel_tls_open(&b.server, w->server, b.fds[1], NULL), 0);
    return b;
}

static inline void
shake_both(struct both *b)
{
    cel_coro *server = go(serve_handshake, b);

    b->cerr = cel_tls_handshake(b->client, late());
    join(server);
}

/* The same with the handshake, which may fail. */
static inline struct both
try_both(const struct world *w, const char *host)
{
    struct both b = open_both(w, host);

    shake_both(&b);
    return b;
}

/* The same; it must not fail. */
static inline struct both
connect_both(const struct world *w, const char *host)
{
    struct both b = try_both(w, host);

    CHECK_STR(cel_tls_reason(b.client), "");
    CHECK_EQ(b.cerr, 0);
    CHECK_EQ(b.serr, 0);
    return b;
}

static inline void
close_both(struct both *b)
{
    (void)cel_tls_close(b->client, late());
    (void)cel_tls_close(b->server, late());
}

/* One says `text`, the other hears it. */
static inline void
tell(cel_tls *from, cel_tls *to, const char *text)
{
    char buf[64];
    size_t len = strlen(text);
    size_t done = 0;

    CHECK_EQ(cel_tls_send(from, text, len, late()), (ssize_t)len);
    while (done < len) {
        ssize_t n = cel_tls_recv(to, buf + done, len - done, late());
        CHECK_GT(n, 0);
        done += (size_t)n;
    }
    CHECK_MEM(buf, text, len);
}

/* `text` has `part` in it. */
#define CHECK_SAYS(text, part)                                                \
    (strstr(text, part) != NULL                                               \
         ? (void)0                                                            \
         : FAIL("\"%s\" does not say \"%s\"", text, part))

#endif
