/* SPDX-License-Identifier: MIT */
/*
 * Operations over readiness: order, edges, short reads, ends, errors.
 *
 * System calls are counted by standing in front of the C library's.
 */
#include "io/readiness.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "ops.h"
#include "sockets.h"

static int nrecv; /* of recvmsg() too */
static int nctl;

/* The C library's names for their parameters are its own:
   NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
ssize_t
recv(int fd, void *buf, size_t len, int flags)
{
    nrecv++;
    return syscall(SYS_recvfrom, fd, buf, len, flags, NULL, NULL);
}

ssize_t
recvmsg(int fd, struct msghdr *msg, int flags)
{
    nrecv++;
    return syscall(SYS_recvmsg, fd, msg, flags);
}

int
epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    nctl++;
    return (int)syscall(SYS_epoll_ctl, epoll, op, fd, event);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

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

/* A pair of the kind; fds[0] is owned. */
static void
owned_pair(int fds[2], void (*pair)(int fds[2]))
{
    pair(fds);
    cel__loop_own(&loop, fds[0]);
}

/* An owned connection that a short receive has emptied. */
static void
drained_pair(int fds[2])
{
    struct job job;

    owned_pair(fds, tcp_pair);
    job_wait_recv(&loop, &job, fds[0], 64);
    put(fds[1], "x");
    job_finish(&loop, &job);
}

TEST(data_that_is_there_is_taken_at_once)
{
    struct job job;
    int fds[2];

    open_loop();
    owned_pair(fds, tcp_pair);
    put(fds[1], "h");
    CHECK_EQ(get(&loop, &job, fds[0], 64), 1);
    CHECK_EQ(job.bytes[0], 'h');
    CHECK_EQ(loop.narmed, 0);
    cel__loop_close(&loop);
}

TEST(readers_are_served_in_the_order_they_came)
{
    struct job jobs[3];
    int fds[2];

    open_loop();
    for (int owned = 0; owned < 2; owned++) {
        unix_pair(fds);
        if (owned) {
            cel__loop_own(&loop, fds[0]);
        }
        njobs_done = 0;
        for (int i = 0; i < 3; i++) {
            job_wait_recv(&loop, &jobs[i], fds[0], 1);
        }
        put(fds[1], "ab");
        job_finish(&loop, &jobs[1]);
        settle(&loop);
        CHECK_EQ(jobs[0].order, 1);
        CHECK_EQ(jobs[0].bytes[0], 'a');
        CHECK_EQ(jobs[1].order, 2);
        CHECK_EQ(jobs[1].bytes[0], 'b');
        CHECK_EQ(jobs[2].ndone, 0);
        put(fds[1], "c");
        job_finish(&loop, &jobs[2]);
        CHECK_EQ(jobs[2].bytes[0], 'c');
    }
    cel__loop_close(&loop);
}

TEST(who_comes_later_does_not_overtake)
{
    struct job early;
    struct job late;
    struct job last;
    int fds[2];

    open_loop();
    unix_pair(fds);
    job_wait_recv(&loop, &early, fds[0], 1);
    put(fds[1], "ab");
    job_wait_recv(&loop, &late, fds[0], 1);
    job_init(&last, CEL__OP_RECV, fds[0]);
    CHECK(!cel__loop_try(&loop, &last.op));
    job_finish(&loop, &early);
    CHECK_EQ(early.bytes[0], 'a');
    job_finish(&loop, &late);
    CHECK_EQ(late.bytes[0], 'b');
    cel__loop_close(&loop);
}

