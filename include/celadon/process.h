/* SPDX-License-Identifier: MIT */
/*
 * Child processes: starting, waiting, talking to them.
 *
 * A process is started without copying the program, which keeps the thread
 * for some tenths of a millisecond; then it is a handle, and waiting for its
 * end suspends the coroutine.  It is waited for and signalled by a descriptor
 * of its own and not by its number, which may become another's: no handler of
 * SIGCHLD is set, and wait(2) of other code is not disturbed.
 *
 * It begins with every signal at its default and none blocked, and with the
 * descriptors it is given and no other.
 *
 * What takes a process's status away from here, and so gives -ECHILD: a
 * SIGCHLD that is ignored (SIG_IGN, not the default), or code that waits for
 * any child at all.  In the child of a fork the processes are the parent's:
 * every call gives -ECHILD there.
 *
 * This needs Linux 5.4; where it is older, or a sandbox forbids it, starting
 * one returns -ENOSYS.
 *
 * Every call that may suspend returns -EPERM on a thread that runs no
 * coroutines.
 *
 * Threads: any that runs coroutines.  A process is waited for and signalled
 * from any of them; its pipes are the one's that started it, and it is closed
 * there, when nobody uses it any more.
 */
#ifndef CELADON_PROCESS_H
#define CELADON_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

#include "celadon/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A child process. */
typedef struct cel_process cel_process;

/** What a process has as standard input, output and error: a descriptor, 0 or
    above, which stays the caller's; or one of these.  What cel_pipe() made is
    non-blocking for it too, and few programs expect that: between two
    processes stands a pipe of pipe(2). */
#define CEL_STDIO_INHERIT (-1) /**< the one that we have, if it is open */
#define CEL_STDIO_NULL    (-2) /**< nothing: /dev/null */
#define CEL_STDIO_PIPE    (-3) /**< a pipe, see cel_process_fd() */
#define CEL_STDIO_OUTPUT  (-4) /**< errors only: the same as the output */

/** It leads a new process group, and Ctrl-C at the terminal does not reach
    it; see cel_process_kill_group(). */
#define CEL_PROCESS_GROUP 1
/** It leads a new session, and so a group, without a terminal. */
#define CEL_PROCESS_SESSION 2

/** How a process is started; see cel_process_options_init(). */
typedef struct cel_process_options {
    size_t size;            /**< of this structure, for growth */
    const char *const *env; /**< "NAME=value", …, NULL; or NULL: ours */
    const char *cwd;        /**< the folder it begins in; NULL: ours */
    int stdio[3];           /**< input, output, error: see above */
    unsigned flags;         /**< CEL_PROCESS_GROUP, CEL_PROCESS_SESSION */
    const int *keep;        /**< more descriptors that it is to have, by the
                                 numbers they have here, all above 2 */
    size_t nkeep;           /**< how many */
} cel_process_options;

/** Fill `options` with the defaults: all NULL, 0 and CEL_STDIO_INHERIT.
    Does not suspend. */
CEL_API void cel_process_options_init(cel_process_options *options);

/**
 * Start the program argv[0] with the arguments `argv`, which NULL ends.
 * Where there is no "/" in its name it is looked for in the PATH of the
 * environment it will have.  `options` may be NULL.  Nothing of the arguments
 * is needed after the call.
 *
 * Does not suspend, but keeps the thread until the program has begun.
 * Returns 0, and the process in `*out`, for cel_process_close(); or, and then
 * there is none and `*out` is as it was, a negative errno:
 *   -EPERM       the thread runs no coroutines
 *   -EINVAL      no argv[0], unknown options, CEL_STDIO_OUTPUT but for errors,
 *                a descriptor below 3 in `keep`
 *   -ENOENT      no such program, or no such folder `cwd`
 *   -EACCES      it is there, but may not be run
 *   -ENOEXEC     it is no program (a script without "#!")
 *   -EBADF       a descriptor that was given is not open
 *   -ENOSYS      the system is too old
 *   -EMFILE, -ENFILE, -ENOMEM, -EAGAIN   the system is short of something
 *   others       as fork(2), chdir(2) and execve(2)
 */
CEL_API CEL_NODISCARD int cel_process_spawn(
    cel_process **out, const char *const argv[],
    const cel_process_options *options);

/** The number of `process`.  Once somebody has waited for its end it may be
    another's.  Does not suspend. */
CEL_API pid_t cel_process_pid(const cel_process *process);

/**
 * Our end of a pipe: 0, what it reads; 1 and 2, what it writes.  It is owned
 * and non-blocking, for cel_read() and cel_pipe_write(), and stays the
 * process's, until cel_process_close_fd() closes it or cel_process_take_fd()
 * takes it.
 *
 * Does not suspend.  Returns it, or -EBADF where there is no pipe or it is
 * closed.
 */
