/* SPDX-License-Identifier: MIT */
/*
 * libuv among the servers that bench/net.py compares; see ../serve.c.
 *
 *     serve_uv echo|short PORT
 *
 * Writes are tried at once, as a careful program has it; one that would block
 * ends its connection, for answers are far smaller than a socket's buffer.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static const char hello[] = "HTTP/1.0 200 OK\r\n\r\nhello";

static bool is_short;
static char buffer[65536];

static void
lend(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    (void)handle;
    (void)size;
    *buf = uv_buf_init(buffer, sizeof(buffer));
}

static void
closed(uv_handle_t *handle)
{
    free(handle);
}

static void
got(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    uv_buf_t out = uv_buf_init(buf->base, n > 0 ? (unsigned)n : 0);

    if (n == 0) {
        return;
    }
    if (is_short) {
        out = uv_buf_init((char *)(uintptr_t)hello, sizeof(hello) - 1);
    }
    if (n < 0 || uv_try_write(stream, &out, 1) != (int)out.len || is_short) {
        uv_close((uv_handle_t *)stream, closed);
    }
}

static void
came(uv_stream_t *listener, int status)
{
    uv_tcp_t *conn = malloc(sizeof(*conn));

    if (status < 0 || conn == NULL) {
        exit(1);
    }
    uv_tcp_init(listener->loop, conn);
    if (uv_accept(listener, (uv_stream_t *)conn) == 0) {
        uv_tcp_nodelay(conn, 1);
        uv_read_start((uv_stream_t *)conn, lend, got);
    }
    else {
        uv_close((uv_handle_t *)conn, closed);
    }
}

int
main(int argc, char **argv)
{
    struct sockaddr_in addr;
    uv_tcp_t listener;

    if (argc != 3) {
        return 2;
    }
    is_short = strcmp(argv[1], "short") == 0;
    uv_ip4_addr("127.0.0.1", atoi(argv[2]), &addr);
    uv_tcp_init(uv_default_loop(), &listener);
    uv_tcp_bind(&listener, (const struct sockaddr *)&addr, 0);
    if (uv_listen((uv_stream_t *)&listener, 1024, came) < 0) {
        return 1;
    }
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
