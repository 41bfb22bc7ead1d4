/* SPDX-License-Identifier: MIT */
/*
 * The system calls of operations: connections, pipes, files.
 *
 * accept4() is counted by standing in front of the C library's.
 */
#include "io/op.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "ops.h"
#include "sockets.h"

static int naccept;

int
accept4(int fd, __SOCKADDR_ARG addr, socklen_t *restrict len, int flags)
{
    naccept++;
    return (int)syscall(SYS_accept4, fd, addr.__sockaddr__, len, flags);
}

static struct cel__loop loop;

static void
open_loop(void)
{
    CHECK_EQ(cel__loop_open(&loop, NULL), 0);
}

static bool
is_epoll(void)
{
    return loop.backend == &cel__epoll_backend;
}

TEST(a_burst_of_connections_costs_one_accept4_each)
{
    enum {
        N = 200
    };
    struct sockaddr_in in;
    struct job job;
    int clients[N];

    open_loop();
    int listener = tcp_listener(&in);
    cel__loop_own(&loop, listener);
    job_init(&job, CEL__OP_ACCEPT, listener);
    CHECK_EQ(cel__loop_submit(&loop, &job.op), 0);
    for (int i = 0; i < N; i++) {
        clients[i] = tcp_dial(&in);
    }
    naccept = 0;
    job_finish(&loop, &job);
    for (int i = 1; i < N; i++) {
        close((int)job.op.result);
        job_init(&job, CEL__OP_ACCEPT, listener);
        if (cel__loop_submit(&loop, &job.op) == 0) {
            job_finish(&loop, &job);
        }
        CHECK_GE(job.op.result, 0);
    }
    job_init(&job, CEL__OP_ACCEPT, listener);
    CHECK_EQ(cel__loop_submit(&loop, &job.op), 0);
    settle(&loop);
    if (strcmp(loop.backend->name, "uring") == 0) {
        CHECK_LE(naccept, N); /* the kernel made the others */
    }
    else {
        CHECK_EQ(naccept, N);
    }
    for (int i = 0; i < N; i++) {
        close(clients[i]);
    }
    cel__loop_close(&loop);
}

TEST(an_accepted_connection_shares_its_listeners_protocol)
{
    struct sockaddr_in in;
    struct job job;

    open_loop();
    int listener = tcp_listener(&in);
    cel__loop_own(&loop, listener);
    job_init(&job, CEL__OP_ACCEPT, listener);
    CHECK_EQ(cel__loop_submit(&loop, &job.op), 0);
    int client = tcp_dial(&in);
    job_finish(&loop, &job);
    int conn = (int)job.op.result;
    CHECK_EQ(fcntl(conn, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    CHECK_EQ(fcntl(conn, F_GETFD), FD_CLOEXEC);
    cel__loop_own_accepted(&loop, conn, listener);
    CHECK(cel__loop_owns(&loop, conn));
    if (is_epoll()) {
        const struct cel__fd *entry = cel__fd_find(&loop.fds, conn);
        CHECK(entry != NULL && entry->kind == CEL__FD_KIND_TCP);
    }
    close(client);
    cel__loop_close(&loop);
}

/* Begin a connect and wait for its end. */
static int64_t
connect_to(const struct sockaddr_in *in, int *out)
{
    struct job job;

    *out = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cel__loop_own(&loop, *out);
    if (connect(*out, (const struct sockaddr *)in, sizeof(*in)) == 0) {
        return 0;
    }
    if (errno != EINPROGRESS) {
        return -errno;
    }
    job_init(&job, CEL__OP_CONNECT, *out);
    CHECK_EQ(cel__loop_submit(&loop, &job.op), 0);
    job_finish(&loop, &job);
    return job.op.result;
}

TEST(a_connect_ends_well_or_with_its_error)
{
    struct sockaddr_in in;
    struct job job;
    int fd;

    open_loop();
    int listener = tcp_listener(&in);
    CHECK_EQ(connect_to(&in, &fd), 0);
    int conn = accept4(listener, NULL, NULL, 0);
    put(conn, "hi");
    CHECK_GT(get(&loop, &job, fd, 64), 0);
    close(listener);
    CHECK_EQ(connect_to(&in, &fd), -ECONNREFUSED);
    cel__loop_close(&loop);
}

TEST(a_regular_file_is_always_ready)
{
    FILE *file = tmpfile();
    struct job job;

    open_loop();
    int fd = fileno(file);
    CHECK_EQ(write(fd, "abc", 3), 3);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    for (int owned = 0; owned < 2; owned++) {
        job_init(&job, CEL__OP_POLL, fd);
        job.op.events = CEL__READABLE;
        CHECK_EQ(cel__loop_submit(&loop, &job.op), 1);
        CHECK_EQ(job.op.result, CEL__READABLE);
        job_init(&job, CEL__OP_READ, fd);
        job.op.len = 2;
        if (cel__loop_submit(&loop, &job.op) == 0) {
            job_finish(&loop, &job);
        }
        CHECK_EQ(job.op.result, owned ? 1 : 2);
        cel__loop_own(&loop, fd);
    }
    (void)fclose(file);
    cel__loop_close(&loop);
}

TEST(a_pipe_in_blocking_mode_does_not_block_the_thread)
{
    struct job job;
    int fds[2];
    static char bytes[1 << 20];

    open_loop();
    CHECK_EQ(pipe(fds), 0);
    job_init(&job, CEL__OP_READ, fds[0]);
    CHECK_EQ(cel__loop_submit(&loop, &job.op), 0);
    CHECK_EQ(write(fds[1], "a", 1), 1);
    job_finish(&loop, &job);
    CHECK_EQ(job.op.result, 1);
    job_init(&job, CEL__OP_WRITE, fds[1]);
    job.op.data = bytes;
    job.op.len = sizeof(bytes);
    job.op.whole = true;
    CHECK_EQ(cel__loop_submit(&loop, &job.op), 0);
    for (size_t sum = 0; sum < sizeof(bytes);) {
        ssize_t n = 0;
        struct pollfd look = {fds[0], POLLIN, 0};
        static char taken[65536];
        if (poll(&look, 1, 0) == 1) {
            n = read(fds[0], taken, sizeof(taken));
        }
        sum += (size_t)n;
        CHECK_EQ(cel__loop_poll(&loop, 0), 0);
    }
    job_finish(&loop, &job);
    CHECK_EQ(job.op.result, sizeof(bytes));
    cel__loop_close(&loop);
}

TEST(a_pipe_of_ours_ends_when_its_writer_closes)
{
    struct job job;
    int fds[2];

    open_loop();
    CHECK_EQ(pipe2(fds, O_NONBLOCK), 0);
    cel__loop_own(&loop, fds[0]);
    for (int i = 0; i < 3; i++) {
        job_init(&job, CEL__OP_READ, fds[0]);
        CHECK_EQ(cel__loop_submit(&loop, &job.op), 0);
        CHECK_EQ(write(fds[1], "a", 1), 1);
        job_finish(&loop, &job);
        CHECK_EQ(job.op.result, 1);
    }
    job_init(&job, CEL__OP_READ, fds[0]);
    CHECK_EQ(cel__loop_submit(&loop, &job.op), 0);
    close(fds[1]);
    job_finish(&loop, &job);
    CHECK_EQ(job.op.result, 0);
    cel__loop_close(&loop);
}
