/* SPDX-License-Identifier: MIT */
/* Faults under TLS: in setting it up, in the handshake, in what is said. */
#include <errno.h>
#include <string.h>

#include <celadon/tls.h>

#include "cert.h"
#include "faults.h"

/* More than a socket's buffer holds, so that who sends must wait. */
#define MUCH ((size_t)300000)

static struct cert root;
static struct cert cert;
static char source[MUCH];
static char target[MUCH];

/* Once for all runs. */
__attribute__((constructor)) static void
make_certs(void)
{
    root = make_cert(
        &(struct wish){.name = "Root", .from = -DAY, .until = DAY});
    cert = make_cert(&(struct wish){.name = "www.test",
                                    .hosts = "DNS:www.test",
                                    .issuer = &root,
                                    .from = -DAY,
                                    .until = DAY});
}

/* A context of that side; NULL: the fault was there. */
static cel_tls_context *
open_context(int side)
{
    cel_tls_context *context = NULL;
    int err = CALL(cel_tls_context_open, &context, side);

    MUST((err == 0) == (context != NULL));
    if (err == 0 && side == CEL_TLS_SERVER) {
        err = CALL(cel_tls_context_use_certificate_text, context, cert.text,
                   cert.key);
    }
    else if (err == 0) {
        err = CALL(cel_tls_context_trust_text, context, root.text);
    }
    if (err < 0) {
        DO(cel_tls_context_close, context);
        return NULL;
    }
    return context;
}

SCENARIO(tls_context)
{
    cel_tls_context *server = open_context(CEL_TLS_SERVER);
    cel_tls_context *other = open_context(CEL_TLS_SERVER);

    if (server != NULL && other != NULL) {
        const char *nowhere = "/nowhere/at/all";
        (void)CALL(cel_tls_context_use_certificate, server, nowhere, nowhere);
        (void)CALL(cel_tls_context_trust, server, nowhere);
        MUST(CALL(cel_tls_context_reason, server) != 0);
        (void)CALL(cel_tls_context_verify, server, CEL_TLS_VERIFY_IF_GIVEN);
        (void)CALL(cel_tls_context_versions, server, 0, CEL_TLS_1_3);
        (void)CALL(cel_tls_context_ciphers, server, "HIGH", NULL);
        (void)CALL(cel_tls_context_protocols, server, "h2,http/1.1");
        (void)CALL(cel_tls_context_protocols, server, "h2");
        (void)CALL(cel_tls_context_name, server, "a.test", other);
        (void)CALL(cel_tls_context_name, server, "*.test", server);
        (void)CALL(cel_tls_context_openssl, server);
    }
    DO(cel_tls_context_close, server);
    DO(cel_tls_context_close, other);
}

/* What is asked of a connection in whichever state. */
static void
look(cel_tls *tls)
{
    char text[32];

    MUST(CALL(cel_tls_reason, tls) != 0 && CALL(cel_tls_version, tls) != 0);
    MUST(CALL(cel_tls_cipher, tls) != 0 && CALL(cel_tls_host, tls) != 0);
    MUST(CALL(cel_tls_protocol, tls) != 0 && CALL(cel_tls_openssl, tls) != 0);
    (void)CALL(cel_tls_verified, tls);
    (void)CALL(cel_tls_resumed, tls);
    (void)CALL(cel_tls_peer, tls, text, sizeof(text));
}

struct end {
    cel_tls_context *context;
    int fd;
};

/* A server: hears all, over a stream, and says a line. */
static void
serve(void *arg)
{
    const struct end *end = arg;
    cel_stream *stream = NULL;
    cel_tls *tls = NULL;

    if (CALL(cel_tls_open, &tls, end->context, end->fd, NULL) < 0) {
        MUST(tls == NULL);
        (void)CALL(cel_close, end->fd);
        return;
    }
    if (CALL(cel_tls_handshake, tls, soon()) < 0 ||
        CALL(cel_tls_stream, &stream, tls) < 0) {
        look(tls);
        (void)CALL(cel_tls_close, tls, soon());
        return;
    }
    ssize_t n = cel_stream_read_all(stream, target, MUCH, soon());
    (void)note("cel_stream_read_all", n);
    /* Whatever the fault was, nothing comes twice or out of order. */
    MUST(n < 0 || memcmp(target, source, (size_t)n) == 0);
    (void)CALL(cel_stream_printf, stream, soon(), "thanks\n");
    (void)CALL(cel_stream_close, stream, soon());
}

/* A client: goes on after what fails and does not end the connection. */
static void
talk(cel_tls *tls)
{
    char line[8];
    size_t done = 0;
    int nfailed = 0;

    while (done < MUCH && nfailed < 2) {
        ssize_t n = cel_tls_send(tls, source + done, MUCH - done, soon());
        (void)note("cel_tls_send", n);
        nfailed += n < 0;
        done += n < 0 ? 0 : (size_t)n;
    }
    if (CALL(cel_tls_shutdown, tls, soon()) == 0) {
        (void)CALL(cel_tls_recv, tls, line, sizeof(line), soon());
    }
}

static void
meet(cel_tls_context *client, cel_tls_context *server)
{
    struct end end = {.context = server};
    cel_tls *tls = NULL;
    cel_coro *coro;
    int fds[2];

    if (CALL(cel_socketpair, fds) < 0) {
        return;
    }
    end.fd = fds[1];
    if (CALL(cel_go, &coro, serve, &end) < 0) {
        (void)CALL(cel_close, fds[0]);
        (void)CALL(cel_close, fds[1]);
        return;
    }
    if (CALL(cel_tls_open, &tls, client, fds[0], "www.test") == 0) {
        if (CALL(cel_tls_handshake, tls, soon()) == 0) {
            talk(tls);
        }
        look(tls);
        (void)CALL(cel_tls_close, tls, soon());
    }
    else {
        MUST(tls == NULL);
        (void)CALL(cel_close, fds[0]);
    }
    finish(coro);
}

SCENARIO(tls)
{
    cel_tls_context *client = open_context(CEL_TLS_CLIENT);
    cel_tls_context *server = open_context(CEL_TLS_SERVER);

    for (size_t i = 0; i < MUCH; i++) {
        source[i] = (char)(i * 7 + i / 251);
    }
    if (client != NULL && server != NULL) {
        (void)CALL(cel_tls_context_protocols, client, "h2");
        (void)CALL(cel_tls_context_protocols, server, "h2");
        meet(client, server);
        meet(client, server); /* resumes */
    }
    DO(cel_tls_context_close, client);
    DO(cel_tls_context_close, server);
}