TEST(a_request_and_its_answer_cost_one_recv_each)
{
    void (*const pairs[])(int fds[2]) = {tcp_pair, unix_pair};
    struct job job;
    int fds[2];

    open_loop();
    if (!is_epoll() || CEL__HARD) {
        SKIP("edges are epoll's, and a hard build makes more calls");
    }
    for (int kind = 0; kind < 2; kind++) {
        owned_pair(fds, pairs[kind]);
        job_wait_recv(&loop, &job, fds[0], 64);
        put(fds[1], "first");
        job_finish(&loop, &job);
        nrecv = 0;
        nctl = 0;
        for (int i = 1; i <= 10; i++) {
            job_wait_recv(&loop, &job, fds[0], 64);
            put(fds[1], "more");
            job_finish(&loop, &job);
            CHECK_EQ(job.op.result, 4);
            CHECK_EQ(nrecv, i);
        }
        CHECK_EQ(nctl, 0);
    }
    cel__loop_close(&loop);
}

TEST(a_full_buffer_is_followed_by_another_try)
{
    struct job job;
    int fds[2];

    open_loop();
    owned_pair(fds, tcp_pair);
    job_wait_recv(&loop, &job, fds[0], 4);
    put(fds[1], "abcdefgh");
    job_finish(&loop, &job);
    size_t sum = (size_t)job.op.result;
    while (sum < 8) {
        CHECK_GT(get(&loop, &job, fds[0], 8 - sum), 0);
        sum += (size_t)job.op.result;
    }
    job_wait_recv(&loop, &job, fds[0], 4);
    put(fds[1], "i");
    job_finish(&loop, &job);
    CHECK_EQ(job.bytes[0], 'i');
    cel__loop_close(&loop);
}

TEST(the_end_of_a_stream_comes_after_its_data_and_stays)
{
    void (*const pairs[])(int fds[2]) = {tcp_pair, unix_pair};
    struct job job;
    int fds[2];

    open_loop();
    for (int i = 0; i < 4; i++) {
        pairs[i % 2](fds);
        if (i < 2) {
            cel__loop_own(&loop, fds[0]);
        }
        job_wait_recv(&loop, &job, fds[0], 2);
        put(fds[1], "abcde");
        close(fds[1]);
        job_finish(&loop, &job);
        int64_t sum = job.op.result;
        for (int64_t n = 1; n != 0; sum += n) {
            n = get(&loop, &job, fds[0], 64);
            CHECK_GE(n, 0);
        }
        CHECK_EQ(sum, 5);
        CHECK_EQ(get(&loop, &job, fds[0], 64), 0);
    }
    cel__loop_close(&loop);
}

TEST(the_end_alone_wakes_all_readers)
{
    struct job jobs[3];
    int fds[2];

    open_loop();
    owned_pair(fds, tcp_pair);
    for (int i = 0; i < 3; i++) {
        job_wait_recv(&loop, &jobs[i], fds[0], 1);
    }
    close(fds[1]);
    for (int i = 0; i < 3; i++) {
        job_finish(&loop, &jobs[i]);
        CHECK_EQ(jobs[i].op.result, 0);
    }
    cel__loop_close(&loop);
}

TEST(a_read_cut_at_urgent_data_loses_nothing)
{
    struct job job;
    int fds[2];

    open_loop();
    owned_pair(fds, tcp_pair);
    job_wait_recv(&loop, &job, fds[0], 64);
    put(fds[1], "ab");
    CHECK_EQ(send(fds[1], "!", 1, MSG_OOB), 1);
    put(fds[1], "cd");
    int64_t sum = 0;
    job_finish(&loop, &job);
    for (sum = job.op.result; sum < 4; sum += job.op.result) {
        CHECK_GT(get(&loop, &job, fds[0], 64), 0);
    }
    CHECK_EQ(sum, 4);
    cel__loop_close(&loop);
}

TEST(urgent_data_wakes_who_waits_for_it)
{
    struct job job;
    int fds[2];

    open_loop();
    owned_pair(fds, tcp_pair);
    job_wait_poll(&loop, &job, fds[0], CEL__URGENT);
    put(fds[1], "plain");
    settle(&loop);
    CHECK_EQ(job.ndone, 0);
    CHECK_EQ(send(fds[1], "!", 1, MSG_OOB), 1);
    job_finish(&loop, &job);
    CHECK((job.op.result & CEL__URGENT) != 0);
    job_init(&job, CEL__OP_RECV, fds[0]);
    job.op.flags = MSG_OOB;
    CHECK_EQ(cel__loop_submit(&loop, &job.op), 1);
    CHECK_EQ(job.op.result, 1);
    cel__loop_close(&loop);
}

