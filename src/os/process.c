/* SPDX-License-Identifier: MIT */
/*
 * Child processes: starting, waiting, signalling, letting go.
 *
 * A process is a descriptor that becomes readable at its end, which the loop
 * waits for as for any other; then whoever comes first fetches the status.
 *
 * Closed before its end, its block stays for one more wait, which nobody
 * counts on: it reaps it from the loop.  What is left when the loop closes is
 * put in a list of the whole process, which the next call here goes through.
 *
 * Threads: see celadon/process.h.
 *
 * Tests: unit/test_process.c
 */
#include "os/process.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/fork.h"
#include "base/sized.h"
#include "base/sys.h"
#include "celadon/net.h"
#include "os/spawn.h"
#include "os/sys_process.h"
#include "sched/io.h"

/* Our ends of pipes, and the child's, while it is made. */
struct pipes {
    int ours[3];   /* -1: none */
    int theirs[3]; /* what becomes its 0, 1, 2; -1: closed */
    bool made[3];  /* theirs[] is to be closed here */
};

/* Closed ones whose loop is gone. */
static struct cel_process *_Atomic left_over;

/* Fetch the status of `self` if it has ended.  Returns 1 (it has), 0, or
   -ECHILD.  Its lock is held. */
static int
look_locked(struct cel_process *self)
{
    siginfo_t info;

    if (self->ended) {
        return 1;
    }
    int err = cel__sys_waitid(CEL__P_PIDFD, self->pidfd, &info,
                              WEXITED | WNOHANG);
    if (err < 0 || info.si_pid == 0) {
        return err;
    }
    self->status = info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8
                                              : info.si_status;
    if (info.si_code == CLD_DUMPED) {
        self->status |= 0x80;
    }
    self->ended = true;
    return 1;
}

static int
look(struct cel_process *self)
{
    /* In the child of a fork the lock may be held by a thread of the parent,
       and none of the answers is ours. */
    if (self->forks != cel__fork_count()) {
        return -ECHILD;
    }
    pthread_mutex_lock(&self->lock);
    int n = look_locked(self);
    pthread_mutex_unlock(&self->lock);
    return n;
}

static void
destroy(struct cel_process *self)
{
    (void)cel__sys_close(self->pidfd);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
}

static void
leave_over(struct cel_process *self)
{
    struct cel_process *first = atomic_load_explicit(&left_over,
                                                     memory_order_relaxed);

    /* Release: pairs with the acquire in reap_left_over(). */
    do {
        self->next = first;
    } while (!atomic_compare_exchange_weak_explicit(
        &left_over, &first, self, memory_order_release, memory_order_relaxed));
}

static void
reap_left_over(void)
{
    /* Acquire: pairs with the release in leave_over(). */
    struct cel_process *self = atomic_exchange_explicit(&left_over, NULL,
                                                        memory_order_acquire);

    while (self != NULL) {
        struct cel_process *next = self->next;
        if (look(self) == 0) {
            leave_over(self);
        }
        else {
            destroy(self);
        }
        self = next;
    }
}

void
cel_process_options_init(cel_process_options *options)
{
    memset(options, 0, sizeof(*options));
    options->size = sizeof(*options);
    for (int i = 0; i < 3; i++) {
        options->stdio[i] = CEL_STDIO_INHERIT;
    }
}

/* Copy what `given` has of the options that are known here. */
static int
read_options(cel_process_options *options, const cel_process_options *given)
{
    cel_process_options_init(options);
    int err = cel__sized_read(options, sizeof(*options), given);
    if (err < 0) {
        return err;
    }
    for (size_t i = 0; i < options->nkeep; i++) {
        if (options->keep[i] < 3) {
            return -EINVAL;
        }
    }
    for (int i = 0; i < 3; i++) {
        if (options->stdio[i] < (i == 2 ? CEL_STDIO_OUTPUT : CEL_STDIO_PIPE)) {
            return -EINVAL;
        }
    }
    const unsigned known = CEL_PROCESS_GROUP | CEL_PROCESS_SESSION;
    return (options->flags & ~known) != 0 ? -EINVAL : 0;
}

