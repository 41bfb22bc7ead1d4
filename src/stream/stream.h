/* SPDX-License-Identifier: MIT */
/*
 * What a stream is inside; the rest is celadon/stream.h.
 *
 * Threads: the stream's.
 */
#ifndef CEL_STREAM_H
#define CEL_STREAM_H

#include <stdbool.h>

#include "celadon/stream.h"
#include "celadon/sync.h"
#include "stream/buffer.h"

/* What an idle stream reads into.  512: most requests of most protocols, and
   an eighth of the page that the coroutine's stack has at least. */
#define CEL__STREAM_SMALL 512

/* The size of a busy stream's buffers: the most that a record of TLS has. */
#define CEL__STREAM_LARGE 16384

/* Where the buffer for writing begins: what malloc(3) has for the asking. */
#define CEL__STREAM_FIRST 1024

/*
 * Who reads holds `reader` and has the fields of the first group, who writes
 * holds `writer` and has those of the second.  While the owner of `reader`
 * waits for bytes it has a pointer into `in`: only it may let `in` grow.
 */
struct cel_stream {
    const cel_stream_ops *ops;
    void *over; /* what ops are given */

    cel_mutex *reader;
    struct cel__buffer in; /* received and not read */
    int broken;  /* the connection's error; told when `in` is empty */
    bool full;   /* the last receive brought all it had room for */
    bool big;    /* what came last did not fit into `small` */
    bool pinned; /* bytes are received behind those in `in` */
    int fd;      /* what it stands on, if that is a descriptor; else -1 */

    cel_mutex *writer;
    struct cel__buffer out; /* written and not sent */

    char small[CEL__STREAM_SMALL]; /* storage of `in` */
};

/*
 * Send what is in `out`.  The caller holds `writer`.  Suspends.  Returns 0 or
 * as cel_stream_flush().
 */
int cel__stream_drain(struct cel_stream *stream, cel_time deadline);

#endif
