/* SPDX-License-Identifier: MIT */
/*
 * Connections: making and closing them, and what is known of one.
 *
 * Threads: see celadon/tls.h.
 *
 * Tests: unit/test_tls.c
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "celadon/net.h"
#include "tls/tls.h"

static bool
is_address(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, bytes) == 1 ||
           inet_pton(AF_INET6, host, bytes) == 1;
}

/* Say whom a client wants to talk to.  Returns 0, -ENOMEM or -EINVAL. */
static int
set_host(cel_tls *tls, const char *host)
{
    SSL *ssl = tls->ssl;
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    if (*host == '\0' || strlen(host) > TLSEXT_MAXLEN_host_name) {
        return -EINVAL;
    }
    tls->host = cel__alloc_text(host, strlen(host));
    if (tls->host == NULL) {
        return -ENOMEM;
    }
    if (is_address(host)) {
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1 ? 0 : -ENOMEM;
    }
    /* As browsers have it: only what it says of hosts, and a "*" is a word. */
    X509_VERIFY_PARAM_set_hostflags(param,
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                        X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (X509_VERIFY_PARAM_set1_host(param, host, 0) != 1 ||
        SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 (void *)(uintptr_t)host) != 1) {
        return -ENOMEM;
    }
    return 0;
}

/* A client's half of cel_tls_open(). */
static int
begin_client(cel_tls *tls, const char *host)
{
    SSL_set_connect_state(tls->ssl);
    if (host == NULL) {
        return SSL_get_verify_mode(tls->ssl) == SSL_VERIFY_NONE ? 0 : -EINVAL;
    }
    int err = cel__tls_context_default_trust(tls->context);
    if (err == 0) {
        err = set_host(tls, host);
    }
    if (err == 0) {
        cel__tls_session_resume(tls);
    }
    return err;
}

/* Release what is there of `tls`, but for its socket. */
static void
release(cel_tls *tls)
{
    SSL_free(tls->ssl);
    cel__buffer_clear(&tls->out);
    cel__buffer_clear(&tls->going);
    cel_mutex_close(tls->reader);
    cel_mutex_close(tls->writer);
    cel_tls_context_close(tls->context);
    free(tls->host);
    free(tls);
}

/* Fill in `tls`, which release() can release at any moment. */
static int
begin(cel_tls *tls, const char *host)
{
    int err = cel_mutex_open(&tls->reader);

    if (err == 0) {
        err = cel_mutex_open(&tls->writer);
    }
    if (err < 0) {
        return err;
    }
    tls->ssl = SSL_new(tls->context->ctx);
    if (tls->ssl == NULL) {
        return -ENOMEM;
    }
    (void)SSL_set_app_data(tls->ssl, tls);
    err = cel__tls_bio_open(tls);
    if (err < 0) {
        return err;
    }
    if (tls->context->server) {
        SSL_set_accept_state(tls->ssl);
        return host == NULL ? 0 : -EINVAL;
    }
    return begin_client(tls, host);
}

int
cel_tls_open(cel_tls **out, cel_tls_context *context, int fd, const char *host)
{
    cel_tls *tls = cel__alloc_zeroed(1, sizeof(*tls));

    if (tls == NULL) {
        return -ENOMEM;
    }
    cel__tls_context_get(context);
    tls->context = context;
    tls->fd = fd;
    cel__buffer_init(&tls->out, NULL, 0);
    cel__buffer_init(&tls->going, NULL, 0);
    int err = begin(tls, host);
    ERR_clear_error();
    if (err == 0) {
        err = cel_stream_open(&tls->raw, fd);
    }
    if (err < 0) {
        release(tls);
        return err;
    }
    *out = tls;
    return 0;
}

int
cel_tls_close(cel_tls *tls, cel_time deadline)
{
    int err = 0;

    if (tls == NULL) {
        return 0;
    }
    if (tls->ready && tls->broken == 0) {
        err = cel_tls_shutdown(tls, deadline);
    }
    /* It has nothing to send, so nothing to wait for. */
    int closed = cel_stream_close(tls->raw, CEL_AT_ONCE);
    release(tls);
    return err < 0 ? err : closed;
}

/*
 * As what a stream stands on.
 */

static ssize_t
over_recv(void *over, void *buf, size_t len, cel_time deadline)
{
    return cel_tls_recv(over, buf, len, deadline);
}

static ssize_t
over_send(void *over, const struct iovec *pieces, int npieces,
          cel_time deadline)
{
    return cel__tls_send(over, pieces, npieces, deadline);
}

static int
over_close(void *over, cel_time deadline)
{
    return cel_tls_close(over, deadline);
}

static const cel_stream_ops over_ops = {
    sizeof(cel_stream_ops),
    over_recv,
    over_send,
    over_close,
};

int
cel_tls_stream(cel_stream **out, cel_tls *tls)
{
    return cel_stream_open_over(out, &over_ops, tls);
}

/*
 * What is known.
 */

const char *
cel_tls_reason(const cel_tls *tls)
{
    return tls->reason;
}

const char *
cel_tls_version(const cel_tls *tls)
{
    return SSL_get_version(tls->ssl);
}

const char *
cel_tls_cipher(const cel_tls *tls)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(tls->ssl);

    return cipher == NULL ? "" : SSL_CIPHER_get_name(cipher);
}

const char *
cel_tls_protocol(const cel_tls *tls)
{
    return tls->protocol;
}

const char *
cel_tls_host(const cel_tls *tls)
{
    const char *name = tls->host;

    if (!tls->context->server) {
        name = SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name);
    }
    return name == NULL ? "" : name;
}

int
cel_tls_verified(const cel_tls *tls)
{
    return tls->ready && SSL_get_verify_mode(tls->ssl) != SSL_VERIFY_NONE &&
           SSL_get0_peer_certificate(tls->ssl) != NULL &&
           SSL_get_verify_result(tls->ssl) == X509_V_OK;
}

int
cel_tls_resumed(const cel_tls *tls)
{
    return SSL_session_reused(tls->ssl);
}

int
cel_tls_peer(const cel_tls *tls, char *text, size_t size)
{
    const X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    BIO *bio = certificate == NULL ? NULL : BIO_new(BIO_s_mem());
    char *bytes;

    if (bio == NULL) {
        return certificate == NULL ? -ENOENT : -ENOMEM;
    }
    int len = X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0,
                                 XN_FLAG_RFC2253);
    long n = BIO_get_mem_data(bio, &bytes);
    if (len >= 0 && size > 0) {
        size_t part = (size_t)n < size ? (size_t)n : size - 1;
        memcpy(text, bytes, part);
        text[part] = '\0';
    }
    BIO_free(bio);
    return len < 0 ? -ENOMEM : (int)n;
}

void *
cel_tls_openssl(cel_tls *tls)
{
    return tls->ssl;
}
