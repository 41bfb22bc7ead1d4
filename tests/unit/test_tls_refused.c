/* SPDX-License-Identifier: MIT */
/*
 * Who is refused, and what is said of it; and what is no TLS at all.
 */
#include "celadon/tls.h"

#include "tls_pair.h"

/* A client that trusts w's root meets a server with such a certificate: it is
   refused, for a reason that has `why` in it; and the server hears of it. */
static void
refused(struct world *w, const struct wish *wish, const char *host,
        const char *why)
{
    struct cert cert = make_cert(wish);
    cel_tls_context *before = w->server;
    char byte;

    w->server = make_server(&cert);
    struct both b = try_both(w, host);
    CHECK_EQ(b.cerr, -EKEYREJECTED);
    CHECK_SAYS(cel_tls_reason(b.client), why);
    CHECK_EQ(cel_tls_recv(b.client, &byte, 1, late()), -EKEYREJECTED);
    CHECK_EQ(cel_tls_send(b.client, &byte, 1, late()), -EKEYREJECTED);
    CHECK_EQ(cel_tls_handshake(b.client, late()), -EKEYREJECTED);
    CHECK_EQ(b.serr, -EPROTO);
    CHECK_SAYS(cel_tls_reason(b.server), "the peer says: ");
    close_both(&b);
    cel_tls_context_close(w->server);
    w->server = before;
    free_cert(&cert);
}

static int
wrong_hosts(void *arg)
{
    struct world w;
    struct wish wish = {"www.test", "DNS:www.test,DNS:*.wild.test", NULL, -DAY,
                        DAY};

    (void)arg;
    make_world(&w);
    wish.issuer = &w.root;
    refused(&w, &wish, "other.test", "ostname mismatch, not for other.test");
    refused(&w, &wish, "other.test", "/CN=www.test");
    refused(&w, &wish, "a.b.wild.test", "ostname mismatch");
    refused(&w, &wish, "wild.test", "ostname mismatch");
    refused(&w, &wish, "127.0.0.1", "IP address mismatch");
    wish.hosts = "IP:::1";
    refused(&w, &wish, "www.test", "ostname mismatch");
    wish.hosts = "DNS:w*.test";
    refused(&w, &wish, "www.test", "ostname mismatch");
    free_world(&w);
    return 0;
}

TEST(a_certificate_for_another_host_is_refused)
{
    run(wrong_hosts);
}

static int
wrong_times(void *arg)
{
    struct world w;
    struct wish wish = {"www.test", "DNS:www.test", NULL, -DAY, -60};

    (void)arg;
    make_world(&w);
    wish.issuer = &w.root;
    refused(&w, &wish, "www.test", "certificate has expired (depth 0, /CN=");
    wish.from = 3600;
    wish.until = DAY;
    refused(&w, &wish, "www.test", "certificate is not yet valid");
    free_world(&w);
    return 0;
}

TEST(a_certificate_out_of_its_time_is_refused)
{
    run(wrong_times);
}

static int
wrong_signers(void *arg)
{
    struct world w;
    struct wish wish = {"www.test", "DNS:www.test", NULL, -DAY, DAY};
    struct cert other = make_cert(
        &(struct wish){.name = "Other", .from = -DAY, .until = DAY});

    (void)arg;
    make_world(&w);
    refused(&w, &wish, "www.test", "self-signed certificate");
    wish.issuer = &other;
    refused(&w, &wish, "www.test", "unable to get local issuer certificate");
    wish.issuer = &w.cert; /* which may sign nothing */
    refused(&w, &wish, "www.test", "certificate refused: ");
    /* Without a word about trust: whom the system trusts, not ours. */
    cel_tls_context_close(w.client);
    CHECK_EQ(cel_tls_context_open(&w.client, CEL_TLS_CLIENT), 0);
    wish.issuer = NULL;
    refused(&w, &wish, "www.test", "self-signed certificate");
    free_cert(&other);
    free_world(&w);
    return 0;
}

TEST(a_certificate_of_an_unknown_signer_is_refused)
{
    run(wrong_signers);
}

static int
right_hosts(void *arg)
{
    static const char *const hosts[] = {"www.test", "WWW.Test", "a.wild.test",
                                        "127.0.0.1"};
    struct world w;

    (void)arg;
    make_world(&w);
    for (size_t i = 0; i < 4; i++) {
        struct both b = connect_both(&w, hosts[i]);
        CHECK_EQ(cel_tls_verified(b.client), 1);
        /* An address is asked for, but not by SNI. */
        CHECK_STR(cel_tls_host(b.server), i < 3 ? hosts[i] : "");
        tell(b.client, b.server, "hello");
        close_both(&b);
    }
    free_world(&w);
    return 0;
}

