/* SPDX-License-Identifier: MIT */
/*
 * Backtraces by the C library's unwinder.
 *
 * It begins where it is called; cel__switch_visit() makes it believe that it
 * was called by whoever is suspended.  That needs the tables which compilers
 * make on these processors anyway, and no frame pointers.
 *
 * Threads: see trace.h.
 *
 * Tests: unit/test_see.c
 */
#include "see/trace.h"

#include <string.h>

#include "coro/switch.h"
#include "see/names.h"
#include "see/sys_trace.h"

void
cel__trace_prepare(void)
{
    void *frame[1];

    (void)cel__sys_backtrace(frame, 1);
}

/* Forget the innermost frames, our own and a sanitizer's, up to the one that
   returns to `caller`. */
static void
begin_at(struct cel__trace *trace, const void *caller)
{
    size_t n = 0;

    while (n < trace->n && trace->frames[n] != caller) {
        n++;
    }
    trace->n -= n;
    memmove(trace->frames, trace->frames + n,
            trace->n * sizeof(trace->frames[0]));
}

__attribute__((noinline)) void
cel__trace_here(struct cel__trace *trace)
{
    trace->interrupted = false;
    trace->n = cel__sys_backtrace(trace->frames, CEL__TRACE);
    begin_at(trace, __builtin_return_address(0));
}

void
cel__trace_interrupted(struct cel__trace *trace, const void *pc)
{
    trace->n = cel__sys_backtrace(trace->frames, CEL__TRACE);
    trace->interrupted = pc != NULL;
    if (pc != NULL) {
        begin_at(trace, pc);
    }
}

/* Called by cel__switch_visit(), whose own frame is the first one. */
static void
fill(void *arg)
{
    struct cel__trace *trace = arg;

    trace->interrupted = false;
    trace->n = cel__sys_backtrace(trace->frames, CEL__TRACE);
    begin_at(trace, __builtin_return_address(0));
    if (trace->n > 0) {
        trace->n--;
        memmove(trace->frames, trace->frames + 1,
                trace->n * sizeof(trace->frames[0]));
    }
}

void
cel__trace_of(struct cel__trace *trace, void *sp)
{
    trace->n = 0;
    (void)cel__switch_visit(sp, fill, trace);
}

void
cel__trace_put_address(struct cel__text *text, const void *address)
{
    struct cel__symbol symbol;

    cel__sys_symbol(address, &symbol);
    if (symbol.name != NULL) {
        cel__text_put(text, symbol.name);
        cel__text_put(text, "+");
        cel__text_hex(text, symbol.into_name);
        cel__text_put(text, " ");
    }
    else if (symbol.module != NULL) {
        (void)cel__names_put(text, address, &symbol);
    }
    if (symbol.module != NULL) {
        const char *slash = strrchr(symbol.module, '/');
        cel__text_put(text, "(");
        cel__text_put(text, slash == NULL ? symbol.module : slash + 1);
        cel__text_put(text, "+");
        cel__text_hex(text, symbol.offset);
        cel__text_put(text, ")");
    }
    else {
        cel__text_hex(text, (uintptr_t)address);
    }
}

void
cel__trace_put_frame(struct cel__text *text, const struct cel__trace *trace,
                     size_t number)
{
    bool returns = number > 0 || !trace->interrupted;

    /* A return address may be another line's, or function's. */
    cel__trace_put_address(text,
                           (char *)trace->frames[number] - (returns ? 1 : 0));
}

void
cel__trace_put(struct cel__text *text, const struct cel__trace *trace)
{
    for (size_t i = 0; i < trace->n; i++) {
        cel__text_put(text, "    ");
        cel__trace_put_frame(text, trace, i);
        cel__text_line(text);
    }
}
