/* SPDX-License-Identifier: MIT */
/*
 * Backtraces of coroutines, and what they are called.
 *
 * Threads: the worker's of the coroutine, while it is not running, or the
 * calling one's own stack.
 */
#ifndef CEL_TRACE_H
#define CEL_TRACE_H

#include <stdbool.h>
#include <stddef.h>

#include "see/text.h"

/* Frames of a backtrace; the outer ones beyond them are left out.  Half a KiB
   of stack. */
#define CEL__TRACE 64

struct cel__trace {
    size_t n;
    bool interrupted; /* the first is no return address */
    void *frames[CEL__TRACE];
};

/* Load what is needed, so that the calls below may be made in a handler. */
void cel__trace_prepare(void);

/* The caller's own. */
void cel__trace_here(struct cel__trace *trace);

/* That of whatever a signal has interrupted, for its handler; `pc` is where
   that was, NULL where it is not known: then the handler's frames come
   first. */
void cel__trace_interrupted(struct cel__trace *trace, const void *pc);

/* That of the context that was suspended with the stack pointer `sp`; it has
   no frames where this system does not tell. */
void cel__trace_of(struct cel__trace *trace, void *sp);

/* Put a line a frame: symbol, module and offset in the module, which is what
   addr2line(1) wants. */
void cel__trace_put(struct cel__text *text, const struct cel__trace *trace);

/* Put one of the frames, as above and without a line's end. */
void cel__trace_put_frame(struct cel__text *text,
                          const struct cel__trace *trace, size_t number);

/* Put one address of code, as above and without a line's end. */
void cel__trace_put_address(struct cel__text *text, const void *address);

#endif
