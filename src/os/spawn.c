/* SPDX-License-Identifier: MIT */
/*
 * A child process from its birth to its exec.
 *
 * The child shares our memory, and this thread stands still, until it has
 * called exec or ended: nothing is copied, however large we are, and an error
 * on its way is simply left in memory.  So what runs in it makes system calls
 * and nothing else, by their numbers: a wrapper's dice, or a sanitizer's
 * tables, would be ours.
 *
 * Its signals: all are blocked before it is born, for our handlers would run
 * there with our memory; it sets each to its default, and only then unblocks
 * them.
 *
 * Threads: see spawn.h.
 *
 * Tests: unit/test_process.c
 */
#include "os/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sanitize.h"
#include "base/sys.h"
#include "celadon/process.h"
#include "os/sys_process.h"

/* Bytes of the child's stack; the deepest it goes is a system call. */
#define STACK ((size_t)32 * 1024)

/* As many as the kernel has: the last one's number. */
#define LAST_SIGNAL 64

/* What the kernel takes for struct sigaction has this size at most, and all
   zero it is SIG_DFL; of a mask, this many bytes count. */
#define ACTION_SIZE 64
#define MASK_SIZE   8

/* Let close_range(2) only mark them. */
#define MARK_ONLY 4

/* Highest descriptor that is looked at where close_range(2) is unknown. */
#define FEW 65536

CEL__UNCOUNTED static long
bare(long number, long a, long b, long c, long d)
{
    long n = syscall(number, a, b, c, d);

    return n == -1 ? -errno : n;
}

CEL__UNCOUNTED static void
reset_signals(void)
{
    char action[ACTION_SIZE] = "";

    for (int i = 1; i <= LAST_SIGNAL; i++) {
        (void)bare(SYS_rt_sigaction, i, (long)action, 0, MASK_SIZE);
    }
    (void)bare(SYS_rt_sigprocmask, SIG_SETMASK, (long)action, 0, MASK_SIZE);
}

