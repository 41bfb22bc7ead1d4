/* SPDX-License-Identifier: MIT */
/*
 * An echo server on every core: a worker each, and a listener each, so that
 * the kernel deals the connections out and no two workers share anything.
 *
 *     manycore PORT [WORKERS]
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

/* At each worker: its own listener on the one address. */
static int
accept_all(void *arg)
{
    const struct sockaddr_in *addr = arg;

    int listener = cel_listen((const struct sockaddr *)addr, sizeof(*addr), 0,
                              CEL_REUSEPORT | CEL_NODELAY);
    if (listener < 0) {
        return listener;
    }
    printf("worker %d listens on 127.0.0.1:%d\n", cel_worker_index(),
           ntohs(addr->sin_port));
    fflush(stdout);
    for (;;) {
        int fd = cel_accept(listener, NULL, NULL, CEL_FOREVER);
        int err = fd < 0 ? fd : cel_go(NULL, serve, (void *)(intptr_t)fd);
        if (err < 0) {
            cel_close(listener);
            return err;
        }
    }
}

static int
listen_everywhere(void *arg)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    cel_group *group;

    addr.sin_port = htons((uint16_t)strtol(arg, NULL, 10));
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int err = cel_group_open(&group, 0);
    if (err < 0) {
        return err;
    }
    for (int i = 0; err == 0 && i < cel_workers(); i++) {
        err = cel_group_go_on(group, i, accept_all, &addr);
    }
    if (err == 0) {
        err = cel_group_wait(group, CEL_FOREVER);
    }
    int failed = cel_group_close(group);
    return failed < 0 ? failed : err;
}

int
main(int argc, char **argv)
{
    cel_options options;
    int err = -EINVAL;

    cel_options_init(&options);
    options.workers = argc == 3 ? (int)strtol(argv[2], NULL, 10)
                                : CEL_WORKERS_ALL;
    if (argc == 2 || argc == 3) {
        err = cel_run(listen_everywhere, argv[1], &options);
    }
    fprintf(stderr, "manycore PORT [WORKERS]: %s\n", strerror(-err));
    return 1;
}
