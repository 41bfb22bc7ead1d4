/* SPDX-License-Identifier: MIT */
/*
 * Files sent, descriptors passed, bursts of connections, connected datagrams.
 */
#include "celadon/transfer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "celadon/net.h"
#include "coros.h"
#include "sockets.h"

enum {
    SIZE = 3 << 20
};

/* A file of SIZE bytes that has no name. */
static int
file_of(const unsigned char *bytes)
{
    char path[] = "/tmp/celadon-transfer-XXXXXX";
    int fd = mkstemp(path);

    CHECK_GE(fd, 0);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(write(fd, bytes, SIZE), SIZE);
    return fd;
}

static unsigned char *
pattern(void)
{
    unsigned char *bytes = malloc(SIZE);

    CHECK(bytes != NULL);
    for (int i = 0; i < SIZE; i++) {
        bytes[i] = (unsigned char)(i * 7 + i / 256);
    }
    return bytes;
}

struct drain {
    int fd;
    size_t n;
    unsigned char *bytes;
};

static void
drain(void *arg)
{
    struct drain *self = arg;

    CHECK_EQ(cel_recv_all(self->fd, self->bytes, self->n, CEL_FOREVER),
             self->n);
}

/* Send a file over `fds`, all but its first byte and its last. */
static void
send_file(const int fds[2])
{
    unsigned char *bytes = pattern();
    struct drain reader = {fds[1], SIZE - 2, malloc(SIZE)};
    int file = file_of(bytes);
    int64_t offset = 1;

    CHECK(reader.bytes != NULL);
    cel_coro *coro = go(drain, &reader);
    CHECK_EQ(cel_sendfile(fds[0], file, &offset, SIZE - 2, CEL_FOREVER),
             SIZE - 2);
    CHECK_EQ(offset, SIZE - 1);
    join(coro);
    CHECK_MEM(reader.bytes, bytes + 1, SIZE - 2);
    CHECK_EQ(lseek(file, 0, SEEK_CUR), SIZE); /* where it was */
    CHECK_EQ(close(file), 0);
    free(reader.bytes);
    free(bytes);
}

static int
over_all_sockets(void *arg)
{
    int fds[2];

    (void)arg;
    CHECK_EQ(cel_socketpair(fds), 0);
    send_file(fds);
    tcp_pair(fds);
    CHECK_EQ(cel_own(fds[0]), 0);
    send_file(fds);
    /* The blocking end, which is nobody's. */
    int back[2] = {fds[1], fds[0]};
    send_file(back);
    return 0;
}

TEST(a_file_is_sent_whole_from_where_it_is_asked_for)
{
    run(over_all_sockets);
}

static int
to_its_end(void *arg)
{
    unsigned char *bytes = pattern();
    int file = file_of(bytes);
    int64_t offset = SIZE - 10;
    char end[16];
    int fds[2];

    (void)arg;
    CHECK_EQ(cel_socketpair(fds), 0);
    CHECK_EQ(cel_sendfile(fds[0], file, &offset, 100, CEL_FOREVER), 10);
    CHECK_EQ(offset, SIZE);
    CHECK_EQ(cel_recv(fds[1], end, sizeof(end), MSG_WAITALL, CEL_FOREVER),
             -EINVAL);
    CHECK_EQ(cel_recv_all(fds[1], end, 10, CEL_FOREVER), 10);
    CHECK_MEM(end, bytes + SIZE - 10, 10);
    CHECK_EQ(cel_sendfile(fds[0], file, &offset, 100, CEL_FOREVER), 0);
    CHECK_EQ(cel_sendfile(fds[0], file, &offset, 0, CEL_FOREVER), 0);
    free(bytes);
    return 0;
}

TEST(what_ends_before_is_sent_to_its_end)
{
    run(to_its_end);
}

static int
how_far(void *arg)
{
    unsigned char *bytes = pattern();
    int file = file_of(bytes);
    int64_t offset = 0;
    int fds[2];

    (void)arg;
    CHECK_EQ(cel_socketpair(fds), 0);
    /* Nobody reads. */
    ssize_t n = cel_sendfile(fds[0], file, &offset, SIZE,
                             cel_after(20 * CEL_MSEC));
    CHECK_GT(n, 0);
    CHECK_LT(n, SIZE);
    CHECK_EQ(offset, n);
    while (cel_sendfile(fds[0], file, &offset, SIZE, CEL_AT_ONCE) > 0) {
        n = offset;
    }
    CHECK_EQ(cel_sendfile(fds[0], file, &offset, SIZE, CEL_AT_ONCE),
             -ETIMEDOUT);
    CHECK_EQ(offset, n);
    CHECK_EQ(cel_close(fds[1]), 0);
    /* No signal ends the process. */
    CHECK_EQ(cel_sendfile(fds[0], file, &offset, SIZE, CEL_FOREVER), -EPIPE);
    CHECK_EQ(offset, n);
    sigset_t pending;
    CHECK_EQ(sigpending(&pending), 0);
    CHECK_EQ(sigismember(&pending, SIGPIPE), 0);
    free(bytes);
    return 0;
}

