/* SPDX-License-Identifier: MIT */
/*
 * Lines out of streams that bring them in pieces of any size: the same as by
 * looking at all of it at once.
 */
#include <celadon.h>

#include <errno.h>
#include <string.h>

#include "fuzz.h"

/* What is still to be received, and in what pieces. */
struct source {
    const uint8_t *at;
    size_t left;
    size_t piece;
};

static ssize_t
receive(void *over, void *buf, size_t len, cel_time deadline)
{
    struct source *source = over;
    size_t n = source->piece < len ? source->piece : len;

    (void)deadline;
    n = n < source->left ? n : source->left;
    if (n > 0) {
        memcpy(buf, source->at, n);
    }
    source->at += n;
    source->left -= n;
    return (ssize_t)n;
}

static ssize_t
refuse(void *over, const struct iovec *pieces, int npieces, cel_time deadline)
{
    (void)over;
    (void)pieces;
    (void)npieces;
    (void)deadline;
    return -EPIPE;
}

static int
end(void *over, cel_time deadline)
{
    (void)over;
    (void)deadline;
    return 0;
}

/* One line against what is left of the whole; returns what was taken. */
static size_t
check_line(cel_stream *stream, const uint8_t *rest, size_t left, size_t size)
{
    static char line[256];
    const uint8_t *newline = left == 0 ? NULL : memchr(rest, '\n', left);
    size_t taken = newline == NULL ? left : (size_t)(newline - rest) + 1;
    ssize_t n = cel_stream_read_line(stream, line, size, CEL_AT_ONCE);

    if (n == -EMSGSIZE) {
        MUST(taken + (newline == NULL) + 1 > size);
        MUST(cel_stream_read(stream, line, 1, CEL_AT_ONCE) == 1);
        MUST((uint8_t)line[0] == rest[0]);
        return 1;
    }
    MUST(n == (ssize_t)taken);
    if (n > 0) {
        size_t len = taken - (newline != NULL);
        len -= newline != NULL && len > 0 && rest[len - 1] == '\r';
        MUST(memcmp(line, rest, len) == 0 && line[len] == '\0');
    }
    return taken;
}

static int
read_all(void *arg)
{
    static const cel_stream_ops ops = {sizeof(ops), receive, refuse, end};
    struct source *source = arg;
    const uint8_t *rest = source->at;
    size_t left = source->left;
    size_t size = 2 + source->piece % 200;
    cel_stream *stream;

    MUST(cel_stream_open_over(&stream, &ops, source) == 0);
    while (left > 0) {
        size_t taken = check_line(stream, rest, left, size);
        MUST(taken > 0);
        rest += taken;
        left -= taken;
    }
    MUST(cel_stream_read(stream, &size, 1, CEL_AT_ONCE) == 0);
    MUST(cel_stream_close(stream, CEL_FOREVER) == 0);
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    struct source source = {data + 1, size - 1, (size_t)data[0] + 1};
    MUST(cel_run(read_all, &source, NULL) == 0);
    return 0;
}
