/* SPDX-License-Identifier: MIT */
/* The example of cel_send_fds(3): an open file is handed to another. */
#include <celadon.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Whoever is at the other end: mostly another process. */
static void
take(void *arg)
{
    int *socket = arg;
    cel_time deadline = cel_after(5 * CEL_SEC);
    char name[64];
    char text[64];
    int file = -1;
    size_t nfds = 1;

    ssize_t n = cel_recv_fds(*socket, name, sizeof(name), &file, &nfds,
                             deadline);
    if (n <= 0 || nfds != 1) {
        return;
    }
    n = cel_file_read(file, text, sizeof(text), deadline);
    printf("%s: %zd bytes\n", name, n);
    cel_file_close(file);
}

static int
first(void *arg)
{
    static const char name[] = "passwd";
    cel_time deadline = cel_after(5 * CEL_SEC);
    cel_coro *taker;
    int fds[2];

    (void)arg;
    int err = cel_socketpair(fds);
    if (err < 0) {
        return err;
    }
    err = cel_go(&taker, take, &fds[1]);
    if (err == 0) {
        int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
        /* It is sent with the bytes, of which there is one at least; ours
           may be closed at once. */
        ssize_t n = cel_send_fds(fds[0], name, sizeof(name), &file, 1,
                                 deadline);
        err = n < 0 ? (int)n : 0;
        close(file);
        cel_close(fds[0]);
        (void)!cel_join(taker, CEL_FOREVER);
    }
    cel_close(fds[1]);
    return err;
}

int
main(void)
{
    return cel_run(first, NULL, NULL) < 0;
}