/* One of the three, as `how` says. */
static int
make_stdio(struct pipes *pipes, int i, int how)
{
    int ends[2];
    int err;

    switch (how) {
    case CEL_STDIO_INHERIT:
        return 0;
    case CEL_STDIO_OUTPUT:
        pipes->theirs[i] = pipes->theirs[1];
        return 0;
    case CEL_STDIO_NULL:
        pipes->theirs[i] = cel__sys_open("/dev/null", O_RDWR | O_CLOEXEC);
        pipes->made[i] = pipes->theirs[i] >= 0;
        return pipes->made[i] ? 0 : pipes->theirs[i];
    case CEL_STDIO_PIPE:
        err = cel__sys_pipe2(ends, O_CLOEXEC);
        if (err < 0) {
            return err;
        }
        pipes->ours[i] = ends[i == 0 ? 1 : 0];
        pipes->theirs[i] = ends[i == 0 ? 0 : 1];
        pipes->made[i] = true;
        return cel_own(pipes->ours[i]);
    default:
        pipes->theirs[i] = how;
        return 0;
    }
}

static void
close_theirs(const struct pipes *pipes)
{
    for (int i = 0; i < 3; i++) {
        if (pipes->made[i]) {
            (void)cel__sys_close(pipes->theirs[i]);
        }
    }
}

static void
close_ours(const int pipes[3])
{
    for (int i = 0; i < 3; i++) {
        if (pipes[i] >= 0) {
            (void)cel_close(pipes[i]);
        }
    }
}

/* The pipes are made: start it.  Returns 0 or a negative errno. */
static int
start(struct cel_process *self, const char *const argv[],
      const cel_process_options *options, const struct pipes *pipes)
{
    /* Not on our stack: it has room for a path. */
    struct cel__spawn *spawn = cel__alloc_zeroed(1, sizeof(*spawn));

    if (spawn == NULL) {
        return -ENOMEM;
    }
    spawn->argv = argv;
    spawn->env = options->env != NULL ? options->env
                                      : (const char *const *)environ;
    spawn->cwd = options->cwd;
    memcpy(spawn->stdio, pipes->theirs, sizeof(spawn->stdio));
    spawn->keep = options->keep;
    spawn->nkeep = options->nkeep;
    spawn->flags = options->flags;
    self->pid = cel__spawn(spawn, &self->pidfd);
    free(spawn);
    return self->pid < 0 ? self->pid : 0;
}

int
cel_process_spawn(cel_process **out, const char *const argv[],
                  const cel_process_options *given)
{
    struct pipes pipes = {.ours = {-1, -1, -1}};
    cel_process_options options;

    if (cel__worker() == NULL) {
        return -EPERM;
    }
    int err = read_options(&options, given);
    if (err < 0 || argv[0] == NULL) {
        return -EINVAL;
    }
    reap_left_over();
    err = cel__spawn_possible();
    if (err < 0) {
        return err;
    }
    struct cel_process *self = cel__alloc_zeroed(1, sizeof(*self));
    if (self == NULL) {
        return -ENOMEM;
    }
    /* A number that is free may become that of a pipe just now. */
    for (int i = 0; i < 3; i++) {
        pipes.theirs[i] = cel__sys_fcntl(i, F_GETFD, 0) < 0 ? -1 : i;
    }
    for (int i = 0; i < 3 && err == 0; i++) {
        err = make_stdio(&pipes, i, options.stdio[i]);
    }
    if (err == 0) {
        err = start(self, argv, &options, &pipes);
    }
    close_theirs(&pipes);
    if (err < 0) {
        close_ours(pipes.ours);
        free(self);
        return err;
    }
    memcpy(self->pipes, pipes.ours, sizeof(self->pipes));
    self->leads = options.flags != 0;
    self->forks = cel__fork_count();
    (void)pthread_mutex_init(&self->lock, NULL);
    *out = self;
    return 0;
}

