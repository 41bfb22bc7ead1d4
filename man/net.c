/* SPDX-License-Identifier: MIT */
/* The example of celadon_net(3): a server and its client in one program. */
#include <celadon.h>

#include <stdio.h>

static void
answer(void *arg)
{
    int *listener = arg;
    char buf[64];

    int fd = cel_accept(*listener, NULL, NULL, cel_after(5 * CEL_SEC));
    ssize_t n = cel_recv(fd, buf, sizeof(buf), 0, cel_after(5 * CEL_SEC));
    if (n > 0) {
        n = cel_send_all(fd, buf, (size_t)n, cel_after(5 * CEL_SEC));
    }
    cel_close(fd);
}

static int
ask(void *arg)
{
    struct sockaddr_storage addr;
    socklen_t len;
    char buf[64] = "hello";

    (void)arg;
    int err = cel_addr_parse("127.0.0.1:0", &addr, &len);
    int listener = err < 0 ? err
                           : cel_listen((struct sockaddr *)&addr, len, 0,
                                        CEL_NODELAY);
    if (listener < 0) {
        return listener;
    }
    len = sizeof(addr);
    err = getsockname(listener, (struct sockaddr *)&addr, &len);
    if (err == 0) {
        err = cel_go(NULL, answer, &listener);
    }
    int fd = cel_connect((struct sockaddr *)&addr, len,
                         cel_after(5 * CEL_SEC));
    ssize_t n = cel_send_all(fd, buf, 6, cel_after(5 * CEL_SEC));
    if (n == 6) {
        n = cel_recv_all(fd, buf, 6, cel_after(5 * CEL_SEC));
    }
    (void)cel_addr_format((struct sockaddr *)&addr, len, buf + 16, 48);
    printf("%s says %s\n", buf + 16, buf);
    cel_close(fd);
    cel_close(listener);
    return err < 0 ? err : (int)n;
}

int
main(void)
{
    return cel_run(ask, NULL, NULL) < 0;
}