CEL_API int cel_process_fd(const cel_process *process, int which);

/**
 * Take our end of a pipe: it is the caller's from now on, for
 * cel_stream_open() or cel_close(), and the process has none any more.
 * Does not suspend.  Returns as cel_process_fd().
 */
CEL_API CEL_NODISCARD int cel_process_take_fd(cel_process *process, int which);

/**
 * Close our end of a pipe: to a process that reads its input, the end of it.
 * Does not suspend.  Harmless where there is none.
 */
CEL_API void cel_process_close_fd(cel_process *process, int which);

/**
 * Wait until `process` has ended; it need not be asked for twice, but may be,
 * by any number of coroutines.  Its status is left in `*status` (which may be
 * NULL), as waitpid(2) has it: WIFEXITED(), WTERMSIG(), …
 *
 * Suspends until then or `deadline`; giving up leaves it alive.  Its pipes
 * may still be open: whom it started may have them too.
 *
 * Returns 0 or a negative errno:
 *   -ETIMEDOUT   `deadline` passed first
 *   -ECANCELED   the coroutine was cancelled
 *   -ECHILD      it has ended, but somebody else has its status
 *   -ENOMEM      no memory to wait with
 *   others       as epoll_ctl(2)
 */
CEL_API CEL_NODISCARD int cel_process_wait(cel_process *process, int *status,
                                           cel_time deadline);

/**
 * Send `signal` (SIGTERM, SIGKILL, …; 0: none) to `process`, and to no other
 * in any case.
 *
 * Does not suspend.  Returns 0 (also where it has ended and nobody has waited
 * for it yet), -ESRCH (it has ended), -EINVAL (no such signal), -EPERM (it
 * has become another user's), -ECHILD.
 */
CEL_API int cel_process_kill(cel_process *process, int signal);

/**
 * The same to all of its group: to whomever it started too.  Only while
 * nobody has waited for its end.
 *
 * Does not suspend.  Returns as cel_process_kill(); -EINVAL also where it was
 * started with neither CEL_PROCESS_GROUP nor CEL_PROCESS_SESSION.
 */
CEL_API int cel_process_kill_group(cel_process *process, int signal);

/**
 * Let go of `process` and close our ends of its pipes.  It may still run, and
 * goes on; when it ends it leaves no zombie, as long as this thread runs
 * coroutines; after that, the next process that is started or closed sees to
 * it.  Does not suspend.  NULL is allowed.
 */
CEL_API void cel_process_close(cel_process *process);

/** What a process is told, and how much it may answer. */
typedef struct cel_process_input {
    const void *data; /**< what it reads; may be NULL where `len` is 0 */
    size_t len;       /**< bytes of it */
    size_t limit;     /**< bytes of output, and of errors, at most */
} cel_process_input;

/** What came of cel_process_communicate(). */
typedef struct cel_process_output {
    char *out;      /**< what it wrote; NULL: there is no pipe.  A zero byte
                         follows.  For free(3), as `err`. */
    size_t out_len; /**< bytes of it */
    char *err;      /**< what it wrote as errors; likewise */
    size_t err_len; /**< bytes of it */
    size_t sent;    /**< bytes of the input that it was given */
    int status;     /**< as cel_process_wait() */
} cel_process_output;

/**
 * Write `input` to `process`, collect what it writes, and wait for its end:
 * all at a time, so that neither waits for the other.  Only pipes are written
 * to and read, and they are closed at their end.  One that does not read its
 * input to the end is no error.
 *
 * Suspends until both its output and itself have ended, or `deadline`.
 * Returns 0; or, and then it still stands, perhaps alive, a negative errno:
 *   -EMSGSIZE    it wrote more than input->limit bytes, as output or errors
 *   others       as read(2), write(2) and cel_process_wait()
 * `*output` is filled in either way: after an error, with what came so far,
 * which is no more than the limit.
 */
CEL_API CEL_NODISCARD int cel_process_communicate(
    cel_process *process, const cel_process_input *input,
    cel_process_output *output, cel_time deadline);

/**
 * Start a program as cel_process_spawn() does, talk to it as
 * cel_process_communicate() does, and let go of it; where that fails it is
 * killed, with its group if it leads one.  With `options` NULL all three
 * standard streams are pipes.
 *
 * Suspends.  Returns 0, or as cel_process_spawn() and
 * cel_process_communicate(); `*output` is filled in either way.
 */
CEL_API CEL_NODISCARD int cel_process_run(const char *const argv[],
                                          const cel_process_options *options,
                                          const cel_process_input *input,
                                          cel_process_output *output,
                                          cel_time deadline);

#ifdef __cplusplus
}
#endif

#endif
