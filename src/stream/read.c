/* SPDX-License-Identifier: MIT */
/*
 * Reading from a stream.
 *
 * Every call but two waits until what it wants is in the buffer, then takes
 * it: so one that is ended early has taken nothing.  The two that receive
 * right into the caller's memory are a read of some bytes, which takes what
 * one receive brings, and an exact one of more than a buffer, which puts back
 * what it has if it fails.
 *
 * Memory: where nothing is buffered the wait is for the 512 bytes within the
 * stream.  A receive that fills its room tells that there is more: from then
 * on a large buffer is used, until it is found empty with nothing to come at
 * once.  Where what came was big and then ended, the next is likely to be: a
 * descriptor is waited for without any buffer, and one receive is made where
 * there would be three (bench/tls.py, 4000 bytes).
 *
 * Threads: see celadon/stream.h.
 *
 * Tests: unit/test_stream_script.c, unit/test_stream.c
 */
#include "stream/stream.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "celadon/net.h"

/* Receive up to `len` bytes; what that tells of the connection is kept. */
static ssize_t
receive(struct cel_stream *stream, void *buf, size_t len, cel_time deadline)
{
    if (stream->broken < 0) {
        return stream->broken;
    }
    ssize_t n = stream->ops->recv(stream->over, buf, len, deadline);
    if (n >= 0) {
        stream->full = (size_t)n == len;
        return n;
    }
    switch ((int)-n) {
    case EPERM:
    case ETIMEDOUT:
    case ECANCELED:
    case EDEADLK:
    case ENOMEM:
        break;
    default:
        stream->broken = (int)n;
        break;
    }
    return n;
}

/* Receive what is as big as what came before, into a buffer that is had only
   when there is something. */
static ssize_t
fill_big(struct cel_stream *stream, cel_time deadline)
{
    struct cel__buffer *in = &stream->in;

    cel__buffer_clear(in);
    int events = cel_wait_fd(stream->fd, CEL_READABLE, deadline);
    if (events < 0) {
        return events;
    }
    (void)cel__buffer_reserve(in, CEL__STREAM_LARGE, CEL__STREAM_LARGE);
    ssize_t n = receive(stream, in->data, in->cap, deadline);
    stream->big = n > CEL__STREAM_SMALL;
    return n;
}

/* Receive into an empty buffer. */
static ssize_t
fill_empty(struct cel_stream *stream, cel_time deadline)
{
    struct cel__buffer *in = &stream->in;
    ssize_t n;

    if (stream->big && !stream->full && stream->fd >= 0 &&
        stream->broken == 0 && deadline > CEL_AT_ONCE) {
        return fill_big(stream, deadline);
    }
    stream->big = stream->full;
    if (stream->full || in->cap > CEL__STREAM_SMALL) {
        /* Where memory is short the small one has to do. */
        (void)cel__buffer_reserve(in, CEL__STREAM_LARGE, CEL__STREAM_LARGE);
        n = receive(stream, in->data, in->cap, CEL_AT_ONCE);
        if (n != -ETIMEDOUT || deadline <= CEL_AT_ONCE) {
            return n;
        }
        stream->full = false;
        cel__buffer_clear(in);
    }
    return receive(stream, in->data, in->cap, deadline);
}

/*
 * Receive some more; the buffer has or gets room for `want` bytes in all, of
 * which some are missing.  Returns how many came, 0 at the end, or an error.
 */
static ssize_t
fill(struct cel_stream *stream, size_t want, cel_time deadline)
{
    struct cel__buffer *in = &stream->in;
    ssize_t n;

    if (in->len == 0) {
        n = fill_empty(stream, deadline);
    }
    else {
        int err = cel__buffer_reserve(in, want - in->len, CEL__STREAM_LARGE);
        if (err < 0) {
            return err;
        }
        stream->pinned = true;
        n = receive(stream, cel__buffer_back(in), cel__buffer_room(in),
                    deadline);
        stream->pinned = false;
    }
    if (n > 0) {
        in->len += (size_t)n;
    }
    return n;
}

/*
 * Have `len` bytes in the buffer.  Returns 1, 0 where the stream ends before
 * that, or an error.
 */
static ssize_t
need(struct cel_stream *stream, size_t len, cel_time deadline)
{
    while (stream->in.len < len) {
        ssize_t n = fill(stream, len, deadline);
        if (n <= 0) {
            return n;
        }
    }
    return 1;
}

/* Whether a read of `len` bytes is better received where it is wanted. */
static bool
directly(const struct cel_stream *stream, size_t len)
{
    return stream->in.len == 0 &&
           (len >= CEL__STREAM_LARGE ||
            (len >= CEL__STREAM_SMALL && !stream->full));
}

static ssize_t
read_some(struct cel_stream *stream, void *buf, size_t len, cel_time deadline)
{
    if (directly(stream, len)) {
        cel__buffer_clear(&stream->in);
        return receive(stream, buf, len, deadline);
    }
    ssize_t n = need(stream, 1, deadline);
    if (n <= 0) {
        return n;
    }
    len = len < stream->in.len ? len : stream->in.len;
    cel__buffer_take(&stream->in, buf, len);
    return (ssize_t)len;
}

