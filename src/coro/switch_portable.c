/* SPDX-License-Identifier: MIT */
/*
 * The context switch by ucontext, for processors that have no .S file.
 *
 * The saved stack pointer is the address of a ucontext_t on the suspended
 * stack.  It costs two system calls a switch (the signal mask), about 0.3 us.
 * Unlike the assembly it switches the signal mask and the floating point
 * control words as well; nothing may rely on that.
 *
 * Threads: any.
 *
 * Tests: unit/test_switch.c
 */
#include "coro/switch.h"

#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include "base/check.h"

/* What a new context begins with, at its top. */
struct first {
    ucontext_t context;
    void *(*entry)(void *);
    void *arg;
};

void
cel__switch(void **from, void *to)
{
    ucontext_t here;

    *from = &here;
    if (swapcontext(&here, to) != 0) {
        cel__panic("swapcontext failed");
    }
}

/* No unwinder finds its way into a ucontext_t. */
int
cel__switch_visit(void *sp, void (*fn)(void *), void *arg)
{
    (void)sp;
    (void)fn;
    (void)arg;
    return 0;
}

/* makecontext() passes ints only: a pointer comes in two halves. */
static void
start(unsigned high, unsigned low)
{
    struct first *first = (struct first *)(((uintptr_t)high << 16 << 16) |
                                           (uintptr_t)low);

    (void)setcontext(first->entry(first->arg));
    cel__panic("setcontext failed");
}

void *
cel__switch_prepare(void *top, void *(*entry)(void *), void *arg)
{
    /* Only the end of what makecontext() is told as the stack matters; its
       size must hold a frame. */
    static const size_t frame = 1024;
    size_t need = (sizeof(struct first) + 63) / 64 * 64;
    struct first *first = (struct first *)(void *)((char *)top - need);

    memset(first, 0, sizeof(*first));
    if (getcontext(&first->context) != 0) {
        cel__panic("getcontext failed");
    }
    first->entry = entry;
    first->arg = arg;
    first->context.uc_stack.ss_sp = (char *)first - frame;
    first->context.uc_stack.ss_size = frame;
    first->context.uc_link = NULL;
    makecontext(&first->context, (void (*)(void))start, 2,
                (unsigned)((uintptr_t)first >> 16 >> 16),
                (unsigned)(uintptr_t)first);
    return &first->context;
}

void
cel__switch_start(void **from, void *top, void *(*entry)(void *), void *arg)
{
    cel__switch(from, cel__switch_prepare(top, entry, arg));
}
