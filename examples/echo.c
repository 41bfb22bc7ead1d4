/* SPDX-License-Identifier: MIT */
/*
 * An echo server: plain blocking code, a coroutine a connection.
 *
 *     echo PORT
 */
#include <celadon.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[4096];
    ssize_t n;

    while ((n = cel_recv(fd, buf, sizeof(buf), 0, CEL_FOREVER)) > 0) {
        if (cel_send_all(fd, buf, (size_t)n, CEL_FOREVER) < n) {
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
    int listener = cel_listen((const struct sockaddr *)&addr, sizeof(addr), 0,
                              CEL_NODELAY);
    if (listener < 0) {
        return listener;
    }
    printf("listening on 127.0.0.1:%s\n", (char *)arg);
    fflush(stdout);
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

    fprintf(stderr, "echo PORT: %s\n", strerror(-err));
    return 1;
}
