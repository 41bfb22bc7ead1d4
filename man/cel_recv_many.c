/* SPDX-License-Identifier: MIT */
/* The example of cel_recv_many(3): datagrams that come in bursts. */
#define _GNU_SOURCE
#include <celadon.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#define BURST 8

/* Room for as many datagrams, and for whom they are from. */
struct burst {
    struct mmsghdr msgs[BURST];
    struct iovec pieces[BURST];
    struct sockaddr_in from[BURST];
    char bytes[BURST][64];
};

static void
clear(struct burst *burst)
{
    for (int i = 0; i < BURST; i++) {
        struct msghdr *msg = &burst->msgs[i].msg_hdr;
        burst->pieces[i] = (struct iovec){burst->bytes[i], 64};
        *msg = (struct msghdr){.msg_iov = &burst->pieces[i],
                               .msg_iovlen = 1,
                               .msg_name = &burst->from[i],
                               .msg_namelen = sizeof(burst->from[i])};
    }
}

static int
serve(void *arg)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof(at);
    static struct burst burst;
    int got = 0;

    (void)arg;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = cel_udp((struct sockaddr *)&at, sizeof(at), 0);
    if (fd < 0 || getsockname(fd, (struct sockaddr *)&at, &len) < 0) {
        return 1;
    }
    for (int i = 0; i < 3; i++) { /* somebody else, in truth */
        (void)!cel_sendto(fd, "hello\n", 7, (struct sockaddr *)&at, len,
                          cel_after(CEL_SEC));
    }
    while (got < 3) {
        clear(&burst);
        ssize_t n = cel_recv_many(fd, burst.msgs, BURST, 0,
                                  cel_after(5 * CEL_SEC));
        if (n < 0) {
            break;
        }
        for (ssize_t i = 0; i < n; i++) {
            printf("%u bytes: %s", burst.msgs[i].msg_len, burst.bytes[i]);
        }
        got += (int)n;
    }
    cel_close(fd);
    return got != 3;
}

int
main(void)
{
    return cel_run(serve, NULL, NULL) != 0;
}
