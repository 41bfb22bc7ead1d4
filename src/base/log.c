/* SPDX-License-Identifier: MIT */
/*
 * One sink, and the line that is formatted for it.
 *
 * Threads: any.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>

#include "celadon/see.h"

static _Atomic(void (*)(const char *line)) log_sink;

void
cel_log_to(void (*sink)(const char *line))
{
    /* Release: pairs with the acquire in cel__log(), for what the sink
       needs has been set up before. */
    atomic_store_explicit(&log_sink, sink, memory_order_release);
}

bool
cel__log_wanted(void)
{
    return atomic_load_explicit(&log_sink, memory_order_relaxed) != NULL;
}

void
cel__log(const char *format, ...)
{
    void (*sink)(const char *) = atomic_load_explicit(&log_sink,
                                                      memory_order_acquire);
    char text[256];
    va_list args;

    if (sink == NULL) {
        return;
    }
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n > 0) {
        sink(text);
    }
}
