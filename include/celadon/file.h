/* SPDX-License-Identifier: MIT */
/*
 * Files: the calls of POSIX that wait for a disk, which suspend the coroutine
 * instead of the thread.
 *
 * Descriptors are plain ints; what cel_file_open() returns is a descriptor
 * like any other, close-on-exec, and may be closed by cel_close() too.  These
 * calls are for what no readiness announces: files, folders, block devices.
 * For pipes, terminals and sockets see net.h.
 *
 * What memory has already (the page cache) is read and written at once, in
 * one system call.  All else is done by the kernel where io_uring is the
 * backend, and else on a thread of the pool (pool.h), which bounds how many
 * such calls are under way at a time; it is done in no particular order.
 *
 * Deadlines and cancelling: a call that the system has not begun with ends at
 * once.  One that it has begun with can't be taken back, and it has the
 * buffer: the coroutine waits for its end, and gets its result.  A disk
 * answers in milliseconds; the server of a network file system may not.  With
 * a deadline that has passed, reading and writing do what memory allows, and
 * the others nothing.
 *
 * Sizes and offsets are bytes, deadlines points in time (base.h).  Every call
 * returns -EPERM on a thread that runs no coroutines, and may return
 *   -ETIMEDOUT   `deadline` passed before it began
 *   -ECANCELED   the coroutine was cancelled before it began; or, in the
 *                child of a fork, it was under way and is the parent's
 *   -ENOMEM      no memory to wait with
 *   -EAGAIN      no thread of the pool could be started
 * "as for all" below means these five.  After an error there was no effect,
 * as far as the system call of the name says so.
 *
 * Every 64th call of a coroutine that need not wait lets the others run ("may
 * suspend").
 *
 * Threads: any that runs coroutines; a descriptor may be used by several.
 */
#ifndef CELADON_FILE_H
#define CELADON_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "celadon/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Open the file `path` as open(2) does with `flags` (O_RDONLY, O_CREAT, …)
 * and, where it creates one, `mode`; O_CLOEXEC is added.  `path` must stay
 * valid until the call returns.
 *
 * Suspends.  Returns the descriptor, or a negative errno: as for all, and as
 * open(2).
 */
CEL_API CEL_NODISCARD int cel_file_open(const char *path, int flags,
                                        mode_t mode, cel_time deadline);

/**
 * Close `fd`.  Unlike cel_close() it does not keep the thread waiting where
 * closing writes something back.
 *
 * Suspends; neither a deadline nor cancelling ends it.  Returns 0, -EPERM, or
 * as close(2), but never -EINTR; `fd` is closed in any case but -EPERM and
 * -EBADF.
 */
CEL_API int cel_file_close(int fd);

/**
 * Read `len` bytes into `buf` from where the file `fd` stands, which moves
 * on.  `buf` must stay valid until the call returns.
 *
 * Suspends where memory does not have them; may suspend even so.  Two
 * coroutines that read one descriptor at a time get its parts in no order.
 *
 * Returns the number of bytes: fewer than `len` only at the end of the file,
 * where it is 0 in the end, or before an error, which the next call tells; or
 * a negative errno: as for all, and as read(2).
 */
CEL_API CEL_NODISCARD ssize_t cel_file_read(int fd, void *buf, size_t len,
                                            cel_time deadline);

/**
 * Write the `len` bytes of `buf` where the file `fd` stands, which moves on.
 *
 * Suspends and returns as cel_file_read() does, and as write(2); fewer bytes
 * than `len` only before an error, which the next call tells.
 */
CEL_API CEL_NODISCARD ssize_t cel_file_write(int fd, const void *buf,
                                             size_t len, cel_time deadline);

/**
 * As cel_file_read(), but from `offset` on; where the file stands matters
 * not, and does not change.  Suspends as that does.  Returns as
 * cel_file_read(), and as pread(2), among them -EINVAL (`offset` is negative)
 * and -ESPIPE.
 */
CEL_API CEL_NODISCARD ssize_t cel_file_pread(int fd, void *buf, size_t len,
                                             int64_t offset,
                                             cel_time deadline);

/**
 * As cel_file_write(), but from `offset` on; where the file stands matters
 * not, and does not change.  Suspends as that does.  Returns as
 * cel_file_write(), and as pwrite(2), among them -EINVAL (`offset` is
 * negative) and -ESPIPE.
 */
CEL_API CEL_NODISCARD ssize_t cel_file_pwrite(int fd, const void *buf,
                                              size_t len, int64_t offset,
                                              cel_time deadline);

/**
 * Wait until the disk has what was written to `fd`, as fsync(2).
 * Suspends.  Returns 0, or a negative errno: as for all, and as fsync(2).
 */
CEL_API CEL_NODISCARD int cel_file_sync(int fd, cel_time deadline);

/**
 * The same for the bytes and the length alone, as fdatasync(2).
 * Suspends.  Returns as cel_file_sync().
 */
CEL_API CEL_NODISCARD int cel_file_sync_data(int fd, cel_time deadline);

/**
 * What the system knows of the file `path`, as stat(2), in `*out`.
 * Suspends.  Returns 0, or a negative errno, and `*out` is as it was: as for
 * all, and as stat(2).
 */
CEL_API CEL_NODISCARD int cel_file_stat(const char *path, struct stat *out,
                                        cel_time deadline);

/**
 * The same of the open file `fd`, as fstat(2).  Suspends.  Returns as
 * cel_file_stat(), and -EBADF.
 */
CEL_API CEL_NODISCARD int cel_file_fstat(int fd, struct stat *out,
                                         cel_time deadline);

#ifdef __cplusplus
}
#endif

#endif
