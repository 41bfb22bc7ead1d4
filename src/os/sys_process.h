/* SPDX-License-Identifier: MIT */
/*
 * The system calls of sys.h that are about other processes.
 *
 * What the C library of some supported systems does not wrap is called by its
 * number, which for these is the same on every architecture.
 *
 * Threads: any.
 */
#ifndef CEL_SYS_PROCESS_H
#define CEL_SYS_PROCESS_H

#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "base/sys_call.h"

#define CEL__NR_PIDFD_SEND_SIGNAL 424
#define CEL__NR_PIDFD_OPEN        434
#define CEL__NR_CLOSE_RANGE       436

#define CEL__CLONE_PIDFD 0x1000 /* CLONE_PIDFD, Linux 5.2 */
#define CEL__P_PIDFD     3      /* P_PIDFD, Linux 5.4 */

/* By number, without a fault point: also in a child that shares our memory,
   where neither dice nor a sanitizer's tables may be touched. */
static inline long
cel__sys_bare(long number, long a, long b, long c, long d)
{
    long n = syscall(number, a, b, c, d);

    return n == -1 ? -errno : n;
}

/* The child runs `fn` on the stack that ends at `top`, with our memory, and
   we go on when it has called exec or ended.  Returns its number. */
static inline int
cel__sys_vfork(int (*fn)(void *arg), void *top, void *arg, int *pidfd)
{
    const int flags = CLONE_VM | CLONE_VFORK | CEL__CLONE_PIDFD | SIGCHLD;
    int pid;

    CEL__SYS(pid, CEL__CLONE, (fn, top, flags, arg, pidfd));
    return pid;
}

static inline int
cel__sys_pidfd_open(pid_t pid)
{
    int err = -cel__fault("pidfd_open");

    return err != 0 ? err
                    : (int)cel__sys_bare(CEL__NR_PIDFD_OPEN, pid, 0, 0, 0);
}

/* These three have no error but those that tell of the process: so no point
   for faults. */

/* Returns 0, and then info->si_pid is 0 where WNOHANG found nobody. */
static inline int
cel__sys_waitid(int type, int id, siginfo_t *info, int options)
{
    int err;

    info->si_pid = 0;
    do {
        err = waitid((idtype_t)type, (id_t)id, info, options) == 0 ? 0
                                                                   : -errno;
    } while (err == -EINTR);
    return err;
}

static inline int
cel__sys_pidfd_send_signal(int pidfd, int signal)
{
    return (int)cel__sys_bare(CEL__NR_PIDFD_SEND_SIGNAL, pidfd, signal, 0, 0);
}

static inline int
cel__sys_kill(pid_t pid, int signal)
{
    return kill(pid, signal) == 0 ? 0 : -errno;
}

#endif
