/* SPDX-License-Identifier: MIT */
/*
 * The talk's server in C: a connection a request, a coroutine a connection.
 *
 *     http PORT
 *
 * Makes the calls that examples/showtime/server.py makes, and floor.c: accept,
 * recv, five sends, close.
 */
#include <celadon.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const answer[] = {
    "HTTP/1.0 200 OK\r\n",
    "Content-Type: text/plain\r\n",
    "Content-Length: 5\r\n",
    "\r\n",
    "hello",
};

static void
serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char request[1024];

    ssize_t n = cel_recv(fd, request, sizeof(request), 0, CEL_FOREVER);
    for (size_t i = 0; n > 0 && i < sizeof(answer) / sizeof(*answer); i++) {
        size_t len = strlen(answer[i]);
        if (cel_send_all(fd, answer[i], len, CEL_FOREVER) < (ssize_t)len) {
            break;
        }
    }
    cel_close(fd);
}

static int
accept_all(void *arg)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};

    addr.sin_port = htons((uint16_t)strtol(arg, NULL, 10));
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = cel_listen((const struct sockaddr *)&addr, sizeof(addr),
                              1024, 0);
    if (listener < 0) {
        return listener;
    }
    for (;;) {
        int fd = cel_accept(listener, NULL, NULL, CEL_FOREVER);
        int err = fd < 0 ? fd : cel_go(NULL, serve, (void *)(intptr_t)fd);
        if (err < 0) {
            return err;
        }
    }
}

int
main(int argc, char **argv)
{
    int err = argc != 2 ? -EINVAL : cel_run(accept_all, argv[1], NULL);

    (void)fprintf(stderr, "http PORT: %s\n", strerror(-err));
    return 1;
}
