/* SPDX-License-Identifier: MIT */
/*
 * Making and closing streams, and what they usually stand on: descriptors.
 *
 * Threads: see celadon/stream.h.
 *
 * Tests: unit/test_stream.c
 */
#include "stream/stream.h"

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/sys_socket.h"
#include "celadon/net.h"

static int
fd_of(void *over)
{
    return (int)(intptr_t)over;
}

static ssize_t
socket_recv(void *over, void *buf, size_t len, cel_time deadline)
{
    return cel_recv(fd_of(over), buf, len, 0, deadline);
}

static ssize_t
socket_send(void *over, const struct iovec *pieces, int npieces,
            cel_time deadline)
{
    struct msghdr msg = {
        .msg_iov = (struct iovec *)(uintptr_t)pieces, /* only read */
        .msg_iovlen = (size_t)npieces,
    };

    if (npieces == 1) {
        return cel_send(fd_of(over), pieces->iov_base, pieces->iov_len, 0,
                        deadline);
    }
    return cel_sendmsg(fd_of(over), &msg, 0, deadline);
}

static ssize_t
pipe_recv(void *over, void *buf, size_t len, cel_time deadline)
{
    return cel_read(fd_of(over), buf, len, deadline);
}

static ssize_t
pipe_send(void *over, const struct iovec *pieces, int npieces,
          cel_time deadline)
{
    (void)npieces; /* some is enough */
    return cel_write(fd_of(over), pieces->iov_base, pieces->iov_len, deadline);
}

static int
fd_close(void *over, cel_time deadline)
{
    (void)deadline;
    return cel_close(fd_of(over));
}

static const cel_stream_ops socket_ops = {
    sizeof(cel_stream_ops),
    socket_recv,
    socket_send,
    fd_close,
};

static const cel_stream_ops pipe_ops = {
    sizeof(cel_stream_ops),
    pipe_recv,
    pipe_send,
    fd_close,
};

int
cel_stream_open(cel_stream **out, int fd)
{
    int type;
    socklen_t len = sizeof(type);
    int err = cel__sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);

    if (err < 0 && err != -ENOTSOCK) {
        return err;
    }
    err = cel_stream_open_over(out, err == 0 ? &socket_ops : &pipe_ops,
                               (void *)(intptr_t)fd);
    if (err == 0) {
        (*out)->fd = fd;
    }
    return err;
}

int
cel_stream_open_over(cel_stream **out, const cel_stream_ops *ops, void *over)
{
    if (ops->size < sizeof(*ops) || ops->recv == NULL || ops->send == NULL ||
        ops->close == NULL) {
        return -EINVAL;
    }
    struct cel_stream *stream = cel__alloc(sizeof(*stream));
    if (stream == NULL) {
        return -ENOMEM;
    }
    if (cel_mutex_open(&stream->reader) < 0) {
        goto free_stream;
    }
    if (cel_mutex_open(&stream->writer) < 0) {
        goto close_reader;
    }
    stream->ops = ops;
    stream->over = over;
    stream->broken = 0;
    stream->full = false;
    stream->big = false;
    stream->pinned = false;
    stream->fd = -1;
    cel__buffer_init(&stream->in, stream->small, sizeof(stream->small));
    cel__buffer_init(&stream->out, NULL, 0);
    *out = stream;
    return 0;

close_reader:
    cel_mutex_close(stream->reader);
free_stream:
    free(stream);
    return -ENOMEM;
}

int
cel_stream_close(cel_stream *stream, cel_time deadline)
{
    if (stream == NULL) {
        return 0;
    }
    int unsent = cel__stream_drain(stream, deadline);
    int err = stream->ops->close(stream->over, deadline);
    cel__buffer_clear(&stream->in);
    cel__buffer_clear(&stream->out);
    cel_mutex_close(stream->reader);
    cel_mutex_close(stream->writer);
    free(stream);
    return unsent < 0 ? unsent : err;
}
