/* SPDX-License-Identifier: MIT */
/*
 * The handshake, receiving and sending: OpenSSL's calls in memory, and the
 * socket's calls in between.
 *
 * Each of OpenSSL's calls either does what it is asked to or says that it
 * lacks bytes.  Then somebody lets some come (cel__tls_pump()), and asks
 * again.  What it wants to send lies in `out` after it; whoever holds
 * `writer` sends that, and whatever was added meanwhile.  So one write of
 * several records is one system call, as is a flight of a handshake.
 *
 * Where a call was ended with something left in `out`, the next one takes it
 * up.  A receiver does so without waiting for it alone, for the peer may be
 * waiting for us to receive before it does.
 *
 * Threads: the connection's.
 *
 * Tests: unit/test_tls.c
 */
#include <errno.h>
#include <openssl/err.h>
#include <string.h>

#include "celadon/net.h"
#include "celadon/run.h"
#include "tls/tls.h"

/* So much is encrypted before it is sent: four records, and what they are
   wrapped in.  bench/tls.py */
#define BATCH ((size_t)65536)
#define WRAP  ((size_t)1024)

/* Whether something is to be sent. */
static bool
unsent(const cel_tls *tls)
{
    return tls->going.len != 0 || tls->out.len != 0;
}

int
cel__tls_flush(cel_tls *tls, cel_time deadline)
{
    while (unsent(tls)) {
        if (tls->going.len == 0) {
            struct cel__buffer empty = tls->going;
            tls->going = tls->out;
            tls->out = empty;
        }
        ssize_t n = cel_send(tls->fd, cel__buffer_front(&tls->going),
                             tls->going.len, 0, deadline);
        if (n < 0) {
            return cel__tls_reason_lost(tls, (int)n);
        }
        cel__buffer_drop(&tls->going, (size_t)n);
    }
    cel__buffer_clear(&tls->going);
    cel__buffer_clear(&tls->out);
    return 0;
}

/* Send what goes at once, unless somebody else is at it.  Returns whether
   something is left that only we would send. */
static bool
flush_some(cel_tls *tls)
{
    if (!unsent(tls) || cel_mutex_lock(tls->writer, CEL_AT_ONCE) < 0) {
        return false;
    }
    int err = cel__tls_flush(tls, CEL_AT_ONCE);
    (void)cel_mutex_unlock(tls->writer);
    return err == -ETIMEDOUT;
}

int
cel__tls_pump(cel_tls *tls, cel_time deadline)
{
    const void *bytes = NULL;
    ssize_t n;

    while (flush_some(tls)) {
        int events = cel_wait_fd(tls->fd, CEL_READABLE | CEL_WRITABLE,
                                 deadline);
        if (events < 0) {
            return cel__tls_reason_lost(tls, events);
        }
        if ((events & ~CEL_WRITABLE) != 0) {
            break;
        }
    }
    n = cel_stream_peek(tls->raw, &bytes, 1, deadline);
    if (n < 0) {
        return cel__tls_reason_lost(tls, (int)n);
    }
    tls->in = bytes;
    tls->inlen = (size_t)n;
    tls->ended = n == 0;
    return 0;
}

/* The handshake, by the holder of both locks. */
static int
shake(cel_tls *tls, cel_time deadline)
{
    for (;;) {
        if (tls->ready || tls->broken < 0) {
            return tls->broken;
        }
        ERR_clear_error();
        int done = SSL_do_handshake(tls->ssl);
        int error = done == 1 ? 0 : SSL_get_error(tls->ssl, done);
        if (done != 1 && error != SSL_ERROR_WANT_READ) {
            int code = cel__tls_reason_fail(tls, error);
            (void)cel__tls_flush(tls, deadline); /* an alert, if it goes */
            return code;
        }
        int err = cel__tls_flush(tls, deadline);
        if (err == 0 && done != 1) {
            err = cel__tls_pump(tls, deadline);
        }
        if (err < 0) {
            return err;
        }
        tls->ready = done == 1;
    }
}

