/* SPDX-License-Identifier: MIT */
/*
 * Files: each call an operation of the backend, or a job of the pool.
 *
 * The operation and the buffer are the caller's, on its stack as may be: a
 * call that has begun is waited for, whatever the deadline says, so nobody
 * writes to what is no longer there, and a call has either its effect or an
 * error.  Nothing is copied and nothing allocated here.
 *
 * Threads: see celadon/file.h.
 *
 * Tests: unit/test_file.c
 */
#include "celadon/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>

#include "base/sys.h"
#include "celadon/pool.h"
#include "os/fileop.h"
#include "sched/io.h"
#include "sched/wait.h"

static int
make_call(void *arg)
{
    struct cel__op *op = arg;

    op->result = cel__fileop_call(op);
    return 0;
}

/* Run `op`, whose call would block, to its end.  Returns its result, or why
   the call was not made. */
static int64_t
await(struct cel__worker *worker, struct cel__op *op, cel_time deadline,
      const char *what)
{
    if (deadline <= CEL_AT_ONCE) {
        return -ETIMEDOUT;
    }
    if (worker->loop.backend->files) {
        return cel__op_await(worker, op, deadline, what);
    }
    int err = cel_offload(NULL, make_call, op, NULL, deadline);
    return err < 0 ? err : op->result;
}

/* The same for calls with nothing to try before. */
static int
run(struct cel__op *op, cel_time deadline, const char *what)
{
    struct cel__worker *worker = cel__worker();

    return worker == NULL ? -EPERM : (int)await(worker, op, deadline, what);
}

/* Move all that `op` asks for; an error after some bytes is left to the next
   call. */
static ssize_t
move(struct cel__op *op, cel_time deadline, const char *what)
{
    struct cel__worker *worker = cel__worker();
    size_t len = op->len;
    int64_t n;

    if (worker == NULL) {
        return -EPERM;
    }
    for (;;) {
        n = cel__fileop_try(op);
        if (n == -EAGAIN) {
            n = await(worker, op, deadline, what);
        }
        if (n <= 0 || (size_t)n == op->len) {
            break;
        }
        op->buf = (char *)op->buf + n;
        op->len -= (size_t)n;
        if (op->offset != CEL__FILEOP_HERE) {
            op->offset += n;
        }
    }
    int64_t moved = (int64_t)(len - op->len);
    if (n >= 0 || moved == 0) {
        moved += n;
    }
    return cel__io_charge(worker, moved);
}

int
cel_file_open(const char *path, int flags, mode_t mode, cel_time deadline)
{
    struct cel__op op = {
        .code = CEL__FILEOP_OPEN,
        .fd = AT_FDCWD,
        .flags = flags | O_CLOEXEC,
        .len = mode,
        .data = path,
    };

    return run(&op, deadline, "file_open");
}

static void
wake_closer(struct cel__op *op)
{
    cel__wake(op->waiter);
}

int
cel_file_close(int fd)
{
    struct cel__worker *worker = cel__worker();
    struct cel__op op = {
        .code = CEL__FILEOP_CLOSE,
        .fd = fd,
        .done = wake_closer,
    };

    if (worker == NULL) {
        return -EPERM;
    }
    cel__loop_forget(&worker->loop, fd, -ECANCELED);
    if (!worker->loop.backend->files) {
        int err = cel_offload(NULL, make_call, &op, NULL, CEL_FOREVER);
        return err < 0 ? cel__sys_close(fd) : (int)op.result;
    }
    op.waiter = worker->current;
    int err = cel__loop_submit(&worker->loop, &op);
    if (err < 0) {
        return cel__sys_close(fd);
    }
    while (op.state != CEL__OP_IDLE) {
        cel__park_firmly(worker, "file_close");
    }
    return op.result == -EINTR ? 0 : (int)op.result;
}

ssize_t
cel_file_read(int fd, void *buf, size_t len, cel_time deadline)
{
    struct cel__op op = {
        .code = CEL__FILEOP_READ,
        .fd = fd,
        .len = len,
        .buf = buf,
        .offset = CEL__FILEOP_HERE,
    };

    return move(&op, deadline, "file_read");
}

ssize_t
cel_file_write(int fd, const void *buf, size_t len, cel_time deadline)
{
    struct cel__op op = {
        .code = CEL__FILEOP_WRITE,
        .fd = fd,
        .len = len,
        .data = buf,
        .offset = CEL__FILEOP_HERE,
    };

    return move(&op, deadline, "file_write");
}

ssize_t
cel_file_pread(int fd, void *buf, size_t len, int64_t offset,
               cel_time deadline)
{
    struct cel__op op = {
        .code = CEL__FILEOP_READ,
        .fd = fd,
        .len = len,
        .buf = buf,
        .offset = offset,
    };

    return offset < 0 ? -EINVAL : move(&op, deadline, "file_pread");
}

ssize_t
cel_file_pwrite(int fd, const void *buf, size_t len, int64_t offset,
                cel_time deadline)
{
    struct cel__op op = {
        .code = CEL__FILEOP_WRITE,
        .fd = fd,
        .len = len,
        .data = buf,
        .offset = offset,
    };

    return offset < 0 ? -EINVAL : move(&op, deadline, "file_pwrite");
}

int
cel_file_sync(int fd, cel_time deadline)
{
    struct cel__op op = {.code = CEL__FILEOP_SYNC, .fd = fd};

    return run(&op, deadline, "file_sync");
}

int
cel_file_sync_data(int fd, cel_time deadline)
{
    struct cel__op op = {.code = CEL__FILEOP_SYNC, .fd = fd, .flags = 1};

    return run(&op, deadline, "file_sync_data");
}

static struct timespec
moment(const struct statx_timestamp *stamp)
{
    struct timespec time = {.tv_sec = stamp->tv_sec,
                            .tv_nsec = stamp->tv_nsec};

    return time;
}

/* statx(2) is all that requests offer; the older form is what people use. */
static int
ask_status(int fd, const char *path, int flags, struct stat *out,
           cel_time deadline)
{
    struct statx status = {0};
    struct cel__op op = {
        .code = CEL__FILEOP_STAT,
        .fd = fd,
        .flags = flags,
        .data = path,
        .status = &status,
    };

    int err = run(&op, deadline, "file_stat");
    if (err < 0) {
        return err;
    }
    *out = (struct stat){
        .st_dev = makedev(status.stx_dev_major, status.stx_dev_minor),
        .st_ino = status.stx_ino,
        .st_mode = status.stx_mode,
        .st_nlink = status.stx_nlink,
        .st_uid = status.stx_uid,
        .st_gid = status.stx_gid,
        .st_rdev = makedev(status.stx_rdev_major, status.stx_rdev_minor),
        .st_size = (off_t)status.stx_size,
        .st_blksize = (blksize_t)status.stx_blksize,
        .st_blocks = (blkcnt_t)status.stx_blocks,
        .st_atim = moment(&status.stx_atime),
        .st_mtim = moment(&status.stx_mtime),
        .st_ctim = moment(&status.stx_ctime),
    };
    return 0;
}

int
cel_file_stat(const char *path, struct stat *out, cel_time deadline)
{
    return ask_status(AT_FDCWD, path, 0, out, deadline);
}

int
cel_file_fstat(int fd, struct stat *out, cel_time deadline)
{
    return ask_status(fd, "", AT_EMPTY_PATH, out, deadline);
}
