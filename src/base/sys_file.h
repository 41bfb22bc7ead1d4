/* SPDX-License-Identifier: MIT */
/*
 * The system calls on files; see sys.h for what they have in common.
 *
 * Threads: any.
 */
#ifndef CEL_SYS_FILE_H
#define CEL_SYS_FILE_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/sys_call.h"

static inline int
cel__sys_openat(int dir, const char *path, int flags, mode_t mode)
{
    int fd;

    CEL__SYS(fd, openat, (dir, path, flags, mode));
    return fd;
}

/* An `offset` of -1 is where the file stands, which moves.  `flags`:
   RWF_NOWAIT. */
static inline ssize_t
cel__sys_preadv2(int fd, const struct iovec *iov, int count, int64_t offset,
                 int flags)
{
    ssize_t n;

    CEL__SYS(n, preadv2, (fd, iov, count, offset, flags));
    return n;
}

static inline ssize_t
cel__sys_pwritev2(int fd, const struct iovec *iov, int count, int64_t offset,
                  int flags)
{
    ssize_t n;

    CEL__SYS(n, pwritev2, (fd, iov, count, offset, flags));
    return n;
}

static inline int
cel__sys_fsync(int fd)
{
    int err;

    CEL__SYS(err, fsync, (fd));
    return err;
}

static inline int
cel__sys_fdatasync(int fd)
{
    int err;

    CEL__SYS(err, fdatasync, (fd));
    return err;
}

static inline int
cel__sys_statx(int dir, const char *path, int flags, unsigned mask,
               struct statx *out)
{
    int err;

    CEL__SYS(err, statx, (dir, path, flags, mask, out));
    return err;
}

#endif
