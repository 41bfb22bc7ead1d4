/* SPDX-License-Identifier: MIT */
/*
 * The errors that every call that waits has, in one table: outside a run, at
 * a deadline, cancelled, and for ever.  What is a call's own is in the test of
 * its file, and those where the system refuses something are in
 * test_refused.c; scripts/errors.py sees that none is left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "celadon.h"
#include "coros.h"

static cel_time until;
static char bytes[1 << 17];
static int quiet[2]; /* sockets; nothing comes */
static int full[2];  /* nothing fits into the first */
static int out[2];   /* a pipe into which nothing fits */
static int listener; /* nobody dials */
static int busy;     /* a listener whose queue is full */
static int file;     /* that no page cache has */
static struct sockaddr_in busy_addr;
static char busy_port[8];
static int crowd; /* a socket for datagrams that nobody takes */
static struct sockaddr_un crowd_addr;
static socklen_t crowd_len = sizeof(crowd_addr);
static cel_stream *silent;  /* over quiet[0] */
static cel_stream *stopped; /* over full[0] */
static struct iovec iov = {bytes, sizeof(bytes)};
static struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
static struct stat status;

static cel_mutex *mutex; /* held, as those below */
static cel_mutex *other; /* free */
static cel_rwlock *lock;
static cel_cond *cond;
static cel_sem *sem;
static cel_event *event;
static cel_wg *wg;
static cel_chan *chan;
static cel_group *group;
static cel_coro *holder;
static cel_once once = CEL_ONCE_INIT;
static cel_signals *signals;

static intmax_t
wait_cond(void)
{
    int err = cel_mutex_lock(other, CEL_FOREVER);

    if (err == 0) {
        err = cel_cond_wait(cond, other, until);
        (void)cel_mutex_unlock(other);
    }
    return err;
}

static int
sleep_on(void *arg)
{
    (void)arg;
    return cel_sleep(CEL_FOREVER);
}

static intmax_t
select_one(void)
{
    cel_case one = {.chan = chan, .value = bytes, .op = CEL_RECV};

    return cel_select(&one, 1, until);
}

static intmax_t
take_fds(void)
{
    int fds[1];
    size_t nfds = 1;

    return cel_recv_fds(quiet[0], bytes, 1, fds, &nfds, until);
}

static intmax_t
take_conns(void)
{
    int conns[2];

    return cel_accept_many(listener, conns, 2, until);
}

static struct mmsghdr
one_message(void)
{
    struct mmsghdr one = {.msg_hdr = msg};

    return one;
}

static intmax_t
take_messages(void)
{
    struct mmsghdr one = one_message();

    return cel_recv_many(quiet[0], &one, 1, 0, until);
}

static intmax_t
give_messages(void)
{
    struct mmsghdr one = one_message();

    return cel_send_many(full[0], &one, 1, 0, until);
}

static intmax_t
give_file(void)
{
    int64_t offset = 0;
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    ssize_t n = cel_sendfile(full[0], self, &offset, 64, until);

    (void)close(self);
    return n;
}

static intmax_t
give_text(void)
{
    return cel_stream_printf(stopped, until, "%*d", (int)sizeof(bytes), 1);
}

static intmax_t
close_stopped(void)
{
    (void)!cel_stream_write(stopped, "x", 1, CEL_AT_ONCE);
    return cel_stream_close(stopped, until);
}

/* Data that waits in the buffer, and can't leave. */
static intmax_t
flush_some(void)
{
    (void)!cel_stream_write(stopped, "x", 1, CEL_AT_ONCE);
    return cel_stream_flush(stopped, until);
}

struct call {
    const char *name;
    intmax_t (*make)(void);
};

#define MAKE(noun, expression)                                                \
    static intmax_t make_##noun(void)                                         \
    {                                                                         \
        return expression;                                                    \
    }
#define ROW(noun, expression) {#noun, make_##noun},

