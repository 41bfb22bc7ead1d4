/* SPDX-License-Identifier: MIT */
/*
 * Buffered streams: lines and records over whatever receives and sends.
 *
 * They stand on a socket, a pipe, a connection of TLS (tls.h), or on calls of
 * the program's own (cel_stream_open_over()).
 *
 * Reading and writing are apart: one coroutine may read while another writes.
 * Of several that read, or several that write, each is served in its turn and
 * gets, or puts, what it asked for in one piece.
 *
 * What is written is gathered and leaves when there is enough of it, when
 * cel_stream_flush() is called, or cel_stream_close().  Reading does not
 * flush: who waits for an answer flushes first.
 *
 * Nothing is lost where a call is ended by its deadline or by cancelling:
 * what has come stays to be read, what was taken for writing stays to be sent
 * by the next call that writes or flushes.  So the same call can be made
 * again.
 *
 * A stream of which nothing is buffered holds less than 1 KiB; the buffers of
 * a busy one grow to 16 KiB each, or to what a call asks for, and are given
 * back where it falls idle.
 *
 * Every call that may suspend returns -EPERM on a thread that runs no
 * coroutines, and may return
 *   -ETIMEDOUT   `deadline` passed first; one attempt is made in any case
 *   -ECANCELED   the coroutine was cancelled, or the descriptor was closed
 *   -EDEADLK     nothing is left that could ever end the wait
 *   -ENOMEM      no memory to wait with, or for what is buffered
 * "as for all" below means these five.
 *
 * Threads: any that runs coroutines, but a stream's are of one thread.
 */
#ifndef CELADON_STREAM_H
#define CELADON_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "celadon/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A buffered stream. */
typedef struct cel_stream cel_stream;

/**
 * Something that streams may stand on.  Each call is given the `over` of
 * cel_stream_open_over().
 */
typedef struct cel_stream_ops {
    size_t size; /**< of this structure, for growth */
    /** Receive up to `len` bytes, at least one.  Returns how many, 0 at the
        end, or a negative errno; as cel_recv() without flags. */
    ssize_t (*recv)(void *over, void *buf, size_t len, cel_time deadline);
    /** Send some of what the `npieces` pieces have, in order; at least one
        byte.  Returns how many, or a negative errno, as cel_sendmsg().  After
        -ETIMEDOUT and -ECANCELED nothing was sent. */
    ssize_t (*send)(void *over, const struct iovec *pieces, int npieces,
                    cel_time deadline);
    /** Close and release; no call comes after.  Returns 0 or a negative
        errno. */
    int (*close)(void *over, cel_time deadline);
} cel_stream_ops;

/**
 * Make a stream over `fd`: a stream socket, a pipe, a terminal.  From now on
 * the stream has it and closes it; cel_own() it first where another library
 * made it.  SIGPIPE: as cel_write() for what is no socket.
 *
 * Does not suspend.  Returns 0, -ENOMEM, or as getsockopt(2), among them
 * -EBADF; on error `fd` is still the caller's, and `*out` as it was.
 */
CEL_API CEL_NODISCARD int cel_stream_open(cel_stream **out, int fd);

/**
 * Make a stream over `over`, by the calls in `ops`, which must stay valid.
 *
 * Does not suspend.  Returns 0, -ENOMEM or -EINVAL (a size or a call is
 * missing); on error `over` is still the caller's, and `*out` as it was.
 */
CEL_API CEL_NODISCARD int cel_stream_open_over(cel_stream **out,
                                               const cel_stream_ops *ops,
                                               void *over);

/**
 * Send what is left to be sent, until `deadline`, close what the stream stands
 * on and release the stream, in any case.  NULL is allowed.  Nobody else may
 * be in a call of it: cancel them, or cel_shutdown() its socket, and join.
 *
 * Suspends if there is something to send.  Returns 0, or why something was
 * not sent, or else what closing came to: as for all, as cel_stream_flush(),
 * and as close(2).
 */
CEL_API int cel_stream_close(cel_stream *stream, cel_time deadline);

/*
 * Reading.  An error of the connection is told when all that came before it
 * has been read, and again by each later call.
 */

/**
 * Read up to `len` bytes, at least one if `len` is not 0.
 *
 * Suspends until there is something, the end, or `deadline`; may suspend even
 * so.  Returns how many, 0 at the end, or a negative errno: as for all, and
 * as recv(2).
 */
CEL_API CEL_NODISCARD ssize_t cel_stream_read(cel_stream *stream, void *buf,
                                              size_t len, cel_time deadline);

