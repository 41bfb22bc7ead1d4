/* SPDX-License-Identifier: MIT */
/* The example of celadon_pipe(3): who writes to nobody is told, not killed. */
#include <celadon.h>

#include <errno.h>
#include <stdio.h>

static int
first(void *arg)
{
    int fds[2];

    (void)arg;
    int err = cel_pipe(fds);
    if (err < 0) {
        return err;
    }
    cel_close(fds[0]);
    ssize_t n = cel_pipe_write(fds[1], "x", 1, CEL_FOREVER);
    printf("%s\n", n == -EPIPE ? "nobody reads" : "written");
    cel_close(fds[1]);
    return 0;
}

int
main(void)
{
    return cel_run(first, NULL, NULL) < 0;
}
