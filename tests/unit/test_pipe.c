/* SPDX-License-Identifier: MIT */
/*
 * Pipes without SIGPIPE, and descriptors as a program inherits them: in
 * blocking mode, of every kind.
 */
#include "celadon/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coros.h"

#define SIZE 300000 /* more than a pipe holds */

static void
write_all(void *arg)
{
    char *bytes = calloc(1, SIZE);

    CHECK(bytes != NULL);
    memset(bytes, 'x', SIZE);
    CHECK_EQ(cel_pipe_write((int)(intptr_t)arg, bytes, SIZE, CEL_FOREVER),
             SIZE);
    free(bytes);
}

/* A pipe in blocking mode, as a shell makes them. */
static void
make_pipe(int fds[2])
{
    CHECK_EQ(pipe(fds), 0);
}

static void
close_both(const int fds[2])
{
    (void)cel_close(fds[0]);
    (void)cel_close(fds[1]);
}

/* Write more than fits, and read it, through `fds`. */
static void
move_much(const int fds[2])
{
    static char bytes[4096];
    size_t sum = 0;

    cel_coro *writer = go(write_all, (void *)(intptr_t)fds[1]);
    while (sum < SIZE) {
        ssize_t n = cel_read(fds[0], bytes, sizeof(bytes), CEL_FOREVER);
        CHECK_GT(n, 0);
        CHECK_EQ(bytes[n - 1], 'x');
        sum += (size_t)n;
    }
    join(writer);
}

static int
much_through_both_kinds(void *arg)
{
    int fds[2];

    (void)arg;
    make_pipe(fds);
    move_much(fds);
    close_both(fds);
    CHECK_EQ(cel_pipe(fds), 0);
    move_much(fds);
    close_both(fds);
    return 0;
}

TEST(all_of_much_is_written_in_either_mode)
{
    run(much_through_both_kinds);
}

static int
to_nobody(void *arg)
{
    int fds[2];

    (void)arg;
    for (int i = 0; i < 3; i++) {
        make_pipe(fds);
        (void)close(fds[0]);
        CHECK_EQ(cel_pipe_write(fds[1], "x", 1, CEL_FOREVER), -EPIPE);
        (void)cel_close(fds[1]);
    }
    sigset_t pending;
    CHECK_EQ(sigpending(&pending), 0);
    CHECK(!sigismember(&pending, SIGPIPE));
    return 0;
}

TEST(no_reader_is_an_error_and_no_signal)
{
    signal(SIGPIPE, SIG_DFL);
    run(to_nobody);
}

/* As to_nobody(), with the signal blocked and pending, as the program has
   it. */
static int
to_nobody_while_pending(void *arg)
{
    sigset_t pending;
    int fds[2];

    (void)arg;
    make_pipe(fds);
    (void)close(fds[0]);
    CHECK_EQ(cel_pipe_write(fds[1], "x", 1, CEL_FOREVER), -EPIPE);
    (void)cel_close(fds[1]);
    CHECK_EQ(sigpending(&pending), 0);
    CHECK(sigismember(&pending, SIGPIPE));
    return 0;
}

TEST(a_pending_signal_stays_pending)
{
    sigset_t set;
    int caught;

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    CHECK_EQ(raise(SIGPIPE), 0);
    run(to_nobody_while_pending);
    CHECK_EQ(sigwait(&set, &caught), 0);
    CHECK_EQ(caught, SIGPIPE);
}

static void
closer(void *arg)
{
    CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    (void)cel_close((int)(intptr_t)arg);
}

static int
reader_goes(void *arg)
{
    char *bytes = calloc(1, SIZE);
    int fds[2];

    (void)arg;
    CHECK(bytes != NULL);
    CHECK_EQ(cel_pipe(fds), 0);
    cel_coro *coro = go(closer, (void *)(intptr_t)fds[0]);
    ssize_t n = cel_pipe_write(fds[1], bytes, SIZE, CEL_FOREVER);
    CHECK_GT(n, 0);
    CHECK_LT(n, SIZE);
    CHECK_EQ(cel_pipe_write(fds[1], bytes, 1, CEL_FOREVER), -EPIPE);
    join(coro);
    (void)cel_close(fds[1]);
    free(bytes);
    return 0;
}

TEST(what_was_written_before_the_reader_went_is_told)
{
    signal(SIGPIPE, SIG_DFL);
    run(reader_goes);
}

