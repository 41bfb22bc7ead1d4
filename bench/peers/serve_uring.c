/* SPDX-License-Identifier: MIT */
/*
 * A bare io_uring loop among the servers that bench/net.py compares; see
 * ../serve.c.
 *
 *     serve_uring echo|short PORT
 *
 * One ring, one io_uring_enter() a turn; one request accepts over and over.
 * A connection is a slot with a buffer, and has one request under way; the
 * end of a short one is two, linked.
 */
#include <arpa/inet.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    NSLOTS = 4096,
    ENTRIES = 4096,
    BATCH = 256
};

enum what {
    ACCEPT,
    RECV,
    SEND,
    CLOSE
};

static const char hello[] = "HTTP/1.0 200 OK\r\n\r\nhello";

static struct io_uring ring;
static bool is_short;
static int listener;
static char buffers[NSLOTS][4096]; /* by descriptor */

static struct io_uring_sqe *
request(void)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

    if (sqe == NULL) {
        io_uring_submit(&ring);
        sqe = io_uring_get_sqe(&ring);
    }
    return sqe;
}

/* After io_uring_prep_*(), which clear it. */
static void
tag(struct io_uring_sqe *sqe, enum what what, int fd)
{
    io_uring_sqe_set_data64(sqe, (uint64_t)what << 32 | (uint32_t)fd);
}

static void
accept_more(void)
{
    struct io_uring_sqe *sqe = request();

    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    tag(sqe, ACCEPT, listener);
}

static void
receive(int fd)
{
    struct io_uring_sqe *sqe = request();

    io_uring_prep_recv(sqe, fd, buffers[fd], sizeof(buffers[fd]), 0);
    tag(sqe, RECV, fd);
}

static void
hang_up(int fd)
{
    struct io_uring_sqe *sqe = request();

    io_uring_prep_close(sqe, fd);
    tag(sqe, CLOSE, fd);
}

static void
reply(int fd, int n)
{
    struct io_uring_sqe *sqe = request();

    if (is_short) {
        io_uring_prep_send(sqe, fd, hello, sizeof(hello) - 1, MSG_NOSIGNAL);
        sqe->flags |= IOSQE_IO_LINK;
    }
    else {
        io_uring_prep_send(sqe, fd, buffers[fd], (size_t)n, MSG_NOSIGNAL);
    }
    tag(sqe, SEND, fd);
    if (is_short) {
        hang_up(fd);
    }
}

static void
ended(const struct io_uring_cqe *cqe)
{
    enum what what = (enum what)(cqe->user_data >> 32);
    int fd = (int)(uint32_t)cqe->user_data;

    if (what == ACCEPT) {
        if (cqe->res < 0 || cqe->res >= NSLOTS) {
            exit(1);
        }
        receive(cqe->res);
        if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
            accept_more();
        }
    }
    else if (what == RECV && cqe->res > 0) {
        reply(fd, cqe->res);
    }
    else if (what == RECV) {
        hang_up(fd);
    }
    else if (what == SEND && !is_short) {
        receive(fd);
    }
}

static int
listen_at(const char *port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    addr.sin_port = htons((unsigned short)atoi(port));
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ||
        listen(fd, 1024) < 0) {
        exit(1);
    }
    return fd;
}

int
main(int argc, char **argv)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
    };
    struct io_uring_cqe *cqes[BATCH];

    if (argc != 3 || io_uring_queue_init_params(ENTRIES, &ring, &params) < 0) {
        return 2;
    }
    is_short = strcmp(argv[1], "short") == 0;
    listener = listen_at(argv[2]);
    accept_more();
    for (;;) {
        io_uring_submit_and_wait(&ring, 1);
        unsigned n = io_uring_peek_batch_cqe(&ring, cqes, BATCH);
        for (unsigned i = 0; i < n; i++) {
            ended(cqes[i]);
        }
        io_uring_cq_advance(&ring, n);
    }
}
