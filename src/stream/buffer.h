/* SPDX-License-Identifier: MIT */
/*
 * A buffer of bytes: put in at the back, taken from the front.
 *
 * Threads: the stream's.
 */
#ifndef CEL_BUFFER_H
#define CEL_BUFFER_H

#include <stddef.h>

/* Invariants: start + len <= cap; `data` is `small` or was allocated. */
struct cel__buffer {
    char *data;
    size_t start; /* of the bytes in it */
    size_t len;   /* how many they are */
    size_t cap;
    char *small;   /* storage that need not be allocated, or NULL */
    size_t nsmall; /* its size, or 0 */
};

/* `small`, of `nsmall` bytes, may be NULL and 0; it stays the caller's. */
void cel__buffer_init(struct cel__buffer *buffer, char *small, size_t nsmall);

/* Drop all and go back to the small storage. */
void cel__buffer_clear(struct cel__buffer *buffer);

/*
 * Make room for `more` bytes behind those that are in it; where it must grow
 * it has `least` bytes then, or more.  Returns 0, or -ENOMEM with nothing
 * changed.
 */
int cel__buffer_reserve(struct cel__buffer *buffer, size_t more, size_t least);

/* Put `len` bytes in, for which there is room. */
void cel__buffer_put(struct cel__buffer *buffer, const void *bytes,
                     size_t len);

/* Copy the first `len` bytes, which are there, to `bytes` and drop them. */
void cel__buffer_take(struct cel__buffer *buffer, void *bytes, size_t len);

/* Drop the first `len` bytes, which are there. */
void cel__buffer_drop(struct cel__buffer *buffer, size_t len);

/* The first byte. */
static inline char *
cel__buffer_front(const struct cel__buffer *buffer)
{
    return buffer->data + buffer->start;
}

/* Where the next byte goes. */
static inline char *
cel__buffer_back(const struct cel__buffer *buffer)
{
    return buffer->data + buffer->start + buffer->len;
}

/* How many bytes fit at the back as it is. */
static inline size_t
cel__buffer_room(const struct cel__buffer *buffer)
{
    return buffer->cap - buffer->start - buffer->len;
}

#endif
