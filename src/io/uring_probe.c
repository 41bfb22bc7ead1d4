/* SPDX-License-Identifier: MIT */
/*
 * Whether io_uring can be asked for, and why it was refused.
 *
 * Most filters fail the call, but some (systemd's SystemCallFilter=, Android)
 * end the process.  So a process under a filter lets a child ask first, which
 * shares its memory and costs little.  It sends no SIGCHLD and runs no fork
 * handlers: nobody hears of it.
 *
 * Threads: any; at worst two ask at once.
 *
 * Tests: unit/test_uring.c
 */
#include "io/uring_probe.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "io/uring_abi.h"

/* For two system calls and their signal frames. */
#define STACK_SIZE 16384

enum verdict {
    UNKNOWN,
    SURVIVED,
    KILLED
};

static int
ask(void *arg)
{
    (void)arg;
    /* With no parameters it fails wherever it is allowed. */
    (void)syscall(SYS_io_uring_setup, 1, NULL);
    _exit(0);
}

/* Whether this process is under a seccomp filter. */
static bool
filtered(void)
{
    /* 2: SECCOMP_MODE_FILTER */
    return prctl(PR_GET_SECCOMP, 0UL, 0UL, 0UL, 0UL) == 2;
}

/* Let a child ask.  Returns whether it survived; where there can be no child
   nothing is known, and it is taken for killed. */
static bool
survives(void)
{
    int status = -1;
    char *stack = cel__alloc_aligned(64, STACK_SIZE);

    if (stack == NULL) {
        return false;
    }
    pid_t child = clone(ask, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK, NULL);
    if (child > 0) {
        while (waitpid(child, &status, (int)__WCLONE) == -1 &&
               errno == EINTR) {}
    }
    free(stack);
    return child > 0 && WIFEXITED(status);
}

bool
cel__uring_probe(void)
{
    static atomic_int verdict;
    /* Relaxed: the answer is the same for all who ask. */
    int known = atomic_load_explicit(&verdict, memory_order_relaxed);

    if (known == UNKNOWN) {
        known = !filtered() || survives() ? SURVIVED : KILLED;
        atomic_store_explicit(&verdict, known, memory_order_relaxed);
    }
    return known == SURVIVED;
}

/* The system's setting: 0, 1, 2; none before 6.6. */
static char
setting_of_system(void)
{
    char setting = '-';
    int fd = cel__sys_open("/proc/sys/kernel/io_uring_disabled",
                           O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        (void)cel__sys_read(fd, &setting, 1);
        (void)cel__sys_close(fd);
    }
    return setting;
}

/* What forbade it: that setting, or a filter. */
static const char *
who_forbade(void)
{
    char setting = setting_of_system();

    if (setting == '2') {
        return "forbidden: kernel.io_uring_disabled is 2";
    }
    if (setting == '1') {
        return "forbidden: kernel.io_uring_disabled is 1, and this is no "
               "process of its kernel.io_uring_group";
    }
    return filtered() ? "forbidden by a seccomp filter, as in containers"
                      : "forbidden";
}

int
cel__uring_probe_facts(char *text, size_t size)
{
    const char setting[2] = {setting_of_system(), '\0'};
    bool missing = setting[0] == '-';
    struct rlimit locked = {0};
    char most[32] = "any amount";

    (void)getrlimit(RLIMIT_MEMLOCK, &locked);
    if (locked.rlim_cur != RLIM_INFINITY) {
        (void)snprintf(most, sizeof(most), "%ju KiB",
                       (uintmax_t)locked.rlim_cur / 1024);
    }
    return snprintf(text, size,
                    "Linux 6.1 is the oldest that will do; %s%s; %s seccomp "
                    "filter; %s of memory may be locked",
                    missing ? "no sysctl kernel.io_uring_disabled"
                            : "sysctl kernel.io_uring_disabled is ",
                    missing ? "" : setting, filtered() ? "a" : "no", most);
}

int
cel__uring_probe_explain(int err, const char **reason)
{
    switch (-err) {
    case EPERM:
        *reason = who_forbade();
        break;
    case EACCES:
        *reason = "forbidden by a security module";
        break;
    case ENOSYS:
        *reason = filtered() ? "the kernel does not have it, or a seccomp "
                               "filter says so"
                             : "the kernel does not have it";
        break;
    case EINVAL:
        *reason = "the kernel is older than 6.1";
        break;
    case ENOMEM:
        *reason = "memory is short, or the limit of locked memory";
        break;
    default:
        return err;
    }
    return -ENOSYS;
}