pid_t
cel_process_pid(const cel_process *process)
{
    return process->pid;
}

int
cel_process_fd(const cel_process *process, int which)
{
    if (which < 0 || which > 2 || process->pipes[which] < 0) {
        return -EBADF;
    }
    return process->pipes[which];
}

int
cel_process_take_fd(cel_process *process, int which)
{
    int fd = cel_process_fd(process, which);

    if (fd >= 0) {
        process->pipes[which] = -1;
    }
    return fd;
}

void
cel_process_close_fd(cel_process *process, int which)
{
    int fd = cel_process_take_fd(process, which);

    if (fd >= 0) {
        (void)cel_close(fd);
    }
}

int
cel_process_wait(cel_process *process, int *status, cel_time deadline)
{
    struct cel__worker *worker = cel__worker();
    int n;

    if (worker == NULL) {
        return -EPERM;
    }
    while ((n = look(process)) == 0) {
        int64_t events = cel__fd_await(worker, process->pidfd, CEL__READABLE,
                                       deadline, "process_wait");
        if (events < 0) {
            return (int)events;
        }
    }
    if (n > 0 && status != NULL) {
        *status = process->status;
    }
    return (int)cel__io_charge(worker, n < 0 ? n : 0);
}

static int
send_signal(struct cel_process *self, int signal, bool group)
{
    int err = -ESRCH;

    if (self->forks != cel__fork_count()) {
        return -ECHILD;
    }
    if (group && !self->leads) {
        return -EINVAL;
    }
    /* Until its status is fetched its number, and so its group's, is not
       given to anybody else; the lock keeps it so. */
    pthread_mutex_lock(&self->lock);
    if (!self->ended) {
        err = group ? cel__sys_kill(-self->pid, signal)
                    : cel__sys_pidfd_send_signal(self->pidfd, signal);
    }
    pthread_mutex_unlock(&self->lock);
    return err;
}

int
cel_process_kill(cel_process *process, int signal)
{
    return send_signal(process, signal, false);
}

int
cel_process_kill_group(cel_process *process, int signal)
{
    return send_signal(process, signal, true);
}

/* In the loop: a closed one has ended, or the loop is being closed. */
static void
ended_unattended(struct cel__op *op)
{
    struct cel_process *self = cel__container(op, struct cel_process, op);
    struct cel__worker *worker = op->waiter;

    worker->nexpected++;
    if (look(self) == 0) {
        leave_over(self);
        return;
    }
    if (op->result >= 0) {
        cel__loop_forget(&worker->loop, self->pidfd, -ECANCELED);
    }
    destroy(self);
}

/* Let the loop reap it.  Returns whether it will. */
static bool
leave_to_loop(struct cel_process *self, struct cel__worker *worker)
{
    self->op.code = CEL__OP_POLL;
    self->op.fd = self->pidfd;
    self->op.events = CEL__READABLE;
    self->op.done = ended_unattended;
    self->op.waiter = worker;
    if (cel__loop_submit(&worker->loop, &self->op) != 0) {
        return false;
    }
    worker->nexpected--; /* nobody waits for it */
    return true;
}

void
cel_process_close(cel_process *process)
{
    struct cel__worker *worker = cel__worker();

    if (process == NULL) {
        return;
    }
    for (int i = 0; i < 3; i++) {
        cel_process_close_fd(process, i);
    }
    if (look(process) != 0) {
        if (worker != NULL) {
            cel__loop_forget(&worker->loop, process->pidfd, -ECANCELED);
        }
        destroy(process);
    }
    else if (worker == NULL || !leave_to_loop(process, worker)) {
        leave_over(process);
    }
    reap_left_over();
}