/* Put the three in place: first out of each other's way. */
CEL__UNCOUNTED static long
place_stdio(int stdio[3])
{
    for (int i = 0; i < 3; i++) {
        if (stdio[i] >= 0 && stdio[i] < 3 && stdio[i] != i) {
            long fd = bare(SYS_fcntl, stdio[i], F_DUPFD_CLOEXEC, 3, 0);
            if (fd < 0) {
                return fd;
            }
            stdio[i] = (int)fd;
        }
    }
    for (int i = 0; i < 3; i++) {
        long err = 0;
        if (stdio[i] < 0) {
            (void)bare(SYS_close, i, 0, 0, 0);
        }
        else if (stdio[i] == i) {
            err = bare(SYS_fcntl, i, F_SETFD, 0, 0);
        }
        else {
            err = bare(SYS_dup3, stdio[i], i, 0, 0);
        }
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

/* Let the exec close all from 3 on, but those that are to stay. */
CEL__UNCOUNTED static long
close_others(const struct cel__spawn *spawn)
{
    long err = bare(CEL__NR_CLOSE_RANGE, 3, INT_MAX, MARK_ONLY, 0);

    /* Linux before 5.11. */
    for (int fd = 3; err < 0 && fd < FEW; fd++) {
        (void)bare(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC, 0);
    }
    for (size_t i = 0; i < spawn->nkeep; i++) {
        err = bare(SYS_fcntl, spawn->keep[i], F_SETFD, 0, 0);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

CEL__UNCOUNTED static long
execute(const struct cel__spawn *spawn, const char *file)
{
    return bare(SYS_execve, (long)file, (long)spawn->argv, (long)spawn->env,
                0);
}

/* The search path of the environment it will have. */
CEL__UNCOUNTED static const char *
search_path(const char *const *env)
{
    for (; *env != NULL; env++) {
        const char *name = "PATH=";
        const char *text = *env;
        while (*name != '\0' && *text == *name) {
            name++;
            text++;
        }
        if (*name == '\0') {
            return text;
        }
    }
    return "/bin:/usr/bin";
}

/* Whether a file is looked for in the next folder too. */
CEL__UNCOUNTED static bool
goes_on(long err)
{
    return err == -ENOENT || err == -ENOTDIR || err == -EACCES ||
           err == -ESTALE || err == -ENODEV || err == -ENAMETOOLONG;
}

/* Make spawn->file of the first folder of `path` and `name`.  Returns what
   comes after the folder, or NULL where it does not fit. */
CEL__UNCOUNTED static const char *
join(struct cel__spawn *spawn, const char *path, const char *name, bool *fits)
{
    size_t n = 0;

    for (; *path != '\0' && *path != ':'; path++) {
        if (n < sizeof(spawn->file) - 2) {
            spawn->file[n++] = *path;
        }
    }
    /* An empty one is the current folder. */
    if (n != 0) {
        spawn->file[n++] = '/';
    }
    while (*name != '\0' && n < sizeof(spawn->file) - 1) {
        spawn->file[n++] = *name++;
    }
    spawn->file[n] = '\0';
    *fits = n < sizeof(spawn->file) - 1;
    return path;
}

/* Returns only where it failed. */
CEL__UNCOUNTED static long
search(struct cel__spawn *spawn)
{
    const char *name = spawn->argv[0];
    const char *path = search_path(spawn->env);
    long worst = -ENOENT;

    for (const char *c = name; *c != '\0'; c++) {
        if (*c == '/') {
            return execute(spawn, name);
        }
    }
    if (*name == '\0') {
        return -ENOENT;
    }
    for (;; path++) {
        bool fits;
        path = join(spawn, path, name, &fits);
        long err = fits ? execute(spawn, spawn->file) : -ENAMETOOLONG;
        if (!goes_on(err)) {
            return err;
        }
        if (err == -EACCES) {
            worst = err; /* it is there, and that is worth knowing */
        }
        if (*path == '\0') {
            return worst;
        }
    }
}

/* All that the child does. */
CEL__UNCOUNTED static long
become(struct cel__spawn *spawn)
{
    long err = 0;

    if ((spawn->flags & CEL_PROCESS_SESSION) != 0) {
        err = bare(SYS_setsid, 0, 0, 0, 0);
    }
    else if ((spawn->flags & CEL_PROCESS_GROUP) != 0) {
        err = bare(SYS_setpgid, 0, 0, 0, 0);
    }
    if (err >= 0 && spawn->cwd != NULL) {
        err = bare(SYS_chdir, (long)spawn->cwd, 0, 0, 0);
    }
    if (err >= 0) {
        err = place_stdio(spawn->stdio);
    }
    if (err >= 0) {
        err = close_others(spawn);
    }
    if (err < 0) {
        return err;
    }
    reset_signals();
    return search(spawn);
}

CEL__UNCOUNTED static int
child(void *arg)
{
    struct cel__spawn *spawn = arg;

    spawn->err = (int)become(spawn);
    (void)bare(SYS_exit_group, 127, 0, 0, 0);
    return 127;
}

int
cel__spawn_possible(void)
{
    static atomic_int known; /* 0: nobody asked, 1: it has, -ENOSYS */
    siginfo_t info;

    /* Relaxed: whoever asks finds the same. */
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (answer != 0) {
        return answer > 0 ? 0 : answer;
    }
    int fd = cel__sys_pidfd_open(getpid());
    if (fd < 0) {
        /* Short of descriptors is no answer for good. */
        if (fd != -ENOSYS && fd != -EPERM) {
            return fd;
        }
        answer = -ENOSYS;
    }
    else {
        /* We are no child of ours; older systems do not know the question. */
        int err = cel__sys_waitid(CEL__P_PIDFD, fd, &info, WEXITED | WNOHANG);
        answer = err == -ECHILD ? 1 : -ENOSYS;
        (void)cel__sys_close(fd);
    }
    atomic_store_explicit(&known, answer, memory_order_relaxed);
    return answer > 0 ? 0 : answer;
}

int
cel__spawn(struct cel__spawn *spawn, int *pidfd)
{
    sigset_t all;
    sigset_t before;
    siginfo_t info;

    char *stack = cel__alloc_aligned(16, STACK);
    if (stack == NULL) {
        return -ENOMEM;
    }
    spawn->err = 0;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int pid = cel__sys_vfork(child, stack + STACK, spawn, pidfd);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    free(stack);
    if (pid < 0) {
        /* Emulators do not know these flags together. */
        return pid == -EINVAL ? -ENOSYS : pid;
    }
    if (spawn->err < 0) {
        (void)cel__sys_waitid(P_PID, pid, &info, WEXITED);
        (void)cel__sys_close(*pidfd);
        return spawn->err;
    }
    return pid;
}