TEST(peeking_leaves_the_data_to_be_read)
{
    struct job job;
    int fds[2];

    open_loop();
    drained_pair(fds);
    job_init(&job, CEL__OP_RECV, fds[0]);
    job.op.flags = MSG_PEEK;
    CHECK_EQ(cel__loop_submit(&loop, &job.op), 0);
    put(fds[1], "abc");
    job_finish(&loop, &job);
    CHECK_GT(job.op.result, 0);
    CHECK_EQ(get(&loop, &job, fds[0], 1), 1);
    CHECK_EQ(job.bytes[0], 'a');
    cel__loop_close(&loop);
}

TEST(a_receive_that_must_not_wait_does_not)
{
    struct job job;
    int fds[2];

    open_loop();
    owned_pair(fds, tcp_pair);
    job_init(&job, CEL__OP_RECV, fds[0]);
    job.op.flags = MSG_DONTWAIT;
    CHECK_EQ(cel__loop_submit(&loop, &job.op), 1);
    CHECK_EQ(job.op.result, -EAGAIN);
    job_wait_recv(&loop, &job, fds[0], 64);
    put(fds[1], "a");
    job_finish(&loop, &job);
    put(fds[1], "b");
    usleep(1000);
    /* The event was not taken yet, and is not needed. */
    job_init(&job, CEL__OP_RECV, fds[0]);
    job.op.flags = MSG_DONTWAIT;
    CHECK_EQ(cel__loop_submit(&loop, &job.op), 1);
    CHECK_EQ(job.op.result, 1);
    cel__loop_close(&loop);
}

TEST(one_attempt_is_made_whatever_the_bits_say)
{
    struct job job;
    int fds[2];

    open_loop();
    owned_pair(fds, tcp_pair);
    job_wait_recv(&loop, &job, fds[0], 64);
    put(fds[1], "a");
    job_finish(&loop, &job);
    job_init(&job, CEL__OP_RECV, fds[0]);
    CHECK(!cel__loop_try(&loop, &job.op));
    put(fds[1], "b");
    usleep(1000);
    CHECK(cel__loop_try(&loop, &job.op));
    CHECK_EQ(job.op.result, 1);
    cel__loop_close(&loop);
}

TEST(each_datagram_of_a_burst_is_received)
{
    struct sockaddr_in in = loopback();
    socklen_t len = sizeof(in);
    struct job job;

    open_loop();
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&in, len), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&in, len), 0);
    cel__loop_own(&loop, fd);
    job_wait_recv(&loop, &job, fd, 64);
    for (int i = 0; i < 5; i++) {
        put(fd, "datagram");
    }
    job_finish(&loop, &job);
    for (int i = 1; i < 5; i++) {
        CHECK_EQ(get(&loop, &job, fd, 64), 8);
    }
    job_wait_recv(&loop, &job, fd, 64);
    cel__loop_close(&loop);
}

/* Send one byte and a descriptor along with it. */
static void
send_descriptor(int fd, char byte, int passed)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec piece = {&byte, 1};
    struct msghdr msg = {
        .msg_iov = &piece,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&msg);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &passed, sizeof(int));
    CHECK_EQ(sendmsg(fd, &msg, 0), 1);
}

TEST(a_unix_stream_cut_at_passed_descriptors_loses_nothing)
{
    struct job job;
    int fds[2];

    open_loop();
    owned_pair(fds, unix_pair);
    job_wait_recv(&loop, &job, fds[0], 64);
    send_descriptor(fds[1], 'a', 0);
    send_descriptor(fds[1], 'b', 0);
    put(fds[1], "c");
    job_finish(&loop, &job);
    for (int64_t sum = job.op.result; sum < 3; sum += job.op.result) {
        CHECK_GT(get(&loop, &job, fds[0], 64), 0);
    }
    cel__loop_close(&loop);
}

