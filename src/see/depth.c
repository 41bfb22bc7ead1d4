/* SPDX-License-Identifier: MIT */
/*
 * How much of a stack was ever used: down to the last word that is not zero.
 *
 * Threads: see depth.h.
 *
 * Tests: unit/test_stack.c
 */
#include "see/depth.h"

#include <stdint.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "base/sys_memory.h"

/* The first byte at or after `from` that is not zero, else `end`; in words.
   What a coroutine left behind may still be poisoned, or raced for by a
   debugger: the sanitizers are not asked. */
CEL__UNSANITIZED static const char *
skip_zeroes(const char *from, const char *end)
{
    const volatile uint64_t *word = (const volatile uint64_t *)(const void *)
        from;

    while ((const volatile char *)word < (const volatile char *)end &&
           *word == 0) {
        word++;
    }
    return (const char *)(uintptr_t)word;
}

size_t
cel__depth_used(const struct cel__stack *stack)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char pages[64];

    for (char *at = stack->low; at < stack->top; at += sizeof(pages) * page) {
        size_t left = (size_t)(stack->top - at);
        size_t n = (left + page - 1) / page;

        if (n > sizeof(pages)) {
            n = sizeof(pages);
        }
        if (cel__sys_mincore(at, n * page, pages) < 0) {
            return 0;
        }
        for (size_t i = 0; i < n; i++) {
            char *from = at + i * page;
            char *to = from + page < stack->top ? from + page : stack->top;

            /* A page that is there may be the shared one of zeroes. */
            if (pages[i] & 1) {
                const char *first = skip_zeroes(from, to);
                if (first < to) {
                    return (size_t)(stack->top - first);
                }
            }
        }
    }
    return 0;
}