TEST(a_file_that_is_cut_off_reports_how_far_it_came)
{
    run(how_far);
}

static int
no_file(void *arg)
{
    int64_t offset = -1;
    unsigned char *bytes = pattern();
    int file = file_of(bytes);
    int fds[2];
    int pipe_fds[2];

    (void)arg;
    free(bytes);
    CHECK_EQ(cel_socketpair(fds), 0);
    CHECK_EQ(cel_pipe(pipe_fds), 0);
    CHECK_EQ(cel_sendfile(fds[0], file, &offset, 1, CEL_FOREVER), -EINVAL);
    CHECK_EQ(offset, -1);
    offset = 0;
    CHECK_EQ(cel_sendfile(fds[0], 9999, &offset, 1, CEL_FOREVER), -EBADF);
    CHECK_EQ(cel_sendfile(9999, file, &offset, 1, CEL_FOREVER), -EBADF);
    CHECK_EQ(cel_sendfile(fds[0], pipe_fds[0], &offset, 1, CEL_FOREVER),
             -ESPIPE);
    CHECK_EQ(cel_sendfile(fds[0], fds[1], &offset, 1, CEL_FOREVER), -ESPIPE);
    return 0;
}

TEST(what_is_no_file_is_not_sent)
{
    run(no_file);
}

static void
send_for_ever(void *arg)
{
    const struct drain *self = arg;
    int file = file_of(self->bytes);
    int64_t offset = 0;
    ssize_t n;

    do {
        n = cel_sendfile(self->fd, file, &offset, SIZE, CEL_FOREVER);
    } while (n > 0);
    CHECK_EQ(n, -ECANCELED);
}

static int
cancelled(void *arg)
{
    struct drain how = {0};
    int fds[2];

    (void)arg;
    how.bytes = pattern();
    CHECK_EQ(cel_socketpair(fds), 0);
    how.fd = fds[0];
    cel_coro *coro = go(send_for_ever, &how);
    CHECK_EQ(cel_sleep(cel_after(5 * CEL_MSEC)), 0);
    cel_cancel(coro);
    join(coro);
    free(how.bytes);
    return 0;
}

TEST(sending_a_file_can_be_cancelled)
{
    run(cancelled);
}

