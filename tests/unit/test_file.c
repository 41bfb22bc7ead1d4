/* SPDX-License-Identifier: MIT */
/*
 * Files: each call, its errors, deadlines and cancelling while the system has
 * the buffer, forks.
 */
#include "celadon/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "celadon/net.h"
#include "celadon/pool.h"
#include "celadon/run.h"
#include "sched/worker.h"
#include "tap.h"

#define SIZE 300000 /* more than a pipe holds, or the kernel reads ahead */

static const char *path;

/* Run `fn` as the first coroutine of a run, with a new, empty file's name in
   `path`. */
static void
run(int (*fn)(void *arg))
{
    path = tap_save("file", "");
    CHECK_EQ(cel_run(fn, NULL, NULL), 0);
}

static int
open_file(int flags)
{
    int fd = cel_file_open(path, flags, 0600, CEL_FOREVER);

    CHECK_GE(fd, 0);
    return fd;
}

/* Memory with a pattern, for the caller to free. */
static char *
pattern(void)
{
    char *bytes = malloc(SIZE);

    CHECK(bytes != NULL);
    for (int i = 0; i < SIZE; i++) {
        bytes[i] = (char)(i * 7 + i / 251);
    }
    return bytes;
}

/* Let the memory of the system forget the file, so that reading it waits. */
static void
drop_cache(int fd)
{
    CHECK_EQ(fsync(fd), 0);
    CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
}

static int
there_and_back(void *arg)
{
    char *out = pattern();
    char *in = malloc(SIZE + 1);

    (void)arg;
    int fd = open_file(O_RDWR);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(cel_file_write(fd, out, 1000, CEL_FOREVER), 1000);
    CHECK_EQ(cel_file_write(fd, out + 1000, SIZE - 1000, CEL_FOREVER),
             SIZE - 1000);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), SIZE);
    CHECK_EQ(cel_file_sync_data(fd, CEL_FOREVER), 0);
    for (int i = 0; i < 2; i++) {
        drop_cache(fd);
        CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
        memset(in, 0, SIZE);
        CHECK_EQ(cel_file_read(fd, in, SIZE + 1, CEL_FOREVER), SIZE);
        CHECK_EQ(memcmp(in, out, SIZE), 0);
        CHECK_EQ(cel_file_read(fd, in, SIZE, CEL_FOREVER), 0);
    }
    CHECK_EQ(cel_file_close(fd), 0);
    CHECK_EQ(fcntl(fd, F_GETFD), -1);
    free(in);
    free(out);
    return 0;
}

TEST(what_is_written_is_read)
{
    run(there_and_back);
}

