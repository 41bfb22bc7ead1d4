/* SPDX-License-Identifier: MIT */
/*
 * Text put together without stdio and memory of the heap, for signal handlers
 * and small stacks.
 *
 * It goes to a descriptor, a line at a time or what fits; where there is
 * none, what does not fit is dropped.
 *
 * Threads: its owner's.  Everything here may be called in a signal handler.
 */
#ifndef CEL_TEXT_H
#define CEL_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "celadon/base.h"

/* Bytes of a line.  Half of what a frame on a coroutine's stack may have. */
#define CEL__TEXT 512

/* Invariant: len < CEL__TEXT. */
struct cel__text {
    int fd;     /* where it goes; -1: nowhere, it stays in `bytes` */
    int error;  /* of the first write that failed, negative; then no more */
    size_t len; /* bytes put and not yet written */
    char bytes[CEL__TEXT];
};

void cel__text_init(struct cel__text *text, int fd);

/* A string; NULL is put as "?". */
void cel__text_put(struct cel__text *text, const char *string);

void cel__text_number(struct cel__text *text, uint64_t n);
/* With "0x" before it. */
void cel__text_hex(struct cel__text *text, uintptr_t n);
/* A span of time, as "1.203 s" or "17 us". */
void cel__text_span(struct cel__text *text, cel_time ns);

/* End the line and write it. */
void cel__text_line(struct cel__text *text);

/* Write what there is. */
void cel__text_flush(struct cel__text *text);

/* What was put and not written, as a string. */
const char *cel__text_string(struct cel__text *text);

#endif