/* Keep what is asked for often and OpenSSL has without a 0 byte. */
static void
note_protocol(cel_tls *tls)
{
    const unsigned char *name;
    unsigned len;

    SSL_get0_alpn_selected(tls->ssl, &name, &len);
    if (len != 0 && len < sizeof(tls->protocol)) {
        memcpy(tls->protocol, name, len);
        tls->protocol[len] = '\0';
    }
}

int
cel_tls_handshake(cel_tls *tls, cel_time deadline)
{
    int err = cel_mutex_lock(tls->reader, deadline);

    if (err < 0) {
        return err;
    }
    err = cel_mutex_lock(tls->writer, deadline);
    if (err == 0) {
        err = shake(tls, deadline);
        note_protocol(tls);
        (void)cel_mutex_unlock(tls->writer);
    }
    (void)cel_mutex_unlock(tls->reader);
    return err;
}

/* Why nothing can be moved; 0: it can. */
static int
unusable(const cel_tls *tls)
{
    if (tls->broken < 0) {
        return tls->broken;
    }
    return tls->ready ? 0 : -ENOTCONN;
}

/* What others left in the thread's queue of errors would be taken for ours;
   to clear it is dear, to look is not (bench/tls.py). */
static void
forget_errors(void)
{
    if (ERR_peek_error() != 0) {
        ERR_clear_error();
    }
}

/* Whether OpenSSL would only say that it lacks bytes, and take a buffer and
   give it back for that (bench/tls.py, 4000 bytes). */
static bool
lacks_bytes(const cel_tls *tls)
{
    return tls->inlen == 0 && !tls->ended && SSL_has_pending(tls->ssl) == 0 &&
           (SSL_get_shutdown(tls->ssl) & SSL_RECEIVED_SHUTDOWN) == 0;
}

/* cel_tls_recv(), by the holder of `reader`. */
static ssize_t
receive(cel_tls *tls, void *buf, size_t len, cel_time deadline)
{
    for (;;) {
        size_t n;
        int err = unusable(tls);
        if (err < 0) {
            return err;
        }
        if (lacks_bytes(tls)) {
            err = cel__tls_pump(tls, deadline);
            if (err < 0) {
                return err;
            }
            continue; /* a sender may have found it broken meanwhile */
        }
        forget_errors();
        if (SSL_read_ex(tls->ssl, buf, len, &n) == 1) {
            return (ssize_t)n;
        }
        int error = SSL_get_error(tls->ssl, 0);
        if (error == SSL_ERROR_ZERO_RETURN) {
            return 0;
        }
        if (error != SSL_ERROR_WANT_READ) {
            err = cel__tls_reason_fail(tls, error);
            (void)flush_some(tls); /* an alert, if it goes */
            return err;
        }
        err = cel__tls_pump(tls, deadline);
        if (err < 0) {
            return err;
        }
    }
}

ssize_t
cel_tls_recv(cel_tls *tls, void *buf, size_t len, cel_time deadline)
{
    if (len == 0) {
        return unusable(tls);
    }
    int err = cel_mutex_lock(tls->reader, deadline);
    if (err < 0) {
        return err;
    }
    ssize_t n = receive(tls, buf, len, deadline);
    (void)cel_mutex_unlock(tls->reader);
    return n;
}

/*
 * A write needs bytes of the peer first: a message that is no data has come
 * in part.  If nobody else is receiving, let more come; else wait for who is,
 * which nothing announces.
 */
static int
await_message(cel_tls *tls, cel_time deadline)
{
    cel_time nap = cel_after(CEL_MSEC);

    int err = cel_mutex_lock(tls->reader, CEL_AT_ONCE);
    if (err == 0) {
        if (tls->inlen == 0) {
            err = cel__tls_pump(tls, deadline);
        }
        (void)cel_mutex_unlock(tls->reader);
        return err;
    }
    if (err != -ETIMEDOUT || nap > deadline) {
        return err;
    }
    return cel_sleep(nap);
}

