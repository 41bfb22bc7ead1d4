/* SPDX-License-Identifier: MIT */
/*
 * A client that dials an echo server N times at once: fanout HOST PORT N
 */
#include <celadon.h>

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long nok;

static void
call(void *arg)
{
    cel_time deadline = cel_after(10 * CEL_SEC);
    char buf[] = "hello, is anybody there?";
    ssize_t len = sizeof(buf);
    int fd = -1;

    for (struct addrinfo *at = arg; fd < 0 && at != NULL; at = at->ai_next) {
        fd = cel_connect(at->ai_addr, at->ai_addrlen, deadline);
    }
    nok += fd >= 0 && cel_send_all(fd, buf, sizeof(buf), deadline) == len &&
           cel_recv_all(fd, buf, sizeof(buf), deadline) == len;
    cel_close(fd);
}

static int
dial(void *arg)
{
    static cel_coro *calls[10000];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *server;
    char **argv = arg;
    long n = strtol(argv[3], NULL, 10);

    int err = n < 0 || n > 10000 ? -EINVAL
                                 : cel_resolve(argv[1], argv[2], &hints,
                                               &server, CEL_FOREVER);
    for (long i = 0; err == 0 && i < n; i++) {
        err = cel_go(&calls[i], call, server);
    }
    for (long i = 0; err == 0 && i < n; i++) {
        err = cel_join(calls[i], CEL_FOREVER);
    }
    printf("%ld of %ld answered\n", nok, n);
    return err < 0 || nok == n ? err : -EIO;
}

int
main(int argc, char **argv)
{
    int err = argc == 4 ? cel_run(dial, argv, NULL) : -EINVAL;

    fprintf(stderr, "fanout HOST PORT N: %s\n", strerror(-err));
    return err < 0;
}