/* What waits for a descriptor. */
#define NET(X)                                                                \
    X(accept, cel_accept(listener, NULL, NULL, until))                        \
    X(accept_many, take_conns())                                              \
    X(connect,                                                                \
      cel_connect((struct sockaddr *)&busy_addr, sizeof(busy_addr), until))   \
    X(recv, cel_recv(quiet[0], bytes, 1, 0, until))                           \
    X(recv_all, cel_recv_all(quiet[0], bytes, 1, until))                      \
    X(recvfrom, cel_recvfrom(quiet[0], bytes, 1, NULL, NULL, until))          \
    X(recvmsg, cel_recvmsg(quiet[0], &msg, 0, until))                         \
    X(recv_many, take_messages())                                             \
    X(recv_fds, take_fds())                                                   \
    X(read, cel_read(quiet[0], bytes, 1, until))                              \
    X(wait_fd, cel_wait_fd(quiet[0], CEL_READABLE, until))                    \
    X(send, cel_send(full[0], bytes, sizeof(bytes), 0, until))                \
    X(send_all, cel_send_all(full[0], bytes, sizeof(bytes), until))           \
    X(sendto, cel_sendto(crowd, bytes, 1, (struct sockaddr *)&crowd_addr,     \
                         crowd_len, until))                                   \
    X(sendmsg, cel_sendmsg(full[0], &msg, 0, until))                          \
    X(send_many, give_messages())                                             \
    X(send_fds, cel_send_fds(full[0], bytes, 1, quiet, 1, until))             \
    X(sendfile, give_file())                                                  \
    X(write, cel_write(out[1], bytes, sizeof(bytes), until))                  \
    X(dial, cel_dial("127.0.0.1", busy_port, until))                          \
    X(pipe_write, cel_pipe_write(out[1], bytes, sizeof(bytes), until))

#define STREAM(X)                                                             \
    X(peek, cel_stream_peek(silent, &(const void *){NULL}, 1, until))         \
    X(stream_read, cel_stream_read(silent, bytes, 1, until))                  \
    X(read_all, cel_stream_read_all(silent, bytes, 2, until))                 \
    X(read_line, cel_stream_read_line(silent, bytes, 9, until))               \
    X(read_until, cel_stream_read_until(silent, bytes, 9, "--", 2, until))    \
    X(flush, flush_some())                                                    \
    X(stream_write, cel_stream_write(stopped, bytes, sizeof(bytes), until))   \
    X(writev, cel_stream_writev(stopped, &iov, 1, until))                     \
    X(printf, give_text())                                                    \
    X(close, close_stopped())

#define FILES(X)                                                              \
    X(file_open, cel_file_open("/", O_RDONLY, 0, until))                      \
    X(file_sync, cel_file_sync(file, until))                                  \
    X(file_sync_data, cel_file_sync_data(file, until))                        \
    X(file_stat, cel_file_stat("/", &status, until))                          \
    X(file_fstat, cel_file_fstat(file, &status, until))                       \
    X(file_read, cel_file_read(file, bytes, 1, until))                        \
    X(file_pread, cel_file_pread(file, bytes, 1, 0, until))                   \
    X(file_write, cel_file_write(file, "x", 1, until))                        \
    X(file_pwrite, cel_file_pwrite(file, "x", 1, 0, until))

/* What waits for other coroutines, and may do so for ever. */
#define MEETING(X)                                                            \
    X(mutex_lock, cel_mutex_lock(mutex, until))                               \
    X(rwlock_read, cel_rwlock_read(lock, until))                              \
    X(rwlock_write, cel_rwlock_write(lock, until))                            \
    X(cond_wait, wait_cond())                                                 \
    X(sem_wait, cel_sem_wait(sem, until))                                     \
    X(event_wait, cel_event_wait(event, until))                               \
    X(wg_wait, cel_wg_wait(wg, until))                                        \
    X(once_run, cel_once_run(&once, sleep_on, NULL, until))                   \
    X(chan_send, cel_chan_send(chan, bytes, until))                           \
    X(chan_recv, cel_chan_recv(chan, bytes, until))                           \
    X(select, select_one())                                                   \
    X(group_wait, cel_group_wait(group, until))                               \
    X(join, cel_join(holder, until))                                          \
    X(sleep, cel_sleep(until))

NET(MAKE)
STREAM(MAKE)
FILES(MAKE)
MEETING(MAKE)

static const struct call net_calls[] = {NET(ROW)};
static const struct call stream_calls[] = {STREAM(ROW)};
static const struct call file_calls[] = {FILES(ROW)};
static const struct call meeting_calls[] = {MEETING(ROW)};