TEST(a_whole_receive_gathers_its_bytes)
{
    struct job job;
    int fds[2];

    open_loop();
    for (int owned = 0; owned < 2; owned++) {
        tcp_pair(fds);
        if (owned) {
            cel__loop_own(&loop, fds[0]);
        }
        job_init(&job, CEL__OP_RECV, fds[0]);
        job.op.whole = true;
        job.op.len = 6;
        CHECK_EQ(cel__loop_submit(&loop, &job.op), 0);
        put(fds[1], "ab");
        settle(&loop);
        put(fds[1], "cd");
        settle(&loop);
        CHECK_EQ(job.ndone, 0);
        CHECK_EQ(job.op.moved, 4);
        put(fds[1], "efgh");
        job_finish(&loop, &job);
        CHECK_EQ(job.op.result, 6);
        CHECK_MEM(job.bytes, "abcdef", 6);
        CHECK_EQ(get(&loop, &job, fds[0], 1), 1);
        CHECK_EQ(job.bytes[0], 'g');
    }
    cel__loop_close(&loop);
}

TEST(a_whole_receive_ends_early_with_the_stream)
{
    struct job job;
    int fds[2];

    open_loop();
    owned_pair(fds, unix_pair);
    job_init(&job, CEL__OP_RECV, fds[0]);
    job.op.whole = true;
    CHECK_EQ(cel__loop_submit(&loop, &job.op), 0);
    put(fds[1], "abc");
    close(fds[1]);
    job_finish(&loop, &job);
    CHECK_EQ(job.op.result, 3);
    cel__loop_close(&loop);
}

TEST(a_whole_send_passes_through_a_slow_reader)
{
    enum {
        LEN = 8 << 20
    };
    void (*const pairs[])(int fds[2]) = {tcp_pair, unix_pair};
    char *bytes = calloc(1, LEN);
    static char piece[65536];
    struct job job;
    int fds[2];

    open_loop();
    for (int i = 0; i < 4; i++) {
        pairs[i % 2](fds);
        if (i < 2) {
            cel__loop_own(&loop, fds[0]);
        }
        job_init(&job, CEL__OP_SEND, fds[0]);
        job.op.data = bytes;
        job.op.len = LEN;
        job.op.whole = true;
        CHECK_EQ(cel__loop_submit(&loop, &job.op), 0);
        for (size_t taken = 0; taken < LEN;) {
            ssize_t n = syscall(SYS_recvfrom, fds[1], piece, sizeof(piece),
                                MSG_DONTWAIT, NULL, NULL);
            taken += n > 0 ? (size_t)n : 0;
            CHECK_EQ(cel__loop_poll(&loop, 0), 0);
        }
        job_finish(&loop, &job);
        CHECK_EQ(job.op.result, LEN);
    }
    free(bytes);
    cel__loop_close(&loop);
}

TEST(a_reset_in_mid_send_is_told_with_what_had_moved)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    static char bytes[32 << 20];
    struct job job;
    int fds[2];

    open_loop();
    owned_pair(fds, tcp_pair);
    job_init(&job, CEL__OP_SEND, fds[0]);
    job.op.data = bytes;
    job.op.len = sizeof(bytes);
    job.op.whole = true;
    CHECK_EQ(cel__loop_submit(&loop, &job.op), 0);
    settle(&loop);
    CHECK_EQ(
        setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    close(fds[1]);
    job_finish(&loop, &job);
    CHECK_EQ(job.op.result, -ECONNRESET);
    CHECK_GT(job.op.moved, 0);
    CHECK_LT(job.op.moved, sizeof(bytes));
    job_init(&job, CEL__OP_SEND, fds[0]);
    if (cel__loop_submit(&loop, &job.op) == 0) {
        job_finish(&loop, &job);
    }
    CHECK_EQ(job.op.result, -EPIPE);
    cel__loop_close(&loop);
}

