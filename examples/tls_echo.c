/* SPDX-License-Identifier: MIT */
/*
 * An echo server over TLS: as echo.c, with three lines more a connection.
 *
 *     tls_echo PORT CHAIN.pem KEY.pem
 */
#include <celadon.h>
#include <celadon/tls.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
serve(void *arg)
{
    cel_tls *tls = arg;
    char buf[4096];
    ssize_t n;

    /* Who connects and says nothing is not waited for. */
    if (cel_tls_handshake(tls, cel_after(10 * CEL_SEC)) < 0) {
        fprintf(stderr, "refused: %s\n", cel_tls_reason(tls));
    }
    while ((n = cel_tls_recv(tls, buf, sizeof(buf), CEL_FOREVER)) > 0) {
        if (cel_tls_send(tls, buf, (size_t)n, CEL_FOREVER) < n) {
            break;
        }
    }
    cel_tls_close(tls, cel_after(CEL_SEC));
}

static int
accept_all(cel_tls_context *context, int listener)
{
    for (;;) {
        cel_tls *tls;
        int fd = cel_accept(listener, NULL, NULL, CEL_FOREVER);
        int err = fd < 0 ? fd : cel_tls_open(&tls, context, fd, NULL);
        if (err == 0) {
            err = cel_go(NULL, serve, tls);
        }
        if (err < 0) {
            return err;
        }
    }
}

static int
start(void *arg)
{
    char *const *argv = arg;
    struct sockaddr_in addr = {.sin_family = AF_INET};
    cel_tls_context *context;

    int err = cel_tls_context_open(&context, CEL_TLS_SERVER);
    if (err < 0) {
        return err;
    }
    err = cel_tls_context_use_certificate(context, argv[2], argv[3]);
    if (err < 0) {
        fprintf(stderr, "%s: %s\n", argv[2], cel_tls_context_reason(context));
        return err;
    }
    addr.sin_port = htons((uint16_t)strtol(argv[1], NULL, 10));
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = cel_listen((const struct sockaddr *)&addr, sizeof(addr), 0,
                              CEL_NODELAY);
    if (listener < 0) {
        return listener;
    }
    printf("listening on 127.0.0.1:%s\n", argv[1]);
    fflush(stdout);
    return accept_all(context, listener);
}

int
main(int argc, char **argv)
{
    int err = argc != 4 ? -EINVAL : cel_run(start, argv, NULL);

    fprintf(stderr, "tls_echo PORT CHAIN KEY: %s\n", strerror(-err));
    return 1;
}