#define COUNT(calls) (sizeof(calls) / sizeof((calls)[0]))

/* Send until nothing fits; not by our calls, which in a hard build say so
   sooner. */
static void
fill(int fd)
{
    while (write(fd, bytes, sizeof(bytes)) > 0) {}
    while (write(fd, bytes, 1) > 0) {}
}

static void
open_listeners(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t len = sizeof(busy_addr);

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = cel_listen((struct sockaddr *)&addr, sizeof(addr), 0, 0);
    busy = cel_listen((struct sockaddr *)&addr, sizeof(addr), 1, 0);
    CHECK_GE(listener, 0);
    CHECK_GE(busy, 0);
    CHECK_EQ(getsockname(busy, (struct sockaddr *)&busy_addr, &len), 0);
    (void)snprintf(busy_port, sizeof(busy_port), "%d",
                   ntohs(busy_addr.sin_port));
    for (int i = 0; i < 4; i++) {
        (void)!cel_connect((struct sockaddr *)&busy_addr, sizeof(busy_addr),
                           cel_after(CEL_MSEC));
    }
}

static void
open_crowd(void)
{
    struct sockaddr_un any = {.sun_family = AF_UNIX};

    crowd = cel_udp((struct sockaddr *)&any, sizeof(any.sun_family), 0);
    CHECK_GE(crowd, 0);
    CHECK_EQ(getsockname(crowd, (struct sockaddr *)&crowd_addr, &crowd_len),
             0);
    while (sendto(crowd, bytes, 1, 0, (struct sockaddr *)&crowd_addr,
                  crowd_len) == 1) {}
}

static void
open_net(void)
{
    open_crowd();
    CHECK_EQ(cel_socketpair(quiet), 0);
    CHECK_EQ(cel_socketpair(full), 0);
    CHECK_EQ(cel_pipe(out), 0);
    fill(full[0]);
    fill(out[1]);
    open_listeners();
    CHECK_EQ(cel_stream_open(&silent, quiet[0]), 0);
    CHECK_EQ(cel_stream_open(&stopped, full[0]), 0);
}

/* Holds what others want, until it is cancelled. */
static void
hold(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_mutex_lock(mutex, CEL_FOREVER), 0);
    CHECK_EQ(cel_rwlock_write(lock, CEL_FOREVER), 0);
    CHECK_EQ(cel_once_run(&once, sleep_on, NULL, CEL_FOREVER), -ECANCELED);
    CHECK_EQ(cel_rwlock_unlock(lock), 0);
    CHECK_EQ(cel_mutex_unlock(mutex), 0);
}

static void
open_meeting(void)
{
    CHECK_EQ(cel_mutex_open(&mutex), 0);
    CHECK_EQ(cel_mutex_open(&other), 0);
    CHECK_EQ(cel_rwlock_open(&lock), 0);
    CHECK_EQ(cel_cond_open(&cond), 0);
    CHECK_EQ(cel_sem_open(&sem, 0), 0);
    CHECK_EQ(cel_event_open(&event), 0);
    CHECK_EQ(cel_wg_open(&wg), 0);
    CHECK_EQ(cel_wg_add(wg, 1), 0);
    CHECK_EQ(cel_chan_open(&chan, 1, 0), 0);
    CHECK_EQ(cel_group_open(&group, 0), 0);
    CHECK_EQ(cel_group_go(group, sleep_on, NULL), 0);
    holder = go(hold, NULL);
    settle();
}

static void
close_meeting(void)
{
    cel_cancel(holder);
    join(holder);
    cel_mutex_close(mutex);
    cel_mutex_close(other);
    cel_rwlock_close(lock);
    cel_cond_close(cond);
    cel_sem_close(sem);
    cel_event_close(event);
    cel_wg_close(wg);
    cel_chan_close(chan);
    (void)cel_group_close(group);
}

static void
expect(const struct call *calls, size_t ncalls, int code)
{
    for (size_t i = 0; i < ncalls; i++) {
        intmax_t result = calls[i].make();
        if (result != code) {
            FAIL("%s: %jd, not %d", calls[i].name, result, code);
        }
    }
}

/* On a thread that runs no coroutines, while there are members. */
static int
wait_group(void *arg)
{
    (void)arg;
    return cel_group_wait(group, CEL_FOREVER);
}