TEST(a_short_receive_may_be_followed_by_a_reset)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    struct job job;
    int fds[2];

    open_loop();
    drained_pair(fds);
    job_wait_recv(&loop, &job, fds[0], 64);
    CHECK_EQ(
        setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    close(fds[1]);
    job_finish(&loop, &job);
    CHECK_EQ(job.op.result, -ECONNRESET);
    cel__loop_close(&loop);
}

TEST(waits_for_readiness_all_end_at_one_event)
{
    struct job polls[3];
    struct job write;
    struct job read;
    int fds[2];

    open_loop();
    for (int owned = 0; owned < 2; owned++) {
        unix_pair(fds);
        if (owned) {
            cel__loop_own(&loop, fds[0]);
        }
        (void)stuff(fds[0]);
        for (int i = 0; i < 3; i++) {
            job_wait_poll(&loop, &polls[i], fds[0], CEL__READABLE);
        }
        job_wait_poll(&loop, &write, fds[0], CEL__WRITABLE);
        job_wait_recv(&loop, &read, fds[0], 1);
        put(fds[1], "x");
        for (int i = 0; i < 3; i++) {
            job_finish(&loop, &polls[i]);
            CHECK_EQ(polls[i].op.result, CEL__READABLE);
        }
        job_finish(&loop, &read);
        CHECK_EQ(write.ndone, 0);
        cel__loop_cancel(&loop, &write.op, -ECANCELED);
    }
    cel__loop_close(&loop);
}

TEST(readiness_is_looked_up_where_the_bits_may_be_stale)
{
    struct job job;
    char byte;
    int fds[2];

    open_loop();
    owned_pair(fds, tcp_pair);
    job_wait_poll(&loop, &job, fds[0], CEL__READABLE);
    put(fds[1], "ab");
    job_finish(&loop, &job);
    /* It was not read: it is ready still. */
    job_init(&job, CEL__OP_POLL, fds[0]);
    job.op.events = CEL__READABLE;
    CHECK_EQ(cel__loop_submit(&loop, &job.op), 1);
    CHECK_EQ(job.op.result, CEL__READABLE);
    /* Somebody else read half of it, then all. */
    CHECK_EQ(read(fds[0], &byte, 1), 1);
    CHECK_EQ(cel__loop_submit(&loop, &job.op), 1);
    CHECK_EQ(read(fds[0], &byte, 1), 1);
    job_wait_poll(&loop, &job, fds[0], CEL__READABLE);
    put(fds[1], "c");
    job_finish(&loop, &job);
    CHECK_EQ(get(&loop, &job, fds[0], 64), 1);
    cel__loop_close(&loop);
}

TEST(a_wait_behind_a_short_receive_is_for_the_next_edge)
{
    struct job wait;
    int fds[2];

    open_loop();
    drained_pair(fds);
    put(fds[1], "y");
    job_init(&wait, CEL__OP_POLL, fds[0]);
    wait.op.events = CEL__READABLE;
    /* In a hard build the receive may have asked for one byte, and so been
       full. */
    int ended = cel__loop_submit(&loop, &wait.op);
    CHECK(ended == 0 || CEL__HARD || !is_epoll());
    if (ended == 0) {
        job_finish(&loop, &wait);
    }
    CHECK_EQ(wait.op.result, CEL__READABLE);
    cel__loop_close(&loop);
}

TEST(a_wait_for_both_directions_tells_which)
{
    struct job job;
    int fds[2];

    open_loop();
    owned_pair(fds, tcp_pair);
    job_init(&job, CEL__OP_POLL, fds[0]);
    job.op.events = CEL__READABLE | CEL__WRITABLE;
    if (cel__loop_submit(&loop, &job.op) == 0) {
        job_finish(&loop, &job);
    }
    CHECK_EQ(job.op.result, CEL__WRITABLE);
    cel__loop_close(&loop);
}