static int
positions(void *arg)
{
    char bytes[8] = "";

    (void)arg;
    int fd = open_file(O_RDWR);
    CHECK_EQ(cel_file_pwrite(fd, "world", 5, 6, CEL_FOREVER), 5);
    CHECK_EQ(cel_file_pwrite(fd, "hello,", 6, 0, CEL_FOREVER), 6);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
    CHECK_EQ(cel_file_pread(fd, bytes, 7, 4, CEL_FOREVER), 7);
    CHECK_EQ(memcmp(bytes, "o,world", 7), 0);
    CHECK_EQ(cel_file_pread(fd, bytes, 7, 9, CEL_FOREVER), 2);
    CHECK_EQ(cel_file_pread(fd, bytes, 7, 11, CEL_FOREVER), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
    CHECK_EQ(cel_file_pread(fd, bytes, 7, -1, CEL_FOREVER), -EINVAL);
    CHECK_EQ(cel_file_pwrite(fd, bytes, 7, -1, CEL_FOREVER), -EINVAL);
    CHECK_EQ(cel_file_close(fd), 0);
    return 0;
}

TEST(an_offset_leaves_the_position_alone)
{
    run(positions);
}

static int
statuses(void *arg)
{
    struct stat mine;
    struct stat real;

    (void)arg;
    int fd = open_file(O_RDWR);
    CHECK_EQ(cel_file_write(fd, "hello", 5, CEL_FOREVER), 5);
    CHECK_EQ(cel_file_sync(fd, CEL_FOREVER), 0);
    CHECK_EQ(fstat(fd, &real), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(i == 0 ? cel_file_stat(path, &mine, CEL_FOREVER)
                        : cel_file_fstat(fd, &mine, CEL_FOREVER),
                 0);
        CHECK_EQ(mine.st_dev, real.st_dev);
        CHECK_EQ(mine.st_ino, real.st_ino);
        CHECK_EQ(mine.st_mode, real.st_mode);
        CHECK_EQ(mine.st_nlink, real.st_nlink);
        CHECK_EQ(mine.st_uid, real.st_uid);
        CHECK_EQ(mine.st_gid, real.st_gid);
        CHECK_EQ(mine.st_rdev, real.st_rdev);
        CHECK_EQ(mine.st_size, 5);
        CHECK_EQ(mine.st_blksize, real.st_blksize);
        CHECK_EQ(mine.st_blocks, real.st_blocks);
        CHECK_EQ(mine.st_mtim.tv_sec, real.st_mtim.tv_sec);
        CHECK_EQ(mine.st_mtim.tv_nsec, real.st_mtim.tv_nsec);
        CHECK_EQ(mine.st_ctim.tv_nsec, real.st_ctim.tv_nsec);
    }
    CHECK_EQ(cel_file_stat("/dev/null", &mine, CEL_FOREVER), 0);
    CHECK_EQ(stat("/dev/null", &real), 0);
    CHECK_EQ(mine.st_rdev, real.st_rdev);
    CHECK_EQ(cel_file_close(fd), 0);
    return 0;
}

TEST(a_status_is_that_of_the_system)
{
    run(statuses);
}

static int
errors(void *arg)
{
    struct stat status;
    char byte = 'x';
    int fds[2];

    (void)arg;
    CHECK_EQ(cel_file_open("/nowhere/at/all", O_RDONLY, 0, CEL_FOREVER),
             -ENOENT);
    CHECK_EQ(cel_file_open(path, O_RDWR | O_CREAT | O_EXCL, 0600, CEL_FOREVER),
             -EEXIST);
    CHECK_EQ(cel_file_open("/tmp", O_WRONLY, 0, CEL_FOREVER), -EISDIR);
    status.st_size = 17;
    CHECK_EQ(cel_file_stat("/nowhere/at/all", &status, CEL_FOREVER), -ENOENT);
    CHECK_EQ(cel_file_fstat(-1, &status, CEL_FOREVER), -EBADF);
    CHECK_EQ(status.st_size, 17);
    int fd = open_file(O_RDONLY);
    CHECK_EQ(cel_file_write(fd, &byte, 1, CEL_FOREVER), -EBADF);
    CHECK_EQ(cel_file_read(fd, NULL, 0, CEL_FOREVER), 0);
    CHECK_EQ(cel_file_close(fd), 0);
    CHECK_EQ(cel_file_read(fd, &byte, 1, CEL_FOREVER), -EBADF);
    CHECK_EQ(cel_file_sync(fd, CEL_FOREVER), -EBADF);
    CHECK_EQ(cel_file_close(fd), -EBADF);
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(cel_file_pread(fds[0], &byte, 1, 0, CEL_FOREVER), -ESPIPE);
    CHECK_EQ(cel_file_sync(fds[0], CEL_FOREVER), -EINVAL);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(errors_are_those_of_the_system)
{
    run(errors);
}

TEST(outside_of_a_coroutine_nothing_is_done)
{
    struct stat status;
    char byte;

    CHECK_EQ(cel_file_open("/tmp", O_RDONLY, 0, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_file_read(0, &byte, 1, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_file_stat("/tmp", &status, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_file_close(0), -EPERM);
    CHECK_NE(fcntl(0, F_GETFD), -1);
}

static int
at_once(void *arg)
{
    struct stat status;

    (void)arg;
    int fd = open_file(O_RDONLY);
    CHECK_EQ(cel_file_open(path, O_RDONLY, 0, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_file_stat(path, &status, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_file_sync(fd, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_file_close(fd), 0);
    CHECK_EQ(cel__worker()->loop.narmed, 0);
    return 0;
}

TEST(a_deadline_that_has_passed_asks_no_disk)
{
    run(at_once);
}

/* ---- calls that take long: a pipe stands for a slow disk */

struct slow {
    cel_coro *coro;
    int fd;
    cel_time deadline;
    ssize_t result;
    char bytes[64];
};

static void
read_slowly(void *arg)
{
    struct slow *slow = arg;

    memset(slow->bytes, '-', sizeof(slow->bytes));
    slow->result = cel_file_read(slow->fd, slow->bytes, 5, slow->deadline);
}

/*
 * The reader was to leave, by `code`.  The kernel can take the call back: then
 * the buffer is the reader's own.  A thread that is in it can't be stopped:
 * the reader waits for it.
 */
static void
check_left(struct slow *slow, int writer, int code)
{
    bool files = cel__worker()->loop.backend->files;
    ssize_t taken = 0;

    if (files) {
        CHECK_EQ(cel_join(slow->coro, cel_after(5 * CEL_SEC)), 0);
        CHECK_EQ(slow->result, code);
    }
    CHECK_EQ(write(writer, "hello", 5), 5);
    CHECK_EQ(cel_sleep(cel_after(10 * CEL_MSEC)), 0);
    if (!files) {
        CHECK_EQ(cel_join(slow->coro, cel_after(5 * CEL_SEC)), 0);
    }
    if (slow->result >= 0) {
        taken = slow->result;
        CHECK_GT(taken, 0);
        CHECK_EQ(memcmp(slow->bytes, "hello", (size_t)taken), 0);
    }
    else {
        CHECK_EQ(slow->result, code);
    }
    CHECK_EQ(slow->bytes[taken], '-');
}

static int
leave_at_a_deadline(void *arg)
{
    struct slow slow = {.result = 1000};
    int fds[2];

    (void)arg;
    CHECK_EQ(pipe(fds), 0);
    slow.fd = fds[0];
    slow.deadline = cel_after(20 * CEL_MSEC);
    CHECK_EQ(cel_go(&slow.coro, read_slowly, &slow), 0);
    CHECK_EQ(cel_sleep(cel_after(60 * CEL_MSEC)), 0);
    check_left(&slow, fds[1], -ETIMEDOUT);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(after_a_deadline_nobody_writes_to_the_buffer)
{
    run(leave_at_a_deadline);
}

static int
leave_when_cancelled(void *arg)
{
    struct slow slow = {.result = 1000, .deadline = CEL_FOREVER};
    int fds[2];

    (void)arg;
    CHECK_EQ(pipe(fds), 0);
    slow.fd = fds[0];
    CHECK_EQ(cel_go(&slow.coro, read_slowly, &slow), 0);
    CHECK_EQ(cel_sleep(cel_after(20 * CEL_MSEC)), 0);
    CHECK_EQ(slow.result, 1000);
    cel_cancel(slow.coro);
    CHECK_EQ(cel_sleep(cel_after(20 * CEL_MSEC)), 0);
    check_left(&slow, fds[1], -ECANCELED);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(after_cancelling_nobody_writes_to_the_buffer)
{
    run(leave_when_cancelled);
}

static int
what_came_first(void *arg)
{
    struct slow slow = {.result = 1000, .deadline = CEL_FOREVER};
    int fds[2];

    (void)arg;
    CHECK_EQ(pipe(fds), 0);
    slow.fd = fds[0];
    CHECK_EQ(cel_go(&slow.coro, read_slowly, &slow), 0);
    CHECK_EQ(cel_sleep(cel_after(20 * CEL_MSEC)), 0);
    /* No turn of the loop in between. */
    CHECK_EQ(write(fds[1], "hello", 5), 5);
    cel_cancel(slow.coro);
    CHECK_EQ(cel_join(slow.coro, cel_after(5 * CEL_SEC)), 0);
    /* Either it has its effect or an error; what it did not take is there. */
    ssize_t taken = 0;
    if (slow.result < 0) {
        CHECK_EQ(slow.result, -ECANCELED);
    }
    else {
        taken = slow.result;
    }
    CHECK_EQ(slow.bytes[taken], '-');
    if (taken < 5) {
        CHECK_EQ(read(fds[0], slow.bytes + taken, 50), 5 - taken);
    }
    CHECK_EQ(memcmp(slow.bytes, "hello-", 6), 0);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(a_cancelled_read_loses_no_bytes)
{
    run(what_came_first);
}

/* ---- a cancelled coroutine */

struct cleanup {
    int fd;
    ssize_t read;
    int opened;
    int closed;
};

static void
clean_up(void *arg)
{
    struct cleanup *cleanup = arg;
    char byte;

    CHECK_EQ(cel_sleep(CEL_FOREVER), -ECANCELED);
    cleanup->opened = cel_file_open(path, O_RDONLY, 0, CEL_FOREVER);
    cleanup->read = cel_file_read(cleanup->fd, &byte, 1, CEL_FOREVER);
    cleanup->closed = cel_file_close(cleanup->fd);
}

static int
close_cancelled(void *arg)
{
    struct cleanup cleanup = {.fd = open_file(O_RDONLY)};
    cel_coro *coro;

    (void)arg;
    CHECK_EQ(cel_go(&coro, clean_up, &cleanup), 0);
    CHECK_EQ(cel_yield(), 0);
    cel_cancel(coro);
    CHECK_EQ(cel_join(coro, cel_after(5 * CEL_SEC)), 0);
    /* Where the ring was quick the file is open. */
    if (cleanup.opened >= 0) {
        close(cleanup.opened);
    }
    else {
        CHECK_EQ(cleanup.opened, -ECANCELED);
    }
    CHECK_EQ(cleanup.closed, 0);
    CHECK_EQ(fcntl(cleanup.fd, F_GETFD), -1);
    return 0;
}

TEST(a_cancelled_coroutine_can_close)
{
    run(close_cancelled);
}

/* ---- many at a time */

#define NREADERS 50

struct part {
    cel_coro *coro;
    const char *expected;
    int fd;
    int number;
    bool good;
};

static void
read_part(void *arg)
{
    struct part *part = arg;
    char bytes[997];

    for (int i = 0; i < 20; i++) {
        int64_t offset = (part->number * 4831 + i * 14983) % (SIZE - 997);
        ssize_t n = cel_file_pread(part->fd, bytes, sizeof(bytes), offset,
                                   CEL_FOREVER);
        if (n != (ssize_t)sizeof(bytes) ||
            memcmp(bytes, part->expected + offset, sizeof(bytes)) != 0) {
            return;
        }
    }
    part->good = true;
}

static int
many_readers(void *arg)
{
    static struct part parts[NREADERS];
    char *bytes = pattern();

    (void)arg;
    int fd = open_file(O_RDWR);
    CHECK_EQ(cel_file_pwrite(fd, bytes, SIZE, 0, CEL_FOREVER), SIZE);
    drop_cache(fd);
    for (int i = 0; i < NREADERS; i++) {
        parts[i] = (struct part){.expected = bytes, .fd = fd, .number = i};
        CHECK_EQ(cel_go(&parts[i].coro, read_part, &parts[i]), 0);
    }
    for (int i = 0; i < NREADERS; i++) {
        CHECK_EQ(cel_join(parts[i].coro, cel_after(9 * CEL_SEC)), 0);
        CHECK(parts[i].good);
    }
    CHECK_EQ(cel_file_close(fd), 0);
    free(bytes);
    return 0;
}

TEST(many_may_read_at_a_time)
{
    run(many_readers);
}

static void
count_turns(void *arg)
{
    int *turns = arg;

    while (cel_yield() == 0) {
        ++*turns;
    }
}

static int
sync_beside(void *arg)
{
    char *bytes = pattern();
    cel_coro *coro;
    int turns = 0;

    (void)arg;
    int fd = open_file(O_RDWR);
    CHECK_EQ(cel_go(&coro, count_turns, &turns), 0);
    CHECK_EQ(cel_file_pwrite(fd, bytes, SIZE, 0, CEL_FOREVER), SIZE);
    CHECK_EQ(cel_file_sync(fd, CEL_FOREVER), 0);
    CHECK_GT(turns, 0);
    cel_cancel(coro);
    CHECK_EQ(cel_join(coro, CEL_FOREVER), 0);
    CHECK_EQ(cel_file_close(fd), 0);
    free(bytes);
    return 0;
}

TEST(others_run_while_a_file_is_synced)
{
    run(sync_beside);
}

static int
read_for_long(void *arg)
{
    int turns = 0;
    cel_coro *coro;
    char byte;

    (void)arg;
    int fd = open_file(O_RDWR);
    CHECK_EQ(cel_file_write(fd, "x", 1, CEL_FOREVER), 1);
    CHECK_EQ(cel_go(&coro, count_turns, &turns), 0);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(cel_file_pread(fd, &byte, 1, 0, CEL_FOREVER), 1);
    }
    CHECK_GT(turns, 1);
    cel_cancel(coro);
    CHECK_EQ(cel_join(coro, CEL_FOREVER), 0);
    CHECK_EQ(cel_file_close(fd), 0);
    return 0;
}

TEST(who_reads_from_memory_lets_others_run)
{
    run(read_for_long);
}

/* ---- forks */

static int
fork_beside(void *arg)
{
    struct slow slow = {.result = 1000, .deadline = CEL_FOREVER};
    int fds[2];
    int status;

    (void)arg;
    CHECK_EQ(pipe(fds), 0);
    slow.fd = fds[0];
    CHECK_EQ(cel_go(&slow.coro, read_slowly, &slow), 0);
    CHECK_EQ(cel_sleep(cel_after(20 * CEL_MSEC)), 0);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        struct stat own;
        CHECK_EQ(cel_join(slow.coro, cel_after(5 * CEL_SEC)), 0);
        CHECK_EQ(slow.result, -ECANCELED);
        CHECK_EQ(cel_file_stat(path, &own, CEL_FOREVER), 0);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(write(fds[1], "hello", 5), 5);
    CHECK_EQ(cel_join(slow.coro, cel_after(5 * CEL_SEC)), 0);
    CHECK_EQ(slow.result, 5);
    CHECK_EQ(memcmp(slow.bytes, "hello-", 6), 0);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(in_the_child_of_a_fork_calls_that_were_away_are_lost)
{
    if (CEL__TSAN || getenv("MESON_EXE_WRAPPER") != NULL) {
        SKIP("neither ThreadSanitizer nor qemu follows threads into a child");
    }
    run(fork_beside);
}
