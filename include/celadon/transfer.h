/* SPDX-License-Identifier: MIT */
/*
 * Sockets, continued: files sent as they are, descriptors passed, bursts of
 * connections and of datagrams.
 *
 * What net.h says holds here: of errors, of descriptors, of suspending.
 *
 * Threads: as net.h.
 */
#ifndef CELADON_TRANSFER_H
#define CELADON_TRANSFER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "celadon/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct mmsghdr;

/**
 * Send `len` bytes of the file `file`, from byte `*offset` on, on the stream
 * socket `fd`, without a copy through the program.  `*offset` becomes the
 * byte behind the last one sent.
 *
 * Suspends until the last one is in the socket's buffer or `deadline`; may
 * suspend even so.  What memory lacks of the file is read from the disk
 * meanwhile, which keeps the thread waiting.  Others that send on `fd` may
 * get bytes in between.  A socket that is not owned and in blocking mode gets
 * at most 4096 bytes a system call.  No SIGPIPE is raised.
 *
 * Returns `len`; or fewer, where the file ended, `deadline` passed or an
 * error came after that many, and the next call tells which; or, where it
 * came before all, 0 (the file has ended) or a negative errno:
 *   -EINVAL  `*offset` is negative
 *   -ESPIPE  `file` has no places: a pipe, a socket
 *   others   as for all, and as sendfile(2)
 */
CEL_API CEL_NODISCARD ssize_t cel_sendfile(int fd, int file, int64_t *offset,
                                           size_t len, cel_time deadline);

/** The most descriptors that one message can carry. */
#define CEL_FDS_MOST 253

/**
 * Send the `len` bytes of `buf`, one at least, on the unix socket `fd`, and
 * with them `nfds` descriptors, which stay the caller's.
 *
 * Suspends as cel_send().  Returns the number of bytes, which may be less
 * than `len`: the descriptors went with the first; or a negative errno:
 *   -EINVAL        `len` or `nfds` is 0, or `nfds` above CEL_FDS_MOST
 *   -EBADF         one of them is not open
 *   -ETOOMANYREFS  too many are under way
 *   others         as for all, and as sendmsg(2)
 */
CEL_API CEL_NODISCARD ssize_t cel_send_fds(int fd, const void *buf, size_t len,
                                           const int *fds, size_t nfds,
                                           cel_time deadline);

/**
 * Receive up to `len` bytes from the unix socket `fd`, and the descriptors
 * that came with them, for which `fds` has room for `*nfds`.  They are
 * close-on-exec and not owned (see cel_own()).
 *
 * Suspends as cel_recv().  Returns the number of bytes, or 0 at the end of
 * the stream; `*nfds` becomes the number of descriptors that came: where
 * there was no room for all, the rest is closed.  Or a negative errno:
 *   -EMFILE  the process can't have so many: none is kept, and the bytes are
 *            lost too
 *   others   as for all, and as recvmsg(2)
 */
CEL_API CEL_NODISCARD ssize_t cel_recv_fds(int fd, void *buf, size_t len,
                                           int *fds, size_t *nfds,
                                           cel_time deadline);

/**
 * Take up to `n` connections from the listening socket `fd`: one, as
 * cel_accept() does, and those that are there already behind it.
 *
 * Suspends until there is one or `deadline`; may suspend even so.  Returns
 * how many it took, whose descriptors are in `conns`, or a negative errno:
 *   -EINVAL  `n` is 0
 *   others   as cel_accept()
 */
CEL_API CEL_NODISCARD ssize_t cel_accept_many(int fd, int *conns, size_t n,
                                              cel_time deadline);

/**
 * Receive up to `n` datagrams from the socket `fd`, at most 1024: those that
 * are there, in one system call, or else the first that comes, and what has
 * come with it.  `msgs` is recvmmsg(2)'s: each has the message that
 * recvmsg(2) would fill, and gets the number of its bytes.
 *
 * Suspends until there is one or `deadline`; may suspend even so.  Takes the
 * `flags` of cel_recv().  Returns how many came, or a negative errno:
 *   -EINVAL  `n` is 0, or MSG_WAITALL
 *   others   as for all, and as recvmsg(2)
 */
CEL_API CEL_NODISCARD ssize_t cel_recv_many(int fd, struct mmsghdr *msgs,
                                            size_t n, int flags,
                                            cel_time deadline);

/**
 * Send the `n` datagrams of `msgs` from the socket `fd`, as many a system
 * call as fit into its buffer; each gets the number of its bytes.
 *
 * Suspends until the last one is there or `deadline`; may suspend even so.
 * Takes the `flags` of cel_send().  Returns `n`; or fewer, where `deadline`
 * passed or an error came after that many, and the next call tells which; or,
 * where it came before the first, a negative errno:
 *   -EINVAL  `n` is 0
 *   others   as for all, and as sendmsg(2)
 */
CEL_API CEL_NODISCARD ssize_t cel_send_many(int fd, struct mmsghdr *msgs,
                                            size_t n, int flags,
                                            cel_time deadline);

#ifdef __cplusplus
}
#endif

#endif
