/* SPDX-License-Identifier: MIT */
/* Step 3 of docs/tutorial.md: a server that sends back what it is sent. */
#include <celadon.h>

#include <stdio.h>
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
chat(void *arg)
{
    const char *where = arg;

    int listener = cel_listen_at(where, 0, CEL_NODELAY, CEL_FOREVER);
    if (listener < 0) {
        return listener;
    }
    fprintf(stderr, "listening on %s\n", where);
    for (;;) {
        int fd = cel_accept(listener, NULL, NULL, CEL_FOREVER);
        if (fd < 0) {
            return fd;
        }
        int err = cel_go(NULL, serve, (void *)(intptr_t)fd);
        if (err < 0) {
            return err;
        }
    }
}

int
main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s ADDRESS:PORT\n", argv[0]);
        return 2;
    }
    int err = cel_run(chat, argv[1], NULL);
    fprintf(stderr, "%s: %s\n", argv[1], strerror(-err));
    return 1;
}
