/* SPDX-License-Identifier: MIT */
/*
 * What the sanitizers and valgrind must be told when stacks change hands.
 *
 * Called from the one place that switches (sched/wait.c) and the one that
 * makes stacks (coro/stack.c), never elsewhere.  In builds without them all
 * of it is empty.
 *
 * Threads: any.
 */
#ifndef CEL_SANITIZE_H
#define CEL_SANITIZE_H

#include <stddef.h>

/* Clang's way to ask for them, and younger gcc's; older ones define. */
#if !defined(__has_feature)
#define __has_feature(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define CEL__ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
#define CEL__ASAN 0
#endif

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define CEL__TSAN 1
#include <sanitizer/tsan_interface.h>

/* The thread sanitizer's own clone() takes every child for a fork's, with
   memory of its own, and breaks ours; this is the C library's. */
int __clone(int (*fn)(void *), void *top, int flags, void *arg, ...);
#define CEL__CLONE __clone
#else
#define CEL__TSAN  0
#define CEL__CLONE clone
#endif

/* For functions that begin in one coroutine and end in another: the thread
   sanitizer counts entries and exits for each. */
#if defined(__clang__)
#define CEL__UNCOUNTED __attribute__((disable_sanitizer_instrumentation))
#else
#define CEL__UNCOUNTED __attribute__((no_sanitize_thread))
#endif

/* valgrind is told of each stack, [low, top), and knows it by a number. */
#if CEL__HAVE_VALGRIND
#include <valgrind/valgrind.h>
#define CEL__VALGRIND_KNOW(low, top) VALGRIND_STACK_REGISTER(low, top)
#define CEL__VALGRIND_FORGET(id)     VALGRIND_STACK_DEREGISTER(id)
#else
#define CEL__VALGRIND_KNOW(low, top) ((void)(low), (void)(top), 0U)
#define CEL__VALGRIND_FORGET(id)     ((void)(id))
#endif

/* A function that reads what others have left on their stacks. */
#define CEL__UNSANITIZED                                                      \
    __attribute__((no_sanitize_address, no_sanitize_thread))

/* What a coroutine keeps for them while it is suspended. */
struct cel__sanitize {
#if CEL__ASAN
    void *fake;      /* ASan's fake stack */
    const void *low; /* lowest byte of the coroutine's stack */
    size_t size;     /* bytes of it */
#endif
#if CEL__TSAN
    void *fiber;
#endif
    char unused; /* an empty struct is no C */
};

/* The root's: the thread's own stack, found at the first switch back. */
static inline void
cel__sanitize_root(struct cel__sanitize *self)
{
#if CEL__TSAN
    self->fiber = __tsan_get_current_fiber();
#endif
    (void)self;
}

/* A coroutine is about to run for the first time on [low, top). */
static inline void
cel__sanitize_stack(struct cel__sanitize *self, const char *low,
                    const char *top)
{
#if CEL__ASAN
    self->low = low;
    self->size = (size_t)(top - low);
#endif
#if CEL__TSAN
    self->fiber = __tsan_create_fiber(0);
#endif
    (void)self;
    (void)low;
    (void)top;
}

/* It has ended and another one runs. */
static inline void
cel__sanitize_fini(struct cel__sanitize *self)
{
#if CEL__TSAN
    __tsan_destroy_fiber(self->fiber);
#endif
    (void)self;
}

/* Before the switch from `from` to `to`; `last`: `from` ends here. */
CEL__UNCOUNTED static inline void
cel__sanitize_leave(struct cel__sanitize *from, struct cel__sanitize *to,
                    int last)
{
#if CEL__ASAN
    __sanitizer_start_switch_fiber(last ? NULL : &from->fake, to->low,
                                   to->size);
#endif
#if CEL__TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    (void)from;
    (void)to;
    (void)last;
}

/* After it, on the stack of `self`; `from` is whoever was left. */
static inline void
cel__sanitize_enter(struct cel__sanitize *self, struct cel__sanitize *from)
{
#if CEL__ASAN
    __sanitizer_finish_switch_fiber(self->fake, &from->low, &from->size);
#endif
    (void)self;
    (void)from;
}

/* The memory of a stack is free again, whatever frames it still holds. */
static inline void
cel__sanitize_clear(const void *low, size_t size)
{
#if CEL__ASAN
    __asan_unpoison_memory_region(low, size);
#endif
    (void)low;
    (void)size;
}

#endif