/* Read `len` bytes, more than a buffer. */
static ssize_t
read_much(struct cel_stream *stream, char *buf, size_t len, cel_time deadline)
{
    size_t done = stream->in.len < len ? stream->in.len : len;

    cel__buffer_take(&stream->in, buf, done);
    if (done < len) {
        cel__buffer_clear(&stream->in);
    }
    while (done < len) {
        ssize_t n = receive(stream, buf + done, len - done, deadline);
        if (n > 0) {
            done += (size_t)n;
            continue;
        }
        if (n == 0 || cel__buffer_reserve(&stream->in, done, done) < 0) {
            return done > 0 ? (ssize_t)done : n;
        }
        cel__buffer_put(&stream->in, buf, done);
        return n;
    }
    return (ssize_t)len;
}

static ssize_t
read_all(struct cel_stream *stream, void *buf, size_t len, cel_time deadline)
{
    if (len > CEL__STREAM_LARGE) {
        return read_much(stream, buf, len, deadline);
    }
    ssize_t n = need(stream, len, deadline);
    if (n < 0) {
        return n;
    }
    len = len < stream->in.len ? len : stream->in.len;
    cel__buffer_take(&stream->in, buf, len);
    return (ssize_t)len;
}

/* How many bytes of the first `len` up to `end` and through it; 0: it is not
   there.  The first `from` of them were looked at before. */
static size_t
find(const char *bytes, size_t len, size_t from, const void *end, size_t nend)
{
    const char *at;

    from = from < nend ? 0 : from - (nend - 1);
    at = memmem(bytes + from, len - from, end, nend);
    return at == NULL ? 0 : (size_t)(at - bytes) + nend;
}

/*
 * Have `end` in the buffer, within the first `size` bytes.  Returns how many
 * bytes up to it and through it, or, where the stream ends before, how many
 * there are, or an error.
 */
static ssize_t
need_end(struct cel_stream *stream, size_t size, const void *end, size_t nend,
         cel_time deadline)
{
    const struct cel__buffer *in = &stream->in;
    size_t looked = 0;

    for (;;) {
        size_t len = in->len < size ? in->len : size;
        size_t n = find(cel__buffer_front(in), len, looked, end, nend);
        if (n != 0) {
            return (ssize_t)n;
        }
        if (in->len >= size) {
            return -EMSGSIZE;
        }
        looked = len;
        ssize_t more = fill(stream, in->len + 1, deadline);
        if (more <= 0) {
            return more == 0 ? (ssize_t)in->len : more;
        }
    }
}

static ssize_t
read_until(struct cel_stream *stream, void *buf, size_t size, const void *end,
           size_t nend, cel_time deadline)
{
    ssize_t n = need_end(stream, size, end, nend, deadline);

    if (n > 0) {
        cel__buffer_take(&stream->in, buf, (size_t)n);
    }
    return n;
}

ssize_t
cel_stream_read(cel_stream *stream, void *buf, size_t len, cel_time deadline)
{
    int err = cel_mutex_lock(stream->reader, deadline);

    if (err < 0) {
        return err;
    }
    ssize_t n = len == 0 ? 0 : read_some(stream, buf, len, deadline);
    (void)cel_mutex_unlock(stream->reader);
    return n;
}

ssize_t
cel_stream_read_all(cel_stream *stream, void *buf, size_t len,
                    cel_time deadline)
{
    int err = cel_mutex_lock(stream->reader, deadline);

    if (err < 0) {
        return err;
    }
    ssize_t n = read_all(stream, buf, len, deadline);
    (void)cel_mutex_unlock(stream->reader);
    return n;
}

ssize_t
cel_stream_read_until(cel_stream *stream, void *buf, size_t size,
                      const void *end, size_t nend, cel_time deadline)
{
    if (nend == 0) {
        return -EINVAL;
    }
    int err = cel_mutex_lock(stream->reader, deadline);
    if (err < 0) {
        return err;
    }
    ssize_t n = read_until(stream, buf, size, end, nend, deadline);
    (void)cel_mutex_unlock(stream->reader);
    return n;
}

ssize_t
cel_stream_read_line(cel_stream *stream, char *line, size_t size,
                     cel_time deadline)
{
    if (size < 2) {
        return -EMSGSIZE;
    }
    ssize_t n = cel_stream_read_until(stream, line, size - 1, "\n", 1,
                                      deadline);
    if (n < 0) {
        return n;
    }
    size_t len = (size_t)n;
    if (len > 0 && line[len - 1] == '\n') {
        len--;
        if (len > 0 && line[len - 1] == '\r') {
            len--;
        }
    }
    line[len] = '\0';
    return n;
}

ssize_t
cel_stream_peek(cel_stream *stream, const void **data, size_t len,
                cel_time deadline)
{
    int err = cel_mutex_lock(stream->reader, deadline);

    if (err < 0) {
        return err;
    }
    ssize_t n = need(stream, len, deadline);
    if (n >= 0) {
        *data = cel__buffer_front(&stream->in);
        n = (ssize_t)stream->in.len;
    }
    (void)cel_mutex_unlock(stream->reader);
    return n;
}

size_t
cel_stream_skip(cel_stream *stream, size_t len)
{
    if (stream->pinned) {
        return 0;
    }
    len = len < stream->in.len ? len : stream->in.len;
    cel__buffer_drop(&stream->in, len);
    return len;
}

size_t
cel_stream_buffered(const cel_stream *stream)
{
    return stream->in.len;
}
