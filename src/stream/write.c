/* SPDX-License-Identifier: MIT */
/*
 * Writing to a stream.
 *
 * What fits into the buffer is copied there.  What does not is sent from where
 * it is, in one call together with what the buffer has, so a big write costs
 * neither a copy nor a system call for the buffer's sake.
 *
 * The buffer exists while there is something in it.
 *
 * Threads: see celadon/stream.h.
 *
 * Tests: unit/test_stream_script.c, unit/test_stream.c
 */
#include "stream/stream.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

/* Pieces that are handed over at a time, the buffer's being one; more than
   most callers have, and 256 bytes of stack. */
#define NPIECES 16

/* What is to be written, and how far that is done. */
struct job {
    const struct iovec *pieces;
    int npieces; /* left */
    size_t skip; /* of the first piece */
    size_t done; /* bytes, in all */
};

/* How many bytes the pieces have; -EINVAL: more than can be returned. */
static ssize_t
total(const struct iovec *pieces, int npieces)
{
    ssize_t sum = 0;

    for (int i = 0; i < npieces; i++) {
        if (__builtin_add_overflow(sum, pieces[i].iov_len, &sum)) {
            return -EINVAL;
        }
    }
    return sum;
}

/* `n` bytes of `job` are done. */
static void
advance(struct job *job, size_t n)
{
    job->done += n;
    n += job->skip;
    while (job->npieces > 0 && n >= job->pieces->iov_len) {
        n -= job->pieces->iov_len;
        job->pieces++;
        job->npieces--;
    }
    job->skip = n;
}

/* The buffer, then the rest of `job`, as far as it fits into `all`; returns
   how many pieces these are. */
static int
gather(const struct cel_stream *stream, const struct job *job,
       struct iovec all[NPIECES])
{
    size_t skip = job->skip;
    int n = 0;

    if (stream->out.len != 0) {
        all[n].iov_base = cel__buffer_front(&stream->out);
        all[n++].iov_len = stream->out.len;
    }
    for (int i = 0; i < job->npieces && n < NPIECES; i++) {
        if (job->pieces[i].iov_len != skip) {
            all[n].iov_base = (char *)job->pieces[i].iov_base + skip;
            all[n++].iov_len = job->pieces[i].iov_len - skip;
        }
        skip = 0;
    }
    return n;
}

/* Send the buffer and `job`.  Returns 0, or an error; what was done until then
   is told by job->done and the buffer. */
static int
send_all(struct cel_stream *stream, struct job *job, cel_time deadline)
{
    struct cel__buffer *out = &stream->out;
    struct iovec all[NPIECES];
    int npieces;

    while ((npieces = gather(stream, job, all)) != 0) {
        ssize_t n = stream->ops->send(stream->over, all, npieces, deadline);
        if (n < 0) {
            return (int)n;
        }
        size_t own = (size_t)n < out->len ? (size_t)n : out->len;
        cel__buffer_drop(out, own);
        advance(job, (size_t)n - own);
    }
    cel__buffer_clear(out);
    return 0;
}

int
cel__stream_drain(struct cel_stream *stream, cel_time deadline)
{
    struct job nothing = {.npieces = 0};

    return send_all(stream, &nothing, deadline);
}

/* Write `sum` bytes; the caller holds `writer`. */
static ssize_t
put(struct cel_stream *stream, const struct iovec *pieces, int npieces,
    size_t sum, cel_time deadline)
{
    struct cel__buffer *out = &stream->out;

    if (sum <= CEL__STREAM_LARGE - out->len &&
        cel__buffer_reserve(out, sum, CEL__STREAM_FIRST) == 0) {
        for (int i = 0; i < npieces; i++) {
            cel__buffer_put(out, pieces[i].iov_base, pieces[i].iov_len);
        }
        return (ssize_t)sum;
    }
    struct job job = {.pieces = pieces, .npieces = npieces};
    int err = send_all(stream, &job, deadline);
    return err < 0 && job.done == 0 ? err : (ssize_t)job.done;
}

ssize_t
cel_stream_write(cel_stream *stream, const void *buf, size_t len,
                 cel_time deadline)
{
    struct iovec piece = {(void *)(uintptr_t)buf, len};

    return cel_stream_writev(stream, &piece, 1, deadline);
}

ssize_t
cel_stream_writev(cel_stream *stream, const struct iovec *pieces, int n,
                  cel_time deadline)
{
    ssize_t sum = n < 0 ? -EINVAL : total(pieces, n);
    if (sum < 0) {
        return sum;
    }
    int err = cel_mutex_lock(stream->writer, deadline);
    if (err < 0) {
        return err;
    }
    ssize_t done = put(stream, pieces, n, (size_t)sum, deadline);
    (void)cel_mutex_unlock(stream->writer);
    return done;
}

/* The text does not fit into a small array: write it from a block. */
__attribute__((format(printf, 4, 0))) static ssize_t
print_long(cel_stream *stream, cel_time deadline, size_t len,
           const char *format, va_list args)
{
    char *text = cel__alloc(len + 1);

    if (text == NULL) {
        return -ENOMEM;
    }
    (void)vsnprintf(text, len + 1, format, args);
    ssize_t n = cel_stream_write(stream, text, len, deadline);
    free(text);
    return n;
}

ssize_t
cel_stream_printf(cel_stream *stream, cel_time deadline, const char *format,
                  ...)
{
    char text[256];
    va_list args;
    ssize_t n;

    va_start(args, format);
    n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n < 0) {
        return -EINVAL;
    }
    if ((size_t)n < sizeof(text)) {
        return cel_stream_write(stream, text, (size_t)n, deadline);
    }
    va_start(args, format);
    n = print_long(stream, deadline, (size_t)n, format, args);
    va_end(args);
    return n;
}

int
cel_stream_flush(cel_stream *stream, cel_time deadline)
{
    int err = cel_mutex_lock(stream->writer, deadline);

    if (err < 0) {
        return err;
    }
    err = cel__stream_drain(stream, deadline);
    (void)cel_mutex_unlock(stream->writer);
    return err;
}
