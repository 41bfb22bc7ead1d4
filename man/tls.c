/* SPDX-License-Identifier: MIT */
/* The example of celadon_tls(3): what a client says of a server that does not
   speak TLS; one that does is examples/tls_echo.c. */
#include <celadon.h>
#include <celadon/tls.h>

#include <stdio.h>

/* What a server says that does not speak TLS. */
static void
greet(void *arg)
{
    int fd = *(int *)arg;
    char buf[512];

    if (cel_send_all(fd, "220 ready\r\n", 11, CEL_FOREVER) == 11 &&
        cel_recv(fd, buf, sizeof(buf), 0, CEL_FOREVER) > 0) {
        puts("the client has spoken");
    }
    cel_close(fd);
}

static int
first(void *arg)
{
    cel_tls_context *context;
    cel_tls *tls;
    int fds[2];

    (void)arg;
    if (cel_tls_context_open(&context, CEL_TLS_CLIENT) < 0 ||
        cel_socketpair(fds) < 0 || cel_go(NULL, greet, &fds[1]) < 0 ||
        cel_tls_open(&tls, context, fds[0], "example.org") < 0) {
        return 1;
    }
    /* From here on tls has the socket. */
    int err = cel_tls_handshake(tls, cel_after(5 * CEL_SEC));
    if (err < 0) {
        printf("%d: %s\n", err, cel_tls_reason(tls));
    }
    cel_tls_close(tls, cel_after(CEL_SEC));
    cel_tls_context_close(context);
    return err == 0;
}

int
main(void)
{
    return cel_run(first, NULL, NULL) != 0;
}
