/* SPDX-License-Identifier: MIT */
/*
 * The last word on broken invariants.
 *
 * Threads: any.
 */
#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
cel__panic(const char *format, ...)
{
    char text[512] = "celadon: ";
    size_t len = strlen(text);
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text + len, sizeof(text) - len - 1, format, args);
    va_end(args);
    if (n > 0) {
        len = strlen(text);
    }
    text[len++] = '\n';
    /* Not stdio: its locks may be held by whom we are about to abort. */
    if (write(STDERR_FILENO, text, len) < 0) {
        /* There is nobody left to tell. */
    }
    abort();
}
