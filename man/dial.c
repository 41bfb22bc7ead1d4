/* SPDX-License-Identifier: MIT */
/* The example of celadon_dial(3): a server of one name, and a caller. */
#include <celadon.h>

#include <stdio.h>

static char name[] = "unix:@celadon-dial-example";

static void
greet(void *arg)
{
    int fd = cel_accept(*(int *)arg, NULL, NULL, cel_after(5 * CEL_SEC));

    if (cel_send_all(fd, "hello\n", 6, cel_after(5 * CEL_SEC)) < 6) {
        printf("nobody was greeted\n");
    }
    cel_close(fd);
}

static int
call(void *arg)
{
    cel_time deadline = cel_after(5 * CEL_SEC);
    char text[16] = "";

    int listener = cel_listen_at(arg, 0, 0, deadline);
    int err = listener < 0 ? listener : cel_go(NULL, greet, &listener);
    if (err < 0) {
        return err;
    }
    int fd = cel_dial(arg, NULL, deadline);
    ssize_t n = cel_recv_all(fd, text, 6, deadline);
    printf("%s", text);
    cel_close(fd);
    cel_close(listener);
    return n < 0 ? (int)n : 0;
}

int
main(void)
{
    return cel_run(call, name, NULL) < 0;
}