/* Whether two descriptors are of one file. */
static bool
same(int a, int b)
{
    struct stat one;
    struct stat other;

    CHECK_EQ(fstat(a, &one), 0);
    CHECK_EQ(fstat(b, &other), 0);
    return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* How many descriptors are open. */
static int
count_open(void)
{
    int n = 0;

    for (int fd = 0; fd < 1024; fd++) {
        n += fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

static int
passing(void *arg)
{
    char bytes[8];
    int got[4];
    size_t n = 4;
    int fds[2];
    int pipe_fds[2];

    (void)arg;
    CHECK_EQ(cel_socketpair(fds), 0);
    CHECK_EQ(cel_pipe(pipe_fds), 0);
    CHECK_EQ(cel_recv_fds(fds[1], bytes, 8, got, &n, cel_after(CEL_MSEC)),
             -ETIMEDOUT);
    CHECK_EQ(n, 4);
    CHECK_EQ(cel_send_fds(fds[0], "ab", 2, pipe_fds, 2, CEL_FOREVER), 2);
    CHECK_EQ(cel_send_all(fds[0], "cd", 2, CEL_FOREVER), 2);
    /* Where descriptors were passed the stream is cut. */
    CHECK_EQ(cel_recv_fds(fds[1], bytes, 8, got, &n, CEL_FOREVER), 2);
    CHECK_EQ(n, 2);
    CHECK(same(got[0], pipe_fds[0]) && same(got[1], pipe_fds[1]));
    CHECK_EQ(fcntl(got[0], F_GETFD), FD_CLOEXEC);
    n = 4;
    CHECK_EQ(cel_recv_fds(fds[1], bytes, 8, got, &n, CEL_FOREVER), 2);
    CHECK_EQ(n, 0);
    CHECK_EQ(cel_close(fds[0]), 0);
    CHECK_EQ(cel_recv_fds(fds[1], bytes, 8, got, &n, CEL_FOREVER), 0);
    return 0;
}

TEST(descriptors_come_with_their_bytes)
{
    run(passing);
}

static int
too_many(void *arg)
{
    int many[CEL_FDS_MOST + 1];
    char bytes[8];
    int got[2];
    size_t n = 2;
    int fds[2];

    (void)arg;
    CHECK_EQ(cel_socketpair(fds), 0);
    for (int i = 0; i <= CEL_FDS_MOST; i++) {
        many[i] = fds[0];
    }
    int before = count_open();
    CHECK_EQ(cel_send_fds(fds[0], "a", 1, many, CEL_FDS_MOST + 1, CEL_FOREVER),
             -EINVAL);
    CHECK_EQ(cel_send_fds(fds[0], "a", 1, many, 0, CEL_FOREVER), -EINVAL);
    CHECK_EQ(cel_send_fds(fds[0], "a", 0, many, 1, CEL_FOREVER), -EINVAL);
    many[0] = 9999;
    CHECK_EQ(cel_send_fds(fds[0], "a", 1, many, 1, CEL_FOREVER), -EBADF);
    many[0] = fds[0];
    CHECK_EQ(cel_send_fds(fds[0], "a", 1, many, CEL_FDS_MOST, CEL_FOREVER), 1);
    CHECK_EQ(cel_recv_fds(fds[1], bytes, 8, got, &n, CEL_FOREVER), 1);
    CHECK_EQ(n, CEL_FDS_MOST);
    CHECK_EQ(count_open(), before + 2);
    CHECK(same(got[0], fds[0]) && same(got[1], fds[0]));
    /* Nobody wants any. */
    CHECK_EQ(cel_send_fds(fds[0], "a", 1, many, 3, CEL_FOREVER), 1);
    n = 0;
    CHECK_EQ(cel_recv_fds(fds[1], bytes, 8, NULL, &n, CEL_FOREVER), 1);
    CHECK_EQ(n, 3);
    CHECK_EQ(count_open(), before + 2);
    return 0;
}

TEST(descriptors_beyond_the_room_are_closed)
{
    run(too_many);
}

static int
short_of_them(void *arg)
{
    struct rlimit limit;
    char bytes[8];
    int got[4];
    size_t n = 4;
    int fds[2];

    (void)arg;
    CHECK_EQ(cel_socketpair(fds), 0);
    int many[4] = {fds[0], fds[0], fds[1], fds[1]};
    CHECK_EQ(cel_send_fds(fds[0], "a", 1, many, 4, CEL_FOREVER), 1);
    int before = count_open();
    int next = dup(fds[0]);
    CHECK_EQ(close(next), 0);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)next + 2;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_EQ(cel_recv_fds(fds[1], bytes, 8, got, &n, CEL_FOREVER), -EMFILE);
    CHECK_EQ(n, 4);
    CHECK_EQ(count_open(), before);
    return 0;
}

TEST(where_descriptors_are_short_none_is_leaked)
{
    if (tap_valgrind()) {
        SKIP("valgrind keeps the limit to itself");
    }
    run(short_of_them);
}

static int
bursts(void *arg)
{
    struct sockaddr_in in;
    int listener = tcp_listener(&in);
    int clients[5];
    int conns[8];

    (void)arg;
    CHECK_EQ(cel_own(listener), 0);
    CHECK_EQ(cel_accept_many(listener, conns, 0, CEL_FOREVER), -EINVAL);
    CHECK_EQ(cel_accept_many(listener, conns, 8, cel_after(CEL_MSEC)),
             -ETIMEDOUT);
    for (int i = 0; i < 5; i++) {
        clients[i] = tcp_dial(&in);
    }
    CHECK_EQ(cel_accept_many(listener, conns, 3, CEL_FOREVER), 3);
    CHECK_EQ(cel_accept_many(listener, conns + 3, 5, CEL_FOREVER), 2);
    CHECK_EQ(cel_accept_many(listener, conns, 8, CEL_AT_ONCE), -ETIMEDOUT);
    for (int i = 0; i < 5; i++) {
        char byte = 0;
        put(clients[i], "x");
        CHECK_EQ(cel_recv(conns[i], &byte, 1, 0, CEL_FOREVER), 1);
        CHECK_EQ(byte, 'x');
        CHECK_EQ(cel_close(conns[i]), 0);
    }
    CHECK_EQ(cel_close(listener), 0);
    CHECK_EQ(cel_accept_many(listener, conns, 8, CEL_FOREVER), -EBADF);
    return 0;
}

TEST(those_who_came_at_once_are_taken_at_once)
{
    run(bursts);
}

/* A peer of `server`, which is bound to `text`. */
static void
talk(const char *text)
{
    struct sockaddr_storage addr;
    socklen_t len;
    char bytes[16];

    CHECK_EQ(cel_addr_parse(text, &addr, &len), 0);
    int server = cel_udp((struct sockaddr *)&addr, len, 0);
    CHECK_GE(server, 0);
    len = sizeof(addr);
    CHECK_EQ(getsockname(server, (struct sockaddr *)&addr, &len), 0);
    int client = cel_udp_connect((struct sockaddr *)&addr, len);
    CHECK_GE(client, 0);
    CHECK_EQ(cel_recv(client, bytes, 16, 0, cel_after(CEL_MSEC)), -ETIMEDOUT);
    CHECK_EQ(cel_send(client, "one", 3, 0, CEL_FOREVER), 3);
    CHECK_EQ(cel_send(client, "three", 5, 0, CEL_FOREVER), 5);
    len = sizeof(addr);
    CHECK_EQ(cel_recvfrom(server, bytes, 16, (struct sockaddr *)&addr, &len,
                          CEL_FOREVER),
             3);
    if (addr.ss_family == AF_INET) {
        CHECK_EQ(cel_sendto(server, "back", 4, (struct sockaddr *)&addr, len,
                            CEL_FOREVER),
                 4);
        CHECK_EQ(cel_recv(client, bytes, 16, 0, CEL_FOREVER), 4);
    }
    /* Longer than there is room for: cut. */
    CHECK_EQ(cel_recv(server, bytes, 4, 0, CEL_FOREVER), 4);
    CHECK_EQ(cel_recv(server, bytes, 4, 0, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_close(server), 0);
    if (addr.ss_family == AF_INET) {
        /* Nobody is there: one call to learn of it, one to be told. */
        CHECK_EQ(cel_send(client, "x", 1, 0, CEL_FOREVER), 1);
        CHECK_EQ(cel_recv(client, bytes, 16, 0, CEL_FOREVER), -ECONNREFUSED);
    }
    CHECK_EQ(cel_close(client), 0);
}

static int
connected(void *arg)
{
    struct sockaddr_in none = loopback();
    char text[64];

    (void)arg;
    (void)snprintf(text, sizeof(text), "unix:@celadon-peer-%d", getpid());
    talk("127.0.0.1:0");
    talk(text);
    none.sin_family = 9999;
    CHECK_EQ(cel_udp_connect((struct sockaddr *)&none, sizeof(none)),
             -EAFNOSUPPORT);
    return 0;
}

TEST(datagrams_may_have_one_peer)
{
    run(connected);
}

enum {
    NMSGS = 40
};

/* Datagrams with room for 8 bytes each. */
static struct mmsghdr *
make_messages(char bytes[NMSGS][8], struct iovec *rooms)
{
    static struct mmsghdr msgs[NMSGS];

    memset(msgs, 0, sizeof(msgs));
    for (int i = 0; i < NMSGS; i++) {
        rooms[i] = (struct iovec){bytes[i], 8};
        msgs[i].msg_hdr.msg_iov = &rooms[i];
        msgs[i].msg_hdr.msg_iovlen = 1;
    }
    return msgs;
}

/* A socket and its peer. */
static void
udp_pair(int fds[2])
{
    struct sockaddr_in in = loopback();
    socklen_t len = sizeof(in);

    fds[0] = cel_udp((struct sockaddr *)&in, sizeof(in), 0);
    CHECK_GE(fds[0], 0);
    CHECK_EQ(getsockname(fds[0], (struct sockaddr *)&in, &len), 0);
    fds[1] = cel_udp_connect((struct sockaddr *)&in, sizeof(in));
    CHECK_GE(fds[1], 0);
}

static void
send_later(void *arg)
{
    CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    CHECK_EQ(cel_send((int)(intptr_t)arg, "late", 4, 0, CEL_FOREVER), 4);
}

static int
many_datagrams(void *arg)
{
    static char bytes[NMSGS][8];
    struct iovec rooms[NMSGS];
    int fds[2];

    (void)arg;
    udp_pair(fds);
    struct mmsghdr *msgs = make_messages(bytes, rooms);
    CHECK_EQ(cel_recv_many(fds[0], msgs, 0, 0, CEL_FOREVER), -EINVAL);
    CHECK_EQ(cel_recv_many(fds[0], msgs, 1, MSG_WAITALL, CEL_FOREVER),
             -EINVAL);
    CHECK_EQ(cel_send_many(fds[1], msgs, 0, 0, CEL_FOREVER), -EINVAL);
    CHECK_EQ(cel_recv_many(fds[0], msgs, NMSGS, 0, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_recv_many(fds[0], msgs, NMSGS, 0, cel_after(CEL_MSEC)),
             -ETIMEDOUT);
    for (size_t i = 0; i < NMSGS; i++) {
        rooms[i].iov_len = 1 + i % 8;
        memset(bytes[i], (int)('a' + i % 26), 8);
    }
    CHECK_EQ(cel_send_many(fds[1], msgs, NMSGS, 0, CEL_FOREVER), NMSGS);
    CHECK_EQ(msgs[NMSGS - 1].msg_len, 1 + (NMSGS - 1) % 8);
    memset(bytes, 0, sizeof(bytes));
    msgs = make_messages(bytes, rooms);
    size_t sum = 0;
    while (sum < NMSGS) {
        ssize_t n = cel_recv_many(fds[0], msgs + sum, sum < 30 ? 30 - sum : 10,
                                  0, CEL_FOREVER);
        CHECK_GE(n, 1);
        sum += (size_t)n;
    }
    CHECK_EQ(sum, NMSGS);
    for (size_t i = 0; i < NMSGS; i++) {
        CHECK_EQ(msgs[i].msg_len, 1 + i % 8);
        CHECK_EQ(bytes[i][0], (int)('a' + i % 26));
    }
    cel_coro *sender = go(send_later, (void *)(intptr_t)fds[1]);
    CHECK_EQ(cel_recv_many(fds[0], msgs, NMSGS, 0, CEL_FOREVER), 1);
    CHECK_EQ(msgs[0].msg_len, 4);
    join(sender);
    CHECK_EQ(cel_close(fds[0]), 0);
    CHECK_EQ(cel_recv_many(fds[0], msgs, 1, 0, CEL_FOREVER), -EBADF);
    CHECK_EQ(cel_close(fds[1]), 0);
    CHECK_EQ(cel_send_many(fds[1], msgs, 1, 0, CEL_FOREVER), -EBADF);
    return 0;
}

TEST(datagrams_come_and_go_by_the_dozen)
{
    run(many_datagrams);
}

static int
crowded(void *arg)
{
    static char bytes[NMSGS][8];
    struct iovec rooms[NMSGS];
    struct sockaddr_storage addr;
    socklen_t len;
    char text[64];
    char byte[8];

    (void)arg;
    (void)snprintf(text, sizeof(text), "unix:@celadon-crowd-%d", getpid());
    CHECK_EQ(cel_addr_parse(text, &addr, &len), 0);
    int server = cel_udp((struct sockaddr *)&addr, len, 0);
    int client = cel_udp_connect((struct sockaddr *)&addr, len);
    CHECK_GE(server, 0);
    CHECK_GE(client, 0);
    struct mmsghdr *msgs = make_messages(bytes, rooms);
    /* A unix socket takes a dozen, and then says so. */
    ssize_t n = cel_send_many(client, msgs, NMSGS, 0, cel_after(CEL_MSEC));
    CHECK_GE(n, 1);
    CHECK_LT(n, NMSGS);
    CHECK_EQ(cel_send_many(client, msgs, NMSGS, 0, CEL_AT_ONCE), -ETIMEDOUT);
    for (ssize_t i = 0; i < n; i++) {
        CHECK_EQ(cel_recv(server, byte, 8, 0, CEL_FOREVER), 8);
    }
    CHECK_EQ(cel_close(server), 0);
    CHECK_EQ(cel_send_many(client, msgs, NMSGS, 0, CEL_FOREVER),
             -ECONNREFUSED);
    CHECK_EQ(cel_close(client), 0);
    return 0;
}

TEST(of_many_datagrams_those_that_fit_are_sent)
{
    run(crowded);
}

TEST(outside_of_a_run_nothing_is_transferred)
{
    struct mmsghdr none = {0};

    struct sockaddr_in in = loopback();
    int64_t offset = 0;
    size_t n = 1;
    int fd = 0;

    CHECK_EQ(cel_sendfile(0, 0, &offset, 1, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_send_fds(0, "a", 1, &fd, 1, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_recv_fds(0, &offset, 1, &fd, &n, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_accept_many(0, &fd, 1, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_recv_many(0, &none, 1, 0, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_send_many(0, &none, 1, 0, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_udp_connect((struct sockaddr *)&in, sizeof(in)), -EPERM);
}
