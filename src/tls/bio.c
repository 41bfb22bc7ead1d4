/* SPDX-License-Identifier: MIT */
/*
 * What OpenSSL reads from and writes to: two buffers in memory.
 *
 * No call of OpenSSL may suspend: its errors are kept by thread, so another
 * coroutine's would be taken for ours, and a connection that one coroutine
 * reads from while another writes must be left alone by both in between.
 *
 * Threads: the connection's.
 *
 * Tests: unit/test_tls.c
 */
#include <errno.h>
#include <openssl/bio.h>
#include <string.h>

#include "tls/tls.h"

/* Where the buffer for writing begins: more than an answer mostly is. */
#define FIRST 1024

static int
bio_read(BIO *bio, char *buf, size_t len, size_t *n)
{
    cel_tls *tls = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (tls->inlen == 0) {
        if (!tls->ended) {
            BIO_set_retry_read(bio);
        }
        return 0;
    }
    len = len < tls->inlen ? len : tls->inlen;
    memcpy(buf, tls->in, len);
    tls->in += len;
    tls->inlen -= len;
    (void)cel_stream_skip(tls->raw, len);
    *n = len;
    return 1;
}

static int
bio_write(BIO *bio, const char *buf, size_t len, size_t *n)
{
    cel_tls *tls = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (cel__buffer_reserve(&tls->out, len, FIRST) < 0) {
        BIO_set_retry_write(bio);
        return 0;
    }
    cel__buffer_put(&tls->out, buf, len);
    *n = len;
    return 1;
}

static long
bio_ctrl(BIO *bio, int code, long number, void *pointer)
{
    const cel_tls *tls = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    switch (code) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return tls->ended && tls->inlen == 0;
    default:
        return 0;
    }
}

BIO_METHOD *
cel__tls_bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "celadon");

    if (method != NULL) {
        (void)BIO_meth_set_read_ex(method, bio_read);
        (void)BIO_meth_set_write_ex(method, bio_write);
        (void)BIO_meth_set_ctrl(method, bio_ctrl);
    }
    return method;
}

int
cel__tls_bio_open(cel_tls *tls)
{
    BIO *bio = BIO_new(tls->context->method);

    if (bio == NULL) {
        return -ENOMEM;
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    return 0;
}
