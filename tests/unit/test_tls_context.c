/* SPDX-License-Identifier: MIT */
/*
 * What contexts may be told: files, names, protocols, ciphers; and sessions.
 */
#include "celadon/tls.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tls_pair.h"

static int
files(void *arg)
{
    struct world w;
    cel_tls_context *client;

    (void)arg;
    make_world(&w);
    const char *root = tap_save("root.pem", w.root.text);
    const char *chain = tap_save("chain.pem", w.cert.text);
    const char *key = tap_save("key.pem", w.cert.key);
    CHECK_EQ(cel_tls_context_use_certificate(w.server, chain, key), 0);
    CHECK_STR(cel_tls_context_reason(w.server), "");
    CHECK_EQ(cel_tls_context_open(&client, CEL_TLS_CLIENT), 0);
    CHECK_EQ(cel_tls_context_trust(client, root), 0);
    cel_tls_context_close(w.client);
    w.client = client;
    struct both b = connect_both(&w, "www.test");
    close_both(&b);

    CHECK_EQ(cel_tls_context_use_certificate(w.server, chain, root), -EINVAL);
    CHECK(cel_tls_context_reason(w.server)[0] != '\0');
    CHECK_EQ(cel_tls_context_use_certificate(w.server, key, key), -EINVAL);
    CHECK_EQ(cel_tls_context_use_certificate(w.server, "/nowhere/x", key),
             -ENOENT);
    CHECK_SAYS(cel_tls_context_reason(w.server), "No such file");
    CHECK_EQ(cel_tls_context_trust(client, "/nowhere/x"), -ENOENT);
    CHECK_EQ(cel_tls_context_trust(client, key), -EINVAL);
    CHECK_EQ(cel_tls_context_trust(client, NULL), 0);
    free_world(&w);
    return 0;
}

TEST(certificates_come_from_files)
{
    run(files);
}

/* A folder has each certificate under the hash of its subject. */
static int
folder(void *arg)
{
    struct world w;
    cel_tls_context *client;
    char file[96];

    (void)arg;
    make_world(&w);
    (void)snprintf(file, sizeof(file), "%08lx.0",
                   X509_subject_name_hash(w.root.x509));
    (void)tap_save(file, w.root.text);
    CHECK_EQ(cel_tls_context_open(&client, CEL_TLS_CLIENT), 0);
    CHECK_EQ(cel_tls_context_trust(client, tap_path(".")), 0);
    cel_tls_context_close(w.client);
    w.client = client;
    struct both b = connect_both(&w, "www.test");
    close_both(&b);
    free_world(&w);
    return 0;
}

TEST(a_folder_of_roots_is_trusted)
{
    run(folder);
}

static int
chains(void *arg)
{
    struct world w;

    (void)arg;
    make_world(&w);
    struct cert middle = make_cert(
        &(struct wish){"Middle", NULL, &w.root, -DAY, DAY});
    struct cert leaf = make_cert(
        &(struct wish){"leaf", "DNS:leaf.test", &middle, -DAY, DAY});
    size_t size = strlen(leaf.text) + strlen(middle.text) + 1;
    char *chain = malloc(size);
    (void)snprintf(chain, size, "%s%s", leaf.text, middle.text);

    CHECK_EQ(cel_tls_context_use_certificate_text(w.server, chain, leaf.key),
             0);
    struct both b = connect_both(&w, "leaf.test");
    close_both(&b);
    CHECK_EQ(cel_tls_context_use_certificate_text(w.server, chain, w.cert.key),
             -EINVAL);
    CHECK_EQ(cel_tls_context_use_certificate_text(w.server, "x", leaf.key),
             -EINVAL);
    CHECK_EQ(cel_tls_context_use_certificate_text(w.server, chain, "x"),
             -EINVAL);
    CHECK_EQ(cel_tls_context_trust_text(w.server, "x"), -EINVAL);
    /* The root alone trusts no leaf of a middle that is not shown. */
    CHECK_EQ(
        cel_tls_context_use_certificate_text(w.server, leaf.text, leaf.key),
        0);
    b = try_both(&w, "leaf.test");
    CHECK_EQ(b.cerr, -EKEYREJECTED);
    close_both(&b);
    free(chain);
    free_cert(&leaf);
    free_cert(&middle);
    free_world(&w);
    return 0;
}

TEST(a_chain_is_shown_whole)
{
    run(chains);
}

static int
locked_key(void *arg)
{
    struct world w;
    BIO *bio = BIO_new(BIO_s_mem());

    (void)arg;
    make_world(&w);
    CHECK_EQ(PEM_write_bio_PKCS8PrivateKey(bio, w.cert.pkey, EVP_aes_128_cbc(),
                                           "secret", 6, NULL, NULL),
             1);
    char *key = text_of(bio);
    /* It asks nobody for the password. */
    CHECK_EQ(cel_tls_context_use_certificate_text(w.server, w.cert.text, key),
             -EINVAL);
    free(key);
    free_world(&w);
    return 0;
}