/**
 * Read exactly `len` bytes.
 *
 * Suspends until they are there, the end, or `deadline`; may suspend even so.
 * Returns `len`; or fewer, which are in `buf`, where the stream ends after
 * them (0: there was nothing) or, where there is no memory to keep them for
 * the next call, an error came; or a negative errno: as for all, and as
 * recv(2), and then nothing was taken.
 */
CEL_API CEL_NODISCARD ssize_t cel_stream_read_all(cel_stream *stream,
                                                  void *buf, size_t len,
                                                  cel_time deadline);

/**
 * Read up to the bytes `end`, `nend` of them (at least one), and through them,
 * into `buf` of `size` bytes.
 *
 * Suspends until they are there, the end, or `deadline`; may suspend even so.
 * Returns how many bytes, `end` included; or all that is left, without it,
 * where the stream ends first (0: there was nothing); or a negative errno, and
 * then nothing was taken:
 *   -EMSGSIZE    `size` bytes and more, and `end` is not within them
 *   -EINVAL      `nend` is 0
 *   others       as for all, and as recv(2)
 */
CEL_API CEL_NODISCARD ssize_t cel_stream_read_until(cel_stream *stream,
                                                    void *buf, size_t size,
                                                    const void *end,
                                                    size_t nend,
                                                    cel_time deadline);

/**
 * Read a line into `line`, of `size` bytes: without its ending, "\n" or
 * "\r\n", and with a 0 byte after it.  What is left at the end of the stream
 * is a line too.
 *
 * Suspends as cel_stream_read_until().  Returns how many bytes were taken, the
 * ending included, so at least 1 for an empty line; 0 at the end of the
 * stream; or a negative errno, and then nothing was taken:
 *   -EMSGSIZE    the line, its ending, for which the last line of a stream
 *                needs a byte too, and the 0 byte need more than `size`
 *   others       as for all, and as recv(2)
 */
CEL_API CEL_NODISCARD ssize_t cel_stream_read_line(cel_stream *stream,
                                                   char *line, size_t size,
                                                   cel_time deadline);

/**
 * Let `*data` be the next bytes of the stream, at least `len` of them, which
 * stay to be read.  They are valid until the next call that reads.  With a
 * `len` of 0: what there is.
 *
 * Suspends as cel_stream_read_all().  Returns how many there are; fewer than
 * `len` only where the stream ends after them; or a negative errno: as for
 * all, and as recv(2).
 */
CEL_API CEL_NODISCARD ssize_t cel_stream_peek(cel_stream *stream,
                                              const void **data, size_t len,
                                              cel_time deadline);

/**
 * Take `len` bytes that cel_stream_peek() showed, or fewer if there are not as
 * many; none while another coroutine waits for more.  Does not suspend.
 * Returns how many.
 */
CEL_API size_t cel_stream_skip(cel_stream *stream, size_t len);

/** How many bytes can be read without waiting for any.  Does not suspend. */
CEL_API size_t cel_stream_buffered(const cel_stream *stream);

/*
 * Writing.
 */

/**
 * Write `len` bytes.
 *
 * Suspends where that fills the buffer, until all of it is sent or
 * `deadline`; may suspend even so.  Returns `len`; or fewer, where an error
 * came after that many; or, where it came before all, a negative errno: as
 * for all, and as sendmsg(2).
 */
CEL_API CEL_NODISCARD ssize_t cel_stream_write(cel_stream *stream,
                                               const void *buf, size_t len,
                                               cel_time deadline);

/**
 * Write `n` pieces in one.  Suspends as cel_stream_write().  Returns as
 * cel_stream_write(); -EINVAL where `n` is negative, or the pieces have more
 * bytes than an ssize_t can tell.
 */
CEL_API CEL_NODISCARD ssize_t cel_stream_writev(cel_stream *stream,
                                                const struct iovec *pieces,
                                                int n, cel_time deadline);

/**
 * Write what printf(3) would; the deadline stands first here.  Suspends as
 * cel_stream_write().  Returns as cel_stream_write(); -EINVAL where printf(3)
 * would fail: a wide character has no bytes, or there are more than INT_MAX.
 */
CEL_API CEL_NODISCARD ssize_t cel_stream_printf(cel_stream *stream,
                                                cel_time deadline,
                                                const char *format, ...)
    CEL_PRINTF(3, 4);

/**
 * Send all that was written.
 *
 * Suspends until it is in the socket's buffer or `deadline`; may suspend even
 * so.  Returns 0, or a negative errno, and what was not sent stays to be
 * sent: as for all, and as sendmsg(2).
 */
CEL_API CEL_NODISCARD int cel_stream_flush(cel_stream *stream,
                                           cel_time deadline);

#ifdef __cplusplus
}
#endif

#endif
