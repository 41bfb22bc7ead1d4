/* SPDX-License-Identifier: MIT */
/*
 * A buffer of bytes in one piece.
 *
 * Bytes are moved to the front only where the room behind them is not enough,
 * and the buffer grows only where that does not help; it doubles at least, so
 * what grows byte by byte is copied a constant number of times.
 *
 * Threads: see buffer.h.
 *
 * Tests: unit/test_stream_script.c
 */
#include "stream/buffer.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

void
cel__buffer_init(struct cel__buffer *buffer, char *small, size_t nsmall)
{
    buffer->data = small;
    buffer->start = 0;
    buffer->len = 0;
    buffer->cap = nsmall;
    buffer->small = small;
    buffer->nsmall = nsmall;
}

void
cel__buffer_clear(struct cel__buffer *buffer)
{
    if (buffer->data != buffer->small) {
        free(buffer->data);
    }
    cel__buffer_init(buffer, buffer->small, buffer->nsmall);
}

int
cel__buffer_reserve(struct cel__buffer *buffer, size_t more, size_t least)
{
    if (cel__buffer_room(buffer) >= more) {
        return 0;
    }
    if (buffer->cap - buffer->len >= more) {
        memmove(buffer->data, cel__buffer_front(buffer), buffer->len);
        buffer->start = 0;
        return 0;
    }
    if (more > SIZE_MAX / 2 - buffer->len) {
        return -ENOMEM;
    }
    size_t cap = buffer->len + more;
    cap = cap < 2 * buffer->cap ? 2 * buffer->cap : cap;
    cap = cap < least ? least : cap;
    char *data = cel__alloc(cap);
    if (data == NULL) {
        return -ENOMEM;
    }
    if (buffer->len != 0) {
        memcpy(data, cel__buffer_front(buffer), buffer->len);
    }
    if (buffer->data != buffer->small) {
        free(buffer->data);
    }
    buffer->data = data;
    buffer->start = 0;
    buffer->cap = cap;
    return 0;
}

void
cel__buffer_put(struct cel__buffer *buffer, const void *bytes, size_t len)
{
    cel__assert(cel__buffer_room(buffer) >= len);
    if (len != 0) {
        memcpy(cel__buffer_back(buffer), bytes, len);
        buffer->len += len;
    }
}

void
cel__buffer_take(struct cel__buffer *buffer, void *bytes, size_t len)
{
    if (len != 0) {
        memcpy(bytes, cel__buffer_front(buffer), len);
        cel__buffer_drop(buffer, len);
    }
}

void
cel__buffer_drop(struct cel__buffer *buffer, size_t len)
{
    cel__assert(len <= buffer->len);
    buffer->len -= len;
    buffer->start = buffer->len == 0 ? 0 : buffer->start + len;
}