/* Encrypt up to `len` bytes, a record at most.  Returns how many, or an
   error; 0: ask again. */
static ssize_t
encrypt(cel_tls *tls, const char *buf, size_t len, cel_time deadline)
{
    size_t n;
    int err = unusable(tls);

    if (err < 0) {
        return err;
    }
    forget_errors();
    if (SSL_write_ex(tls->ssl, buf, len, &n) == 1) {
        return (ssize_t)n;
    }
    int error = SSL_get_error(tls->ssl, 0);
    if (error == SSL_ERROR_WANT_READ) {
        return await_message(tls, deadline);
    }
    return cel__tls_reason_fail(tls, error);
}

/* Encrypt and send `len` bytes, but keep what is not a batch.  `*done` tells
   how many were encrypted; returns 0 or an error. */
static int
send_piece(cel_tls *tls, const char *buf, size_t len, size_t *done,
           cel_time deadline)
{
    size_t end = *done + len;

    while (*done < end) {
        ssize_t n = encrypt(tls, buf, end - *done, deadline);
        if (n < 0) {
            return (int)n;
        }
        buf += n;
        *done += (size_t)n;
        if (tls->out.len >= BATCH) {
            int err = cel__tls_flush(tls, deadline);
            if (err < 0) {
                return err;
            }
        }
    }
    return 0;
}

/* cel__tls_send(), by the holder of `writer`. */
static ssize_t
send_pieces(cel_tls *tls, const struct iovec *pieces, int npieces,
            cel_time deadline)
{
    size_t done = 0;
    int err = cel__tls_flush(tls, deadline);

    if (err == 0 && tls->shut) {
        err = -EPIPE;
    }
    for (int i = 0; err == 0 && i < npieces; i++) {
        if (pieces[i].iov_len > BATCH / 4) {
            /* It need not grow step by step; else it is as well. */
            (void)cel__buffer_reserve(&tls->out, BATCH + BATCH / 4 + WRAP, 0);
        }
        err = send_piece(tls, pieces[i].iov_base, pieces[i].iov_len, &done,
                         deadline);
    }
    if (err == 0) {
        err = cel__tls_flush(tls, deadline);
    }
    /* What was encrypted was sent, or will be, and must not come twice; of a
       connection that is lost it matters not. */
    bool lost = tls->broken < 0 || err == -EPIPE || err == -ECONNRESET;
    return err < 0 && (done == 0 || lost) ? err : (ssize_t)done;
}

ssize_t
cel__tls_send(cel_tls *tls, const struct iovec *pieces, int npieces,
              cel_time deadline)
{
    int err = unusable(tls);

    if (err == 0) {
        err = cel_mutex_lock(tls->writer, deadline);
    }
    if (err < 0) {
        return err;
    }
    ssize_t n = send_pieces(tls, pieces, npieces, deadline);
    (void)cel_mutex_unlock(tls->writer);
    return n;
}

ssize_t
cel_tls_send(cel_tls *tls, const void *buf, size_t len, cel_time deadline)
{
    struct iovec piece = {(void *)(uintptr_t)buf, len};

    return cel__tls_send(tls, &piece, 1, deadline);
}

int
cel_tls_shutdown(cel_tls *tls, cel_time deadline)
{
    int err = unusable(tls);

    if (err == 0) {
        err = cel_mutex_lock(tls->writer, deadline);
    }
    if (err < 0) {
        return err;
    }
    if (!tls->shut) {
        tls->shut = true;
        ERR_clear_error();
        (void)SSL_shutdown(tls->ssl);
        ERR_clear_error();
    }
    err = cel__tls_flush(tls, deadline);
    (void)cel_mutex_unlock(tls->writer);
    return err;
}