TEST(a_hang_up_ends_every_wait)
{
    struct job job;
    int fds[2];

    open_loop();
    owned_pair(fds, unix_pair);
    job_wait_poll(&loop, &job, fds[0], CEL__URGENT);
    close(fds[1]);
    job_finish(&loop, &job);
    CHECK((job.op.result & CEL__HUNG_UP) != 0);
    cel__loop_close(&loop);
}

TEST(cancelling_ends_a_wait_once)
{
    struct job jobs[3];
    int fds[2];

    open_loop();
    for (int owned = 0; owned < 2; owned++) {
        unix_pair(fds);
        if (owned) {
            cel__loop_own(&loop, fds[0]);
        }
        for (int i = 0; i < 3; i++) {
            job_wait_recv(&loop, &jobs[i], fds[0], 1);
        }
        cel__loop_cancel(&loop, &jobs[1].op, -ETIMEDOUT);
        CHECK_EQ(jobs[1].ndone, 1);
        CHECK_EQ(jobs[1].op.result, -ETIMEDOUT);
        cel__loop_cancel(&loop, &jobs[1].op, -ECANCELED);
        CHECK_EQ(jobs[1].ndone, 1);
        cel__loop_cancel(&loop, &jobs[0].op, -ECANCELED);
        put(fds[1], "ab");
        job_finish(&loop, &jobs[2]);
        CHECK_EQ(jobs[2].bytes[0], 'a');
        /* One that has its result is past cancelling. */
        cel__loop_cancel(&loop, &jobs[2].op, -ECANCELED);
        CHECK_EQ(jobs[2].op.result, 1);
        CHECK_EQ(get(&loop, &jobs[0], fds[0], 1), 1);
    }
    CHECK_EQ(loop.narmed, 0);
    cel__loop_close(&loop);
}

TEST(a_cancelled_whole_receive_tells_what_it_took)
{
    struct job job;
    int fds[2];

    open_loop();
    owned_pair(fds, tcp_pair);
    job_init(&job, CEL__OP_RECV, fds[0]);
    job.op.whole = true;
    CHECK_EQ(cel__loop_submit(&loop, &job.op), 0);
    put(fds[1], "abc");
    settle(&loop);
    cel__loop_cancel(&loop, &job.op, -ETIMEDOUT);
    CHECK_EQ(job.op.result, -ETIMEDOUT);
    CHECK_EQ(job.op.moved, 3);
    cel__loop_close(&loop);
}

/* A job whose end starts it again, or forgets its descriptor. */
static int nrounds;

static void
again(struct cel__op *op)
{
    nrounds++;
    if (nrounds < 5) {
        CHECK_GE(cel__loop_submit(&loop, op), 0);
    }
    else {
        cel__loop_forget(&loop, op->fd, -ECANCELED);
    }
}

TEST(done_may_submit_again_and_forget)
{
    struct job job;
    struct job other;
    int fds[2];

    open_loop();
    owned_pair(fds, unix_pair);
    job_wait_recv(&loop, &job, fds[0], 1);
    job.op.done = again;
    job_wait_recv(&loop, &other, fds[0], 1);
    for (int i = 0; i < 20 && other.ndone == 0; i++) {
        put(fds[1], "x");
        settle(&loop);
    }
    for (int i = 0; i < 20 && nrounds < 5; i++) {
        put(fds[1], "x");
        settle(&loop);
        if (nrounds < 5 && job.op.state == CEL__OP_IDLE) {
            again(&job.op); /* it ended without a wait */
        }
    }
    CHECK_EQ(other.op.result, 1);
    CHECK_EQ(nrounds, 5);
    CHECK_EQ(loop.narmed, 0);
    cel__loop_close(&loop);
}