TEST(hosts_of_the_certificate_are_accepted)
{
    run(right_hosts);
}

static int
careless(void *arg)
{
    struct world w;
    struct cert cert = make_cert(
        &(struct wish){"any", "DNS:any", NULL, -DAY, -60});

    (void)arg;
    make_world(&w);
    cel_tls_context_close(w.server);
    w.server = make_server(&cert);
    CHECK_EQ(cel_tls_context_verify(w.client, CEL_TLS_VERIFY_NONE), 0);
    struct both b = connect_both(&w, NULL);
    CHECK_EQ(cel_tls_verified(b.client), 0);
    CHECK_STR(cel_tls_host(b.server), "");
    tell(b.client, b.server, "hello");
    close_both(&b);
    free_world(&w);
    free_cert(&cert);
    return 0;
}

TEST(who_does_not_verify_takes_anybody)
{
    run(careless);
}

static int
no_host(void *arg)
{
    struct world w;
    cel_tls *tls = NULL;
    int fds[2];

    (void)arg;
    make_world(&w);
    CHECK_EQ(cel_socketpair(fds), 0);
    CHECK_EQ(cel_tls_open(&tls, w.client, fds[0], NULL), -EINVAL);
    CHECK_EQ(cel_tls_open(&tls, w.client, fds[0], ""), -EINVAL);
    CHECK_EQ(cel_tls_open(&tls, w.server, fds[0], "www.test"), -EINVAL);
    CHECK_EQ(cel_tls_open(&tls, w.client, -1, "www.test"), -EBADF);
    CHECK_PTR(tls, NULL);
    CHECK_EQ(cel_close(fds[0]), 0);
    CHECK_EQ(cel_close(fds[1]), 0);
    free_world(&w);
    return 0;
}

TEST(who_verifies_must_say_whom)
{
    run(no_host);
}

/*
 * Clients with certificates.
 */

static int
clients(void *arg)
{
    struct world w;
    char text[32];
    char byte;

    (void)arg;
    make_world(&w);
    CHECK_EQ(cel_tls_context_trust_text(w.server, w.root.text), 0);
    CHECK_EQ(cel_tls_context_verify(w.server, CEL_TLS_VERIFY_IF_GIVEN), 0);
    struct both b = connect_both(&w, "www.test");
    CHECK_EQ(cel_tls_verified(b.server), 0);
    close_both(&b);

    CHECK_EQ(cel_tls_context_verify(w.server, CEL_TLS_VERIFY), 0);
    b = try_both(&w, "www.test");
    CHECK_EQ(b.serr, -EPROTO);
    CHECK_SAYS(cel_tls_reason(b.server), "did not return a certificate");
    CHECK_EQ(b.cerr, 0); /* of TLS 1.3, that is told later */
    CHECK_EQ(cel_tls_recv(b.client, &byte, 1, late()), -EPROTO);
    CHECK_SAYS(cel_tls_reason(b.client), "certificate required");
    close_both(&b);

    CHECK_EQ(cel_tls_context_use_certificate_text(w.client, w.cert.text,
                                                  w.cert.key),
             0);
    b = connect_both(&w, "www.test");
    tell(b.client, b.server, "it is me");
    CHECK_EQ(cel_tls_verified(b.server), 1);
    CHECK_EQ(cel_tls_peer(b.server, text, sizeof(text)), 11);
    CHECK_STR(text, "CN=www.test");
    close_both(&b);

    CHECK_EQ(cel_tls_context_verify(w.server, CEL_TLS_VERIFY_IF_GIVEN), 0);
    struct cert own = make_cert(
        &(struct wish){"me", "DNS:me", NULL, -DAY, DAY});
    CHECK_EQ(cel_tls_context_use_certificate_text(w.client, own.text, own.key),
             0);
    b = try_both(&w, "www.test");
    CHECK_EQ(b.serr, -EKEYREJECTED);
    CHECK_SAYS(cel_tls_reason(b.server), "self-signed certificate");
    close_both(&b);
    free_cert(&own);
    free_world(&w);
    return 0;
}

TEST(clients_are_asked_for_certificates)
{
    run(clients);
}

