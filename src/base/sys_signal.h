/* SPDX-License-Identifier: MIT */
/*
 * What of sys.h is called in a signal's handler, or instead of one.
 *
 * Threads: any.
 */
#ifndef CEL_SYS_SIGNAL_H
#define CEL_SYS_SIGNAL_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

/*
 * Call fn(arg), which writes, without SIGPIPE: it is not raised, or, where it
 * was blocked and pending already, stays so.  Of the calling thread, which is
 * where the kernel sends it.
 */
static inline ssize_t
cel__sys_quietly(ssize_t (*fn)(void *arg), void *arg)
{
    static const struct timespec at_once;
    sigset_t pipe_only;
    sigset_t before;
    sigset_t pending;

    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigemptyset(&pending);
    (void)sigpending(&pending);
    if (sigismember(&pending, SIGPIPE)) {
        return fn(arg);
    }
    (void)pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    ssize_t n = fn(arg);
    if (n == -EPIPE) {
        while (sigtimedwait(&pipe_only, NULL, &at_once) == -1 &&
               errno == EINTR) {}
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return n;
}

#endif
