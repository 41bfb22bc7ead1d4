/* SPDX-License-Identifier: MIT */
/* The example of celadon_transfer(3): a file is sent as it is. */
#include <celadon.h>

#include <fcntl.h>
#include <stdio.h>

static int
serve(void *arg)
{
    cel_time deadline = cel_after(5 * CEL_SEC);
    char text[64] = "";
    int64_t offset = 0;
    int fds[2];

    int err = cel_socketpair(fds);
    if (err < 0) {
        return err;
    }
    int file = cel_file_open(arg, O_RDONLY, 0, deadline);
    ssize_t n = file;
    if (file >= 0) {
        n = cel_sendfile(fds[1], file, &offset, sizeof(text) - 1, deadline);
        cel_file_close(file);
    }
    if (n > 0) {
        n = cel_recv(fds[0], text, (size_t)n, 0, deadline);
        printf("%s", text);
    }
    cel_close(fds[0]);
    cel_close(fds[1]);
    return n < 0 ? (int)n : 0;
}

int
main(void)
{
    static char path[] = "/etc/passwd";

    return cel_run(serve, path, NULL) < 0;
}
