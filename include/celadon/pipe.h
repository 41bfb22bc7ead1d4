/* SPDX-License-Identifier: MIT */
/*
 * Pipes, and the descriptors a program begins with.
 *
 * cel_pipe() makes a pipe, cel_read() and cel_write() move its bytes, and
 * cel_close() closes it (net.h).  Here is what is peculiar to them.
 *
 * Standard input, output and error are other programs' too.  Use them as they
 * are, with the same calls; each wait costs two system calls more.  To make
 * them non-blocking, and so to give them to cel_own(), is to make them so for
 * the shell and whoever else has them.  By what they are:
 *   a pipe, a terminal, a socket   suspend until they are ready
 *   a file, a folder               are always ready, whatever the disk does;
 *                                  cel_file_read() does not keep the thread
 *   /dev/null, /dev/zero, …        likewise, and that is right
 * Where another program reads the same terminal it may take the line between
 * "ready" and the read, which then keeps the thread until the next line.
 *
 * Threads: as net.h.
 */
#ifndef CELADON_PIPE_H
#define CELADON_PIPE_H

#include <stddef.h>

#include "celadon/net.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Write exactly `len` bytes of `buf` to `fd`: a pipe, a terminal, standard
 * output, whatever it is, in whichever mode.  Unlike cel_write() it raises no
 * SIGPIPE.  Other coroutines that write may get bytes in between.
 *
 * Suspends until the last one is taken, or `deadline`; may suspend even so.
 *
 * Returns `len`; or fewer, where an error came after that many, which the next
 * call tells; or, where it came before all, a negative errno:
 *   -EPIPE       nobody can read it any more
 *   -EPERM       the thread runs no coroutines
 *   -ETIMEDOUT   `deadline` passed first; one attempt is made in any case
 *   -ECANCELED   the coroutine was cancelled, or cel_close() closed `fd`
 *   -ENOMEM      no memory to wait with
 *   others       as write(2)
 */
CEL_API CEL_NODISCARD ssize_t cel_pipe_write(int fd, const void *buf,
                                             size_t len, cel_time deadline);

#ifdef __cplusplus
}
#endif

#endif