static int
versions_apart(void *arg)
{
    struct world w;

    (void)arg;
    make_world(&w);
    CHECK_EQ(cel_tls_context_versions(w.server, CEL_TLS_1_3, 0), 0);
    CHECK_EQ(cel_tls_context_versions(w.client, 0, CEL_TLS_1_2), 0);
    struct both b = try_both(&w, "www.test");
    CHECK_EQ(b.serr, -EPROTO);
    CHECK_SAYS(cel_tls_reason(b.server), "unsupported protocol");
    CHECK_EQ(b.cerr, -EPROTO);
    CHECK_SAYS(cel_tls_reason(b.client), "the peer says: ");
    CHECK_SAYS(cel_tls_reason(b.client), "protocol version");
    close_both(&b);
    free_world(&w);
    return 0;
}

TEST(versions_that_do_not_meet_are_an_error)
{
    run(versions_apart);
}

/*
 * What is no TLS.
 */

struct words {
    int fd;
    const char *text;
};

/* Say something without TLS, and wait for the end. */
static void
speak_plainly(void *arg)
{
    const struct words *words = arg;
    char buf[64];
    size_t len = strlen(words->text);

    /* Some have heard enough before the end. */
    CHECK_GT(cel_send_all(words->fd, words->text, len, late()), 0);
    while (cel_recv(words->fd, buf, sizeof(buf), 0, late()) > 0) {}
    CHECK_EQ(cel_close(words->fd), 0);
}

static void
meets(cel_tls_context *context, const char *host, const char *text,
      const char *why)
{
    struct words words = {.text = text};
    cel_tls *tls;
    int fds[2];

    CHECK_EQ(cel_socketpair(fds), 0);
    words.fd = fds[1];
    CHECK_EQ(cel_tls_open(&tls, context, fds[0], host), 0);
    cel_coro *plain = go(speak_plainly, &words);
    CHECK_EQ(cel_tls_handshake(tls, late()), -EPROTO);
    CHECK_SAYS(cel_tls_reason(tls), why);
    CHECK_EQ(cel_tls_close(tls, late()), 0);
    join(plain);
}

static int
plain_text(void *arg)
{
    struct world w;

    (void)arg;
    make_world(&w);
    meets(w.server, NULL, "GET / HTTP/1.1\r\nHost: www.test\r\n\r\n",
          "http request");
    meets(w.server, NULL, "SSH-2.0-OpenSSH_9.2\r\n", "wrong version number");
    meets(w.server, NULL,
          "\x16\x03\x01\x7f\x7f"
          "hello",
          "length");
    meets(w.client, "www.test", "220 mail.test ESMTP\r\n",
          "wrong version number");
    free_world(&w);
    return 0;
}

TEST(what_is_no_tls_is_called_so)
{
    run(plain_text);
}

static int
hung_up(void *arg)
{
    struct world w;
    cel_tls *tls;
    int fds[2];

    (void)arg;
    make_world(&w);
    CHECK_EQ(cel_socketpair(fds), 0);
    CHECK_EQ(cel_tls_open(&tls, w.server, fds[0], NULL), 0);
    CHECK_EQ(cel_close(fds[1]), 0);
    CHECK_EQ(cel_tls_handshake(tls, late()), -ECONNABORTED);
    CHECK_SAYS(cel_tls_reason(tls), "during the handshake");
    CHECK_EQ(cel_tls_close(tls, late()), 0);
    free_world(&w);
    return 0;
}

TEST(a_peer_that_hangs_up_in_the_handshake_is_told)
{
    run(hung_up);
}

static int
garbled(void *arg)
{
    struct world w;
    char byte;

    (void)arg;
    make_world(&w);
    struct both b = connect_both(&w, "www.test");
    tell(b.server, b.client, "first"); /* after the tickets */
    CHECK_EQ(cel_send_all(b.fds[1],
                          "\x17\x03\x03\x00\x12"
                          "0123456789abcdef01",
                          23, late()),
             23);
    CHECK_EQ(cel_tls_recv(b.client, &byte, 1, late()), -EPROTO);
    CHECK_SAYS(cel_tls_reason(b.client), "bad record mac");
    CHECK_EQ(cel_tls_recv(b.server, &byte, 1, late()), -EPROTO);
    CHECK_SAYS(cel_tls_reason(b.server), "the peer says: ");
    close_both(&b);
    free_world(&w);
    return 0;
}

TEST(what_was_tampered_with_is_refused)
{
    run(garbled);
}
