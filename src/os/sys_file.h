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

CEL__SYS_WRAP(int, openat, (int dir, const char *path, int flags, mode_t mode),
              (dir, path, flags, mode))

/* An `offset` of -1 is where the file stands, which moves.  `flags`:
   RWF_NOWAIT. */
CEL__SYS_WRAP(ssize_t, preadv2,
              (int fd, const struct iovec *iov, int count, int64_t offset,
               int flags),
              (fd, iov, count, offset, flags))
CEL__SYS_WRAP(ssize_t, pwritev2,
              (int fd, const struct iovec *iov, int count, int64_t offset,
               int flags),
              (fd, iov, count, offset, flags))
CEL__SYS_WRAP(int, fsync, (int fd), (fd))
CEL__SYS_WRAP(int, fdatasync, (int fd), (fd))
CEL__SYS_WRAP(int, statx,
              (int dir, const char *path, int flags, unsigned mask,
               struct statx *out),
              (dir, path, flags, mask, out))

#endif
