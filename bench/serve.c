/* SPDX-License-Identifier: MIT */
/*
 * Ours among the servers that bench/net.py compares.
 *
 *     serve echo PORT         what comes back, over kept connections
 *     serve short PORT        accept, recv, send, close a connection
 *     serve file PORT PATH    the same with the file's MiB by cel_sendfile()
 */
#include <celadon.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE ((size_t)1 << 20)

static const char head[] = "HTTP/1.0 200 OK\r\n\r\n";
static const char hello[] = "HTTP/1.0 200 OK\r\n\r\nhello";

static int file;

static void
echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[4096];
    ssize_t n;

    while ((n = cel_recv(fd, buf, sizeof(buf), 0, CEL_FOREVER)) > 0) {
        if (cel_send_all(fd, buf, (size_t)n, CEL_FOREVER) < n) {
            break;
        }
    }
    (void)cel_close(fd);
}

static void
answer(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char request[1024];

    if (cel_recv(fd, request, sizeof(request), 0, CEL_FOREVER) > 0) {
        (void)!cel_send_all(fd, hello, sizeof(hello) - 1, CEL_FOREVER);
    }
    (void)cel_close(fd);
}

/* The head leaves by itself, as nginx's does; see bench/README.md. */
static void
send_file(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char request[1024];
    int64_t offset = 0;

    if (cel_recv(fd, request, sizeof(request), 0, CEL_FOREVER) > 0 &&
        cel_send_all(fd, head, sizeof(head) - 1, CEL_FOREVER) > 0) {
        (void)!cel_sendfile(fd, file, &offset, SIZE, CEL_FOREVER);
    }
    (void)cel_close(fd);
}

struct server {
    void (*serve)(void *arg);
    const char *port;
    const char *path;
};

static int
accept_all(void *arg)
{
    const struct server *server = arg;
    char where[32];

    if (server->path != NULL) {
        file = cel_file_open(server->path, 0, 0, CEL_FOREVER);
        if (file < 0) {
            return file;
        }
    }
    (void)snprintf(where, sizeof(where), "127.0.0.1:%s", server->port);
    int listener = cel_listen_at(where, 1024, CEL_NODELAY, CEL_FOREVER);
    if (listener < 0) {
        return listener;
    }
    for (;;) {
        int fd = cel_accept(listener, NULL, NULL, CEL_FOREVER);
        int err = fd < 0 ? fd
                         : cel_go(NULL, server->serve, (void *)(intptr_t)fd);
        if (err < 0) {
            return err;
        }
    }
}

int
main(int argc, char **argv)
{
    struct server server = {0};

    if (argc >= 3) {
        server.port = argv[2];
        server.path = argv[3];
        server.serve = strcmp(argv[1], "echo") == 0    ? echo
                       : strcmp(argv[1], "short") == 0 ? answer
                       : argc == 4                     ? send_file
                                                       : NULL;
    }
    int err = server.serve == NULL ? -EINVAL
                                   : cel_run(accept_all, &server, NULL);
    (void)fprintf(stderr, "serve echo|short|file PORT [PATH]: %s\n",
                  strerror(-err));
    return 1;
}
