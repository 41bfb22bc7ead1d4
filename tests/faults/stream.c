/* SPDX-License-Identifier: MIT */
/* Faults under buffered streams. */
#include <errno.h>
#include <string.h>

#include "faults.h"

static char block[40000];

/* The other end: lines, then records, then all until the end. */
static void
answer(void *arg)
{
    cel_stream *stream = NULL;
    const void *data;
    char line[64];

    if (CALL(cel_stream_open, &stream, *(int *)arg) < 0) {
        MUST(stream == NULL);
        (void)CALL(cel_close, *(int *)arg);
        return;
    }
    /* What a call that failed should have taken stands before the rest. */
    if (CALL(cel_stream_read_line, stream, line, sizeof(line), soon()) == 6 &&
        CALL(cel_stream_read_until, stream, line, sizeof(line), "--", 2,
             soon()) == 8 &&
        CALL(cel_stream_peek, stream, &data, 3, soon()) >= 3) {
        MUST(memcmp(data, "xyz", 3) == 0);
        MUST(CALL(cel_stream_skip, stream, 3) == 3);
    }
    (void)CALL(cel_stream_buffered, stream);
    (void)CALL(cel_stream_read_all, stream, block, sizeof(block), soon());
    (void)CALL(cel_stream_printf, stream, soon(), "%s\n", "thanks");
    (void)CALL(cel_stream_flush, stream, soon());
    (void)CALL(cel_stream_close, stream, soon());
}

static void
ask(cel_stream *stream)
{
    struct iovec pieces[] = {{block, sizeof(block) / 2},
                             {block, sizeof(block) / 2}};
    char line[64];

    if (CALL(cel_stream_write, stream, "hello\n", 6, soon()) == 6 &&
        CALL(cel_stream_flush, stream, soon()) == 0 &&
        CALL(cel_stream_write, stream, "record--xyz", 11, soon()) == 11 &&
        CALL(cel_stream_writev, stream, pieces, 2, soon()) > 0 &&
        CALL(cel_stream_flush, stream, soon()) == 0) {
        (void)CALL(cel_stream_read, stream, line, 1, soon());
        (void)CALL(cel_stream_read, stream, line, sizeof(line), soon());
    }
    (void)CALL(cel_stream_close, stream, soon());
}

SCENARIO(buffered)
{
    int fds[2];
    cel_stream *stream;
    cel_coro *coro;

    if (CALL(cel_socketpair, fds) < 0) {
        return;
    }
    if (CALL(cel_go, &coro, answer, &fds[1]) < 0) {
        (void)CALL(cel_close, fds[0]);
        (void)CALL(cel_close, fds[1]);
        return;
    }
    if (CALL(cel_stream_open, &stream, fds[0]) == 0) {
        ask(stream);
    }
    else {
        (void)CALL(cel_close, fds[0]);
    }
    finish(coro);
}

static ssize_t
give(void *over, void *buf, size_t len, cel_time deadline)
{
    (void)over;
    (void)deadline;
    memset(buf, 'a', len);
    return (ssize_t)len;
}

static ssize_t
take(void *over, const struct iovec *pieces, int npieces, cel_time deadline)
{
    (void)over;
    (void)npieces;
    (void)deadline;
    return (ssize_t)pieces[0].iov_len;
}

static int
end(void *over, cel_time deadline)
{
    (void)deadline;
    *(int *)over += 1;
    return 0;
}

SCENARIO(over)
{
    static const cel_stream_ops ops = {sizeof(ops), give, take, end};
    cel_stream *stream = NULL;
    char bytes[8];
    int nclosed = 0;

    if (CALL(cel_stream_open_over, &stream, &ops, &nclosed) < 0) {
        MUST(stream == NULL);
        return;
    }
    (void)CALL(cel_stream_read, stream, bytes, sizeof(bytes), soon());
    (void)CALL(cel_stream_write, stream, bytes, sizeof(bytes), soon());
    (void)CALL(cel_stream_close, stream, soon());
    MUST(nclosed == 1);
}
