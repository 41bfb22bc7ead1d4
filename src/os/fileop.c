/* SPDX-License-Identifier: MIT */
/*
 * Operations on files, as system calls.
 *
 * What memory has already needs neither a thread nor a request: RWF_NOWAIT
 * takes it, in 0.3 us where a thread of the pool costs 20.  Not every file
 * system knows it, and some only for reading; then the call is made as if it
 * would block.
 *
 * Threads: see fileop.h.
 *
 * Tests: unit/test_file.c
 */
#include "os/fileop.h"

#include <errno.h>

#include "base/check.h"
#include "base/fault.h"
#include "base/sys.h"
#include "os/sys_file.h"

/* Read or write by `flags`. */
static ssize_t
transfer(const struct cel__op *op, int flags)
{
    size_t len = op->len < CEL__FILEOP_MOST ? op->len : CEL__FILEOP_MOST;

    if (CEL__HARD && len > 1 && cel__dice(4) == 0) {
        len = 1 + cel__dice(len < 4096 ? (uint32_t)len : 4096);
    }
    const struct iovec piece = {op->buf, len};
    if (op->code == CEL__FILEOP_READ) {
        return cel__sys_preadv2(op->fd, &piece, 1, op->offset, flags);
    }
    return cel__sys_pwritev2(op->fd, &piece, 1, op->offset, flags);
}

int64_t
cel__fileop_call(const struct cel__op *op)
{
    switch ((enum cel__fileop_code)op->code) {
    case CEL__FILEOP_OPEN:
        return cel__sys_openat(op->fd, op->data, op->flags, (mode_t)op->len);
    case CEL__FILEOP_CLOSE:
        return cel__sys_close(op->fd);
    case CEL__FILEOP_READ:
    case CEL__FILEOP_WRITE:
        return transfer(op, 0);
    case CEL__FILEOP_SYNC:
        return op->flags != 0 ? cel__sys_fdatasync(op->fd)
                              : cel__sys_fsync(op->fd);
    case CEL__FILEOP_STAT:
        return cel__sys_statx(op->fd, op->data, op->flags, STATX_BASIC_STATS,
                              op->status);
    }
    cel__panic("operation %d is unknown", op->code);
}

int64_t
cel__fileop_try(const struct cel__op *op)
{
    /* Only with what has a position: this call is also what refuses an offset
       to a pipe, for which the kernel's request would read it all the same. */
    if (CEL__HARD && cel__dice(4) == 0 && lseek(op->fd, 0, SEEK_CUR) != -1) {
        return -EAGAIN;
    }
    ssize_t n = transfer(op, RWF_NOWAIT);
    /* Neither this file nor, with the last two, this system can do it. */
    return n == -EOPNOTSUPP || n == -ENOSYS || n == -EINVAL ? -EAGAIN : n;
}
