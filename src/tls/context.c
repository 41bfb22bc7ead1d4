/* SPDX-License-Identifier: MIT */
/*
 * Contexts: certificates, who is trusted, versions, protocols.
 *
 * Threads: see celadon/tls.h.
 *
 * Tests: unit/test_tls.c
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "tls/tls.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int error; /* set under `once`: why forks are not watched */

void
cel__tls_context_lock(void)
{
    (void)pthread_mutex_lock(&lock);
}

void
cel__tls_context_unlock(void)
{
    (void)pthread_mutex_unlock(&lock);
}

static void
watch_forks(void)
{
    error = -pthread_atfork(cel__tls_context_lock, cel__tls_context_unlock,
                            cel__tls_context_unlock);
}

/* OpenSSL would ask at the terminal; no key here has a password. */
static int
no_password(char *buf, /* NOLINT(readability-non-const-parameter) */
            int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

/* `worked` is what a call of OpenSSL returned; 0, or its error as ours. */
static int
result(cel_tls_context *context, bool worked)
{
    context->reason[0] = '\0';
    if (worked) {
        ERR_clear_error();
        return 0;
    }
    return cel__tls_reason_of_queue(context->reason);
}

/* The same where no call failed, but what was asked for is `wrong`. */
static int
refuse(cel_tls_context *context, const char *wrong)
{
    (void)snprintf(context->reason, sizeof(context->reason), "%s", wrong);
    return -EINVAL;
}

/* What holds for every context. */
static int
set_up(cel_tls_context *context)
{
    SSL_CTX *ctx = context->ctx;

    /* An idle connection has no buffers; what is written is counted record
       by record, and may have moved when it is tried again. */
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
                                    SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION |
                                       SSL_OP_NO_COMPRESSION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    SSL_CTX_set_verify(ctx,
                       context->server ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                       cel__tls_reason_verify);
    cel__tls_session_init(context);
    if (context->server) {
        cel__tls_name_init(context);
    }
    return result(context,
                  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1);
}

int
cel_tls_context_open(cel_tls_context **out, int side)
{
    int err = -ENOMEM;

    if (side != CEL_TLS_CLIENT && side != CEL_TLS_SERVER) {
        return -EINVAL;
    }
    (void)pthread_once(&once, watch_forks);
    if (error < 0) {
        return error;
    }
    cel_tls_context *context = cel__alloc_zeroed(1, sizeof(*context));
    if (context == NULL) {
        return -ENOMEM;
    }
    context->server = side == CEL_TLS_SERVER;
    context->ctx = SSL_CTX_new(context->server ? TLS_server_method()
                                               : TLS_client_method());
    context->method = cel__tls_bio_method();
    if (context->ctx == NULL || context->method == NULL) {
        goto free_context;
    }
    err = set_up(context);
    if (err < 0) {
        goto free_context;
    }
    atomic_init(&context->refs, 1);
    *out = context;
    return 0;

free_context:
    ERR_clear_error();
    SSL_CTX_free(context->ctx);
    BIO_meth_free(context->method);
    free(context);
    return err;
}

void
cel__tls_context_get(cel_tls_context *context)
{
    /* Nothing is read on the strength of it. */
    (void)atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
}

void
cel_tls_context_close(cel_tls_context *context)
{
    /* The last to go must see what the others wrote: each release pairs with
       the acquire of that one. */
    if (context == NULL || atomic_fetch_sub_explicit(
                               &context->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    cel__tls_name_fini(context);
    cel__tls_session_fini(context);
    SSL_CTX_free(context->ctx);
    BIO_meth_free(context->method);
    free(context->protocols);
    free(context);
}

const char *
cel_tls_context_reason(const cel_tls_context *context)
{
    return context->reason;
}

int
cel_tls_context_use_certificate(cel_tls_context *context, const char *chain,
                                const char *key)
{
    SSL_CTX *ctx = context->ctx;

    ERR_clear_error();
    return result(
        context,
        SSL_CTX_use_certificate_chain_file(ctx, chain) == 1 &&
            SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1 &&
            SSL_CTX_check_private_key(ctx) == 1);
}

/* The certificates that follow the first one in `bio`. */
static bool
use_rest(SSL_CTX *ctx, BIO *bio)
{
    X509 *next;

    (void)SSL_CTX_clear_chain_certs(ctx);
    while ((next = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
        if (SSL_CTX_add0_chain_cert(ctx, next) != 1) {
            X509_free(next);
            return false;
        }
    }
    ERR_clear_error(); /* it has told that there are no more */
    return true;
}

static bool
use_chain(SSL_CTX *ctx, const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    X509 *first = NULL;
    bool used = false;

    if (bio != NULL) {
        first = PEM_read_bio_X509_AUX(bio, NULL, no_password, NULL);
    }
    if (first != NULL) {
        used = SSL_CTX_use_certificate(ctx, first) == 1 && use_rest(ctx, bio);
    }
    X509_free(first);
    BIO_free(bio);
    return used;
}

static bool
use_key(SSL_CTX *ctx, const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    EVP_PKEY *key = NULL;
    bool used = false;

    if (bio != NULL) {
        key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    }
    if (key != NULL) {
        used = SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
               SSL_CTX_check_private_key(ctx) == 1;
    }
    EVP_PKEY_free(key);
    BIO_free(bio);
    return used;
}

int
cel_tls_context_use_certificate_text(cel_tls_context *context,
                                     const char *chain, const char *key)
{
    ERR_clear_error();
    return result(context, use_chain(context->ctx, chain) &&
                               use_key(context->ctx, key));
}

int
cel_tls_context_trust(cel_tls_context *context, const char *path)
{
    SSL_CTX *ctx = context->ctx;
    struct stat status;
    int worked;

    ERR_clear_error();
    if (path == NULL) {
        worked = SSL_CTX_set_default_verify_paths(ctx);
    }
    else if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        worked = SSL_CTX_load_verify_dir(ctx, path);
    }
    else {
        worked = SSL_CTX_load_verify_file(ctx, path);
    }
    int err = result(context, worked == 1);
    if (err == 0) {
        context->trusts = true;
    }
    return err;
}

int
cel_tls_context_trust_text(cel_tls_context *context, const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    X509_STORE *store = SSL_CTX_get_cert_store(context->ctx);
    X509 *root;
    int n = 0;

    if (bio == NULL) {
        return -ENOMEM;
    }
    ERR_clear_error();
    while ((root = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
        bool added = X509_STORE_add_cert(store, root) == 1;
        X509_free(root);
        if (!added) {
            n = 0;
            break;
        }
        n++;
    }
    BIO_free(bio);
    int err = result(context, n != 0);
    if (err == 0) {
        context->trusts = true;
    }
    return err;
}

int
cel__tls_context_default_trust(cel_tls_context *context)
{
    int err = 0;

    if (SSL_CTX_get_verify_mode(context->ctx) == SSL_VERIFY_NONE) {
        return 0;
    }
    cel__tls_context_lock();
    if (!context->trusts) {
        err = cel_tls_context_trust(context, NULL);
    }
    cel__tls_context_unlock();
    return err;
}

int
cel_tls_context_verify(cel_tls_context *context, int mode)
{
    static const int modes[] = {
        SSL_VERIFY_NONE,
        SSL_VERIFY_PEER,
        SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    };

    if (mode < CEL_TLS_VERIFY_NONE || mode > CEL_TLS_VERIFY) {
        return refuse(context, "no such mode");
    }
    SSL_CTX_set_verify(context->ctx, modes[mode], cel__tls_reason_verify);
    return 0;
}

int
cel_tls_context_versions(cel_tls_context *context, int least, int most)
{
    bool known = (least == 0 || least == CEL_TLS_1_2 ||
                  least == CEL_TLS_1_3) &&
                 (most == 0 || most == CEL_TLS_1_2 || most == CEL_TLS_1_3);

    if (!known || (most != 0 && least > most)) {
        return refuse(context, "no such versions");
    }
    least = least == 0 ? CEL_TLS_1_2 : least;
    ERR_clear_error();
    return result(context,
                  SSL_CTX_set_min_proto_version(context->ctx, least) == 1 &&
                      SSL_CTX_set_max_proto_version(context->ctx, most) == 1);
}

int
cel_tls_context_ciphers(cel_tls_context *context, const char *tls12,
                        const char *tls13)
{
    SSL_CTX *ctx = context->ctx;

    ERR_clear_error();
    return result(
        context,
        (tls12 == NULL || SSL_CTX_set_cipher_list(ctx, tls12) == 1) &&
            (tls13 == NULL || SSL_CTX_set_ciphersuites(ctx, tls13) == 1));
}

/* Names with commas between, each after its length instead; their bytes, or
   -1: one is empty or too long. */
static int
encode(const char *names, unsigned char *out)
{
    int len = 0;

    for (;;) {
        size_t n = strcspn(names, ",");
        if (n == 0 || n > 255) {
            return -1;
        }
        out[len++] = (unsigned char)n;
        memcpy(out + len, names, n);
        len += (int)n;
        if (names[n] == '\0') {
            return len;
        }
        names += n + 1;
    }
}

static int
choose(SSL *ssl, const unsigned char **out, unsigned char *outlen,
       const unsigned char *theirs, unsigned ntheirs, void *arg)
{
    const cel_tls_context *context = arg;
    unsigned char *chosen;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, outlen, context->protocols,
                              context->nprotocols, theirs,
                              ntheirs) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

int
cel_tls_context_protocols(cel_tls_context *context, const char *names)
{
    size_t size = strlen(names) + 1;
    unsigned char *list = cel__alloc(size);
    int len = -1;

    if (list == NULL) {
        return -ENOMEM;
    }
    if (size <= UINT16_MAX) {
        len = encode(names, list);
    }
    if (len < 0) {
        free(list);
        return refuse(context, "a name is empty or too long");
    }
    if (!context->server &&
        SSL_CTX_set_alpn_protos(context->ctx, list, (unsigned)len) != 0) {
        free(list);
        return -ENOMEM;
    }
    free(context->protocols);
    context->protocols = list;
    context->nprotocols = (unsigned)len;
    if (context->server) {
        SSL_CTX_set_alpn_select_cb(context->ctx, choose, context);
    }
    context->reason[0] = '\0';
    return 0;
}

void *
cel_tls_context_openssl(cel_tls_context *context)
{
    return context->ctx;
}
