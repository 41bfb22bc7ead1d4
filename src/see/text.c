/* SPDX-License-Identifier: MIT */
/*
 * Text put together without stdio.
 *
 * Threads: see text.h.
 *
 * Tests: unit/test_text.c
 */
#include "see/text.h"

#include "base/sys.h"

void
cel__text_init(struct cel__text *text, int fd)
{
    text->fd = fd;
    text->error = 0;
    text->len = 0;
}

void
cel__text_flush(struct cel__text *text)
{
    size_t done = 0;

    while (text->error == 0 && done < text->len) {
        ssize_t n = cel__sys_write(text->fd, text->bytes + done,
                                   text->len - done);
        if (n < 0) {
            text->error = (int)n;
        }
        else {
            done += (size_t)n;
        }
    }
    text->len = 0;
}

void
cel__text_put(struct cel__text *text, const char *string)
{
    for (const char *at = string == NULL ? "?" : string; *at != '\0'; at++) {
        if (text->len == CEL__TEXT - 1) {
            if (text->fd < 0) {
                return;
            }
            cel__text_flush(text);
        }
        text->bytes[text->len++] = *at;
    }
}

static void
put_in_base(struct cel__text *text, uint64_t n, unsigned base)
{
    char digits[21];
    char *at = digits + sizeof(digits) - 1;

    *at = '\0';
    do {
        *--at = "0123456789abcdef"[n % base];
        n /= base;
    } while (n > 0);
    cel__text_put(text, at);
}

void
cel__text_number(struct cel__text *text, uint64_t n)
{
    put_in_base(text, n, 10);
}

void
cel__text_hex(struct cel__text *text, uintptr_t n)
{
    cel__text_put(text, "0x");
    put_in_base(text, n, 16);
}

void
cel__text_span(struct cel__text *text, cel_time ns)
{
    uint64_t us = ns < 0 ? 0 : (uint64_t)ns / 1000;

    if (us < 10000) {
        cel__text_number(text, us);
        cel__text_put(text, " us");
        return;
    }
    uint64_t ms = us / 1000;
    cel__text_number(text, ms / 1000);
    cel__text_put(text, ms % 1000 < 10 ? ".00" : ms % 1000 < 100 ? ".0" : ".");
    cel__text_number(text, ms % 1000);
    cel__text_put(text, " s");
}

void
cel__text_line(struct cel__text *text)
{
    cel__text_put(text, "\n");
    cel__text_flush(text);
}

const char *
cel__text_string(struct cel__text *text)
{
    text->bytes[text->len] = '\0';
    return text->bytes;
}
