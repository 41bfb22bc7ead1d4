/* SPDX-License-Identifier: MIT */
/*
 * The system calls of sys.h that are about threads.
 *
 * Threads: any.
 */
#ifndef CEL_SYS_THREAD_H
#define CEL_SYS_THREAD_H

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "base/sys_call.h"

#if CEL__HAVE_SINGLE_THREADED
#include <sys/single_threaded.h>
#endif

/* Commands of cel__sys_membarrier(): linux/membarrier.h, which knows them
   since Linux 4.14. */
#define CEL__MEMBARRIER_QUERY    0
#define CEL__MEMBARRIER_PRIVATE  8
#define CEL__MEMBARRIER_REGISTER 16

/* No fault point: who asked for support and got it relies on it. */
static inline int
cel__sys_membarrier(int command)
{
    long n = syscall(SYS_membarrier, command, 0, 0);

    return n == -1 ? -errno : (int)n;
}

/* Whether there are the two below; elsewhere the kernel's timespec may not be
   ours. */
#if defined(SYS_futex) && defined(__LP64__)
#define CEL__HAVE_FUTEX 1
#else
#define CEL__HAVE_FUTEX 0
#endif

/* Sleep as long as `*word` is `value`, for at most `ns` nanoseconds (negative:
   for ever).  Returns 0, maybe for nothing, -EAGAIN (it is not), -ETIMEDOUT or
   -EINTR.  No fault point: it serves nobody but who wakes for nothing. */
static inline int
cel__sys_futex_wait(const void *word, unsigned value, int64_t ns)
{
#if CEL__HAVE_FUTEX
    struct timespec left = {ns / 1000000000, ns % 1000000000};
    long n = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value,
                     ns < 0 ? NULL : &left, NULL, 0);

    return n == -1 ? -errno : 0;
#else
    (void)word;
    (void)value;
    (void)ns;
    return -ENOSYS;
#endif
}

/* Wake one who sleeps so. */
static inline void
cel__sys_futex_wake(const void *word)
{
#if CEL__HAVE_FUTEX
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
#else
    (void)word;
#endif
}

/* The calling thread's number, as the system says. */
static inline pid_t
cel__sys_thread_id(void)
{
    return (pid_t)syscall(SYS_gettid);
}

/* Send `signal` to the thread of that number of this process. */
static inline int
cel__sys_thread_kill(pid_t thread, int signal)
{
    long n = syscall(SYS_tgkill, getpid(), thread, signal);

    return n == -1 ? -errno : 0;
}

/* Start a thread that calls `fn(arg)`.  Returns 0 or a negative errno. */
static inline int
cel__sys_thread(pthread_t *thread, const pthread_attr_t *attr,
                void *(*fn)(void *arg), void *arg)
{
    int err = cel__fault("pthread_create");

    return -(err != 0 ? err : pthread_create(thread, attr, fn, arg));
}

/* How many processors this thread may run on, at least 1. */
static inline int
cel__sys_processors(void)
{
    /* Larger than cpu_set_t, which has room for 1024: the kernel refuses what
       is smaller than its own. */
    cpu_set_t sets[4];
    int n = 0;

    if (sched_getaffinity(0, sizeof(sets), sets) == 0) {
        n = CPU_COUNT_S(sizeof(sets), sets);
    }
    return n < 1 ? 1 : n;
}

/* To a processor that spins: there is no hurry. */
static inline void
cel__sys_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Add to what this thread alone writes and others read, without a locked
   instruction: on x86-64 by one, where compilers make three.  Relaxed. */
static inline void
cel__sys_add(_Atomic uint64_t *count, int64_t n)
{
#if defined(__x86_64__) && !CEL__TSAN
    __asm__("addq %1, %0" : "+m"(*count) : "er"(n) : "cc");
#else
    uint64_t sum = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, sum + (uint64_t)n, memory_order_relaxed);
#endif
}

/* Whether this process surely has no other thread; false where unknown. */
static inline bool
cel__sys_single_threaded(void)
{
#if CEL__HAVE_SINGLE_THREADED
    return __libc_single_threaded != 0;
#else
    return false;
#endif
}

#endif