static void
blocked_writer(void *arg)
{
    CHECK_EQ(cel_pipe_write((int)(intptr_t)arg, "x", 1, CEL_FOREVER),
             -ECANCELED);
}

static void
fill(int fd)
{
    char bytes[512] = "";

    while (cel_pipe_write(fd, bytes, sizeof(bytes), CEL_AT_ONCE) > 0) {}
    /* Where all did not fit at once, a little may yet. */
    while (cel_pipe_write(fd, bytes, 1, CEL_AT_ONCE) > 0) {}
}

static int
giving_up(void *arg)
{
    int fds[2];

    (void)arg;
    for (int i = 0; i < 2; i++) {
        if (i == 0) {
            make_pipe(fds);
        }
        else {
            CHECK_EQ(cel_pipe(fds), 0);
        }
        fill(fds[1]);
        CHECK_EQ(cel_pipe_write(fds[1], "x", 1, CEL_AT_ONCE), -ETIMEDOUT);
        CHECK_EQ(cel_pipe_write(fds[1], "x", 1, cel_after(CEL_MSEC)),
                 -ETIMEDOUT);
        cel_coro *coro = go(blocked_writer, (void *)(intptr_t)fds[1]);
        settle();
        cel_cancel(coro);
        join(coro);
        coro = go(blocked_writer, (void *)(intptr_t)fds[1]);
        settle();
        (void)cel_close(fds[1]);
        join(coro);
        (void)cel_close(fds[0]);
    }
    CHECK_EQ(cel_pipe_write(-1, "x", 1, CEL_FOREVER), -EBADF);
    return 0;
}

TEST(deadlines_cancelling_and_closing_end_a_write)
{
    run(giving_up);
}

TEST(outside_a_run_nothing_is_written)
{
    CHECK_EQ(cel_pipe_write(1, "x", 1, CEL_FOREVER), -EPERM);
}

static void
answer(void *arg)
{
    CHECK_EQ(cel_pipe_write((int)(intptr_t)arg, "line\n", 5, CEL_FOREVER), 5);
}

static int
terminal(void *arg)
{
    char bytes[64];

    (void)arg;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0) {
        SKIP("no terminals here");
    }
    CHECK_EQ(grantpt(master), 0);
    CHECK_EQ(unlockpt(master), 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    CHECK_GE(slave, 0);
    CHECK_EQ(cel_read(slave, bytes, sizeof(bytes), cel_after(CEL_MSEC)),
             -ETIMEDOUT);
    cel_coro *coro = go(answer, (void *)(intptr_t)master);
    CHECK_EQ(cel_read(slave, bytes, sizeof(bytes), CEL_FOREVER), 5);
    CHECK_MEM(bytes, "line\n", 5);
    join(coro);
    /* Its mode is other programs' too, and was left alone. */
    CHECK_EQ(fcntl(slave, F_GETFL) & O_NONBLOCK, 0);
    (void)cel_close(slave);
    (void)cel_close(master);
    return 0;
}

TEST(a_terminal_is_waited_for)
{
    run(terminal);
}

static int
never_waiting(void *arg)
{
    char path[] = "/tmp/celadon-test-XXXXXX";
    char bytes[16];

    (void)arg;
    int fd = mkstemp(path);
    CHECK_GE(fd, 0);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(cel_pipe_write(fd, "hello", 5, CEL_FOREVER), 5);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(cel_wait_fd(fd, CEL_READABLE, CEL_FOREVER), CEL_READABLE);
    CHECK_EQ(cel_read(fd, bytes, sizeof(bytes), CEL_FOREVER), 5);
    CHECK_EQ(cel_read(fd, bytes, sizeof(bytes), CEL_FOREVER), 0);
    (void)cel_close(fd);
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    CHECK_GE(fd, 0);
    CHECK_EQ(cel_read(fd, bytes, sizeof(bytes), CEL_FOREVER), 0);
    CHECK_EQ(cel_pipe_write(fd, "hello", 5, CEL_FOREVER), 5);
    CHECK_EQ(cel_wait_fd(fd, CEL_WRITABLE, CEL_FOREVER), CEL_WRITABLE);
    (void)cel_close(fd);
    fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK_GE(fd, 0);
    CHECK_EQ(cel_read(fd, bytes, sizeof(bytes), CEL_FOREVER), -EISDIR);
    (void)cel_close(fd);
    return 0;
}

TEST(what_can_not_be_waited_for_is_ready)
{
    run(never_waiting);
}