static int
at_deadlines(void *arg)
{
    int result;

    (void)arg;
    open_net();
    open_meeting();
    file = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    CHECK_GE(file, 0);
    until = CEL_AT_ONCE;
    expect(net_calls, COUNT(net_calls), -ETIMEDOUT);
    CHECK_EQ(cel_recv(quiet[0], bytes, 1, MSG_DONTWAIT, CEL_FOREVER), -EAGAIN);
    CHECK_EQ(cel_file_pwrite(out[1], "x", 1, 0, CEL_FOREVER), -ESPIPE);
    CHECK_EQ(cel_offload(&result, wait_group, NULL, NULL, CEL_FOREVER), 0);
    CHECK_EQ(result, -EPERM);
    expect(stream_calls, COUNT(stream_calls), -ETIMEDOUT);
    expect(meeting_calls, COUNT(meeting_calls) - 1, -ETIMEDOUT);
    expect(file_calls, COUNT(file_calls), -ETIMEDOUT);
    close_meeting();
    return 0;
}

TEST(at_a_deadline_each_gives_up)
{
    run(at_deadlines);
}

static void
expect_cancelled(void *arg)
{
    (void)arg;
    expect(net_calls, COUNT(net_calls), -ECANCELED);
    expect(stream_calls, COUNT(stream_calls), -ECANCELED);
    expect(meeting_calls, COUNT(meeting_calls), -ECANCELED);
    expect(file_calls, COUNT(file_calls), -ECANCELED);
}

static int
cancelled(void *arg)
{
    (void)arg;
    open_net();
    open_meeting();
    file = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    CHECK_GE(file, 0);
    until = CEL_FOREVER;
    cel_coro *coro = go(expect_cancelled, NULL);
    cel_cancel(coro);
    join(coro);
    close_meeting();
    return 0;
}

TEST(cancelled_each_gives_up)
{
    run(cancelled);
}

static ssize_t
recv_never(void *over, void *buf, size_t len, cel_time deadline)
{
    (void)over;
    (void)buf;
    (void)len;
    return cel_sleep(deadline);
}

static ssize_t
send_never(void *over, const struct iovec *pieces, int npieces,
           cel_time deadline)
{
    (void)over;
    (void)pieces;
    (void)npieces;
    return cel_sleep(deadline);
}

static int
close_over(void *over, cel_time deadline)
{
    (void)over;
    (void)deadline;
    return 0;
}

static int
stuck(void *arg)
{
    static const cel_stream_ops never = {sizeof(never), recv_never, send_never,
                                         close_over};

    (void)arg;
    open_meeting();
    CHECK_EQ(cel_stream_open_over(&silent, &never, NULL), 0);
    CHECK_EQ(cel_stream_open_over(&stopped, &never, NULL), 0);
    until = CEL_FOREVER;
    expect(stream_calls, COUNT(stream_calls), -EDEADLK);
    CHECK_EQ(cel_stream_close(silent, until), 0);
    /* ThreadSanitizer has a thread of its own, and any thread might come. */
    if (!CEL__TSAN) {
        expect(meeting_calls, COUNT(meeting_calls), -EDEADLK);
    }
    close_meeting();
    return 0;
}

TEST(for_ever_each_is_told)
{
    run(stuck);
}

static int
prepare(void *arg)
{
    int signal = SIGUSR1;

    (void)arg;
    CHECK_EQ(cel_signals_open(&signals, &signal, 1), 0);
    open_net();
    open_meeting();
    file = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    CHECK_GE(file, 0);
    CHECK_EQ(cel_stream_write(stopped, "x", 1, CEL_AT_ONCE), 1);
    close_meeting();
    return 0;
}

TEST(outside_a_run_each_is_refused)
{
    cel_once fresh = CEL_ONCE_INIT;

    run(prepare);
    until = CEL_FOREVER;
    expect(net_calls, COUNT(net_calls), -EPERM);
    expect(stream_calls, COUNT(stream_calls), -EPERM);
    expect(file_calls, COUNT(file_calls), -EPERM);
    CHECK_EQ(cel_signals_wait(signals, until), -EPERM);
    CHECK_EQ(cel_once_run(&fresh, sleep_on, NULL, until), -EPERM);
}