TEST(a_key_with_a_password_is_refused)
{
    run(locked_key);
}

static int
nonsense(void *arg)
{
    struct world w;
    cel_tls_context *none = NULL;
    char name[300];

    (void)arg;
    make_world(&w);
    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    CHECK_EQ(cel_tls_context_open(&none, 7), -EINVAL);
    CHECK_PTR(none, NULL);
    cel_tls_context_close(NULL);
    CHECK_EQ(cel_tls_context_verify(w.client, 3), -EINVAL);
    CHECK_EQ(cel_tls_context_verify(w.client, -1), -EINVAL);
    CHECK_EQ(cel_tls_context_versions(w.client, 0x0301, 0), -EINVAL);
    CHECK_EQ(cel_tls_context_versions(w.client, CEL_TLS_1_3, CEL_TLS_1_2),
             -EINVAL);
    CHECK_SAYS(cel_tls_context_reason(w.client), "no such versions");
    CHECK_EQ(cel_tls_context_ciphers(w.client, "NOTHING", NULL), -EINVAL);
    CHECK_EQ(cel_tls_context_ciphers(w.client, NULL, "NOTHING"), -EINVAL);
    CHECK_EQ(cel_tls_context_protocols(w.client, ""), -EINVAL);
    CHECK_EQ(cel_tls_context_protocols(w.client, "h2,"), -EINVAL);
    CHECK_EQ(cel_tls_context_protocols(w.client, ",h2"), -EINVAL);
    CHECK_EQ(cel_tls_context_protocols(w.client, name), -EINVAL);
    CHECK_EQ(cel_tls_context_name(w.client, "a.test", w.server), -EINVAL);
    CHECK_EQ(cel_tls_context_name(w.server, "a.test", w.client), -EINVAL);
    CHECK_EQ(cel_tls_context_name(w.server, "", w.server), -EINVAL);
    CHECK(cel_tls_context_openssl(w.client) != NULL);
    struct both b = connect_both(&w, "www.test"); /* all is as it was */
    close_both(&b);
    free_world(&w);
    return 0;
}

TEST(nonsense_is_refused)
{
    run(nonsense);
}

static int
ciphers(void *arg)
{
    struct world w;

    (void)arg;
    make_world(&w);
    CHECK_EQ(cel_tls_context_ciphers(w.client, "ECDHE-ECDSA-AES256-GCM-SHA384",
                                     "TLS_CHACHA20_POLY1305_SHA256"),
             0);
    struct both b = connect_both(&w, "www.test");
    CHECK_STR(cel_tls_cipher(b.server), "TLS_CHACHA20_POLY1305_SHA256");
    close_both(&b);
    CHECK_EQ(cel_tls_context_versions(w.client, CEL_TLS_1_2, CEL_TLS_1_2), 0);
    b = connect_both(&w, "www.test");
    CHECK_STR(cel_tls_cipher(b.server), "ECDHE-ECDSA-AES256-GCM-SHA384");
    close_both(&b);
    free_world(&w);
    return 0;
}

TEST(ciphers_are_chosen)
{
    run(ciphers);
}

static int
protocols(void *arg)
{
    struct world w;

    (void)arg;
    make_world(&w);
    CHECK_EQ(cel_tls_context_protocols(w.client, "http/1.1,h2"), 0);
    struct both b = connect_both(&w, "www.test"); /* the server has none */
    CHECK_STR(cel_tls_protocol(b.client), "");
    close_both(&b);

    CHECK_EQ(cel_tls_context_protocols(w.server, "h3,h2,http/1.1"), 0);
    b = connect_both(&w, "www.test");
    CHECK_STR(cel_tls_protocol(b.client), "h2"); /* the server's taste */
    CHECK_STR(cel_tls_protocol(b.server), "h2");
    close_both(&b);

    CHECK_EQ(cel_tls_context_protocols(w.server, "imap"), 0);
    b = try_both(&w, "www.test");
    CHECK_EQ(b.serr, -EPROTO);
    CHECK_SAYS(cel_tls_reason(b.server), "no application protocol");
    CHECK_EQ(b.cerr, -EPROTO);
    CHECK_SAYS(cel_tls_reason(b.client), "no application protocol");
    close_both(&b);
    free_world(&w);
    return 0;
}

TEST(a_protocol_is_agreed_on)
{
    run(protocols);
}

/* The name in the certificate that a client is shown for `host`. */
static void
shown(const struct world *w, const char *host, const char *subject)
{
    char text[32];
    struct both b = connect_both(w, host);

    CHECK_GT(cel_tls_peer(b.client, text, sizeof(text)), 0);
    CHECK_STR(text, subject);
    CHECK_STR(cel_tls_host(b.server), host);
    tell(b.client, b.server, host);
    close_both(&b);
}

static int
names(void *arg)
{
    static const char
        *const all = "DNS:www.test,DNS:one.test,DNS:*.two.test,DNS:a.two.test";
    struct world w;

    (void)arg;
    make_world(&w);
    struct cert one = make_cert(
        &(struct wish){"one", all, &w.root, -DAY, DAY});
    struct cert two = make_cert(
        &(struct wish){"two", all, &w.root, -DAY, DAY});
    cel_tls_context *first = make_server(&one);
    cel_tls_context *second = make_server(&two);
    CHECK_EQ(cel_tls_context_protocols(w.client, "h2,smtp"), 0);
    CHECK_EQ(cel_tls_context_protocols(second, "smtp"), 0);
    CHECK_EQ(cel_tls_context_name(w.server, "one.test", first), 0);
    CHECK_EQ(cel_tls_context_name(w.server, "a.two.test", first), 0);
    CHECK_EQ(cel_tls_context_name(w.server, "*.two.test", second), 0);
    CHECK_EQ(cel_tls_context_name(w.server, "www.test", w.server), 0);
    cel_tls_context_close(first); /* which the server keeps */

    shown(&w, "www.test", "CN=www.test");
    shown(&w, "one.test", "CN=one");
    shown(&w, "ONE.test", "CN=one");
    shown(&w, "b.two.test", "CN=two");
    shown(&w, "a.two.test", "CN=one");
    shown(&w, "x.wild.test", "CN=www.test");
    struct both b = connect_both(&w, "b.two.test");
    CHECK_STR(cel_tls_protocol(b.client), "smtp");
    close_both(&b);

    /* What another demands counts, also of who was elsewhere before. */
    CHECK_EQ(cel_tls_context_verify(second, CEL_TLS_VERIFY), 0);
    CHECK_EQ(cel_tls_context_versions(second, 0, CEL_TLS_1_2), 0);
    b = try_both(&w, "b.two.test");
    CHECK_EQ(b.serr, -EPROTO);
    CHECK_SAYS(cel_tls_reason(b.server), "did not return a certificate");
    CHECK_EQ(b.cerr, -EPROTO); /* of TLS 1.2, so at once */
    close_both(&b);
    shown(&w, "one.test", "CN=one");
    cel_tls_context_close(second);
    free_cert(&one);
    free_cert(&two);
    free_world(&w);
    return 0;
}

TEST(a_server_of_several_names_shows_the_right_certificate)
{
    run(names);
}

/* Connect, talk, so that tickets arrive; whether a session was resumed. */
static int
resumed(const struct world *w, const char *host)
{
    struct both b = connect_both(w, host);
    int yes = cel_tls_resumed(b.client);

    CHECK_EQ(cel_tls_resumed(b.server), yes);
    CHECK_EQ(cel_tls_verified(b.client), 1);
    CHECK_STR(cel_tls_host(b.server), host);
    tell(b.server, b.client, "hello");
    close_both(&b);
    return yes;
}

static int
sessions(void *arg)
{
    struct world w;

    (void)arg;
    make_world(&w);
    CHECK_EQ(resumed(&w, "www.test"), 0);
    CHECK_EQ(resumed(&w, "www.test"), 1);
    CHECK_EQ(resumed(&w, "a.wild.test"), 0); /* another host */
    CHECK_EQ(resumed(&w, "www.test"), 1);
    CHECK_EQ(resumed(&w, "a.wild.test"), 1);
    /* Another server does not know the ticket, and goes on without. */
    cel_tls_context_close(w.server);
    w.server = make_server(&w.cert);
    CHECK_EQ(resumed(&w, "www.test"), 0);
    CHECK_EQ(resumed(&w, "www.test"), 1);

    CHECK_EQ(cel_tls_context_versions(w.server, 0, CEL_TLS_1_2), 0);
    CHECK_EQ(resumed(&w, "b.wild.test"), 0);
    CHECK_EQ(resumed(&w, "b.wild.test"), 1);
    CHECK_EQ(resumed(&w, "b.wild.test"), 1);
    free_world(&w);
    return 0;
}

TEST(sessions_are_resumed_by_host)
{
    run(sessions);
}

static int
many_hosts(void *arg)
{
    struct world w;
    char host[32];

    (void)arg;
    make_world(&w);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(host, sizeof(host), "h%d.wild.test", i);
        CHECK_EQ(resumed(&w, host), 0);
    }
    CHECK_EQ(resumed(&w, "h39.wild.test"), 1);
    CHECK_EQ(resumed(&w, "h0.wild.test"), 0); /* too long ago */
    free_world(&w);
    return 0;
}

TEST(old_sessions_are_forgotten)
{
    run(many_hosts);
}
