/* SPDX-License-Identifier: MIT */
/* Faults while other processes start, talk and end. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults.h"

/* More than a pipe holds, so that who writes must wait. */
#define MUCH ((size_t)100000)

static const char *const cat[] = {"/bin/cat", NULL};
static char text[MUCH];

/* Wait for its end; the fault may hit one attempt, but not the next. */
static int
await(cel_process *process)
{
    int status = -1;
    int err = CALL(cel_process_wait, process, &status, soon());

    if (err < 0) {
        err = CALL(cel_process_wait, process, &status, soon());
    }
    MUST(err == 0);
    return status;
}

/* End it by a signal, likewise. */
static void
end(cel_process *process, int (*kill)(cel_process *process, int signal))
{
    MUST(kill(process, SIGKILL) == 0 || kill(process, SIGKILL) == 0);
}

/* Its input and output are pipes: it says what it is told.  Returns what it
   says it to, which is closed when it has ended, or it would die of that. */
static int
echo(cel_process *process)
{
    char bytes[8];
    int in = CALL(cel_process_fd, process, 0);
    int out = CALL(cel_process_take_fd, process, 1);

    MUST(CALL(cel_process_fd, process, 2) == -EBADF);
    if (CALL(cel_pipe_write, in, "hello", 5, soon()) == 5 &&
        CALL(cel_read, out, bytes, sizeof(bytes), soon()) == 5) {
        MUST(memcmp(bytes, "hello", 5) == 0);
    }
    DO(cel_process_close_fd, process, 0);
    return out;
}

SCENARIO(process)
{
    static const char *const env[] = {"PATH=/bin", NULL};
    cel_process_options options;
    cel_process *process = NULL;
    int keep[] = {dup(0)};

    MUST(keep[0] >= 0);
    DO(cel_process_options_init, &options);
    options.stdio[0] = CEL_STDIO_PIPE;
    options.stdio[1] = CEL_STDIO_PIPE;
    options.stdio[2] = CEL_STDIO_NULL;
    options.env = env;
    options.cwd = "/";
    options.keep = keep;
    options.nkeep = 1;
    if (CALL(cel_process_spawn, &process, cat, &options) == 0) {
        MUST(CALL(cel_process_pid, process) > 0);
        int out = echo(process);
        MUST(await(process) == 0);
        (void)CALL(cel_close, out);
        MUST(CALL(cel_process_kill, process, 0) == -ESRCH);
        DO(cel_process_close, process);
    }
    else {
        MUST(process == NULL);
    }
    MUST(close(keep[0]) == 0);
}

SCENARIO(process_group)
{
    static const char *const sleeper[] = {"sleep", "1000", NULL};
    cel_process_options options;
    cel_process *process;

    cel_process_options_init(&options);
    options.stdio[0] = CEL_STDIO_NULL;
    options.stdio[2] = CEL_STDIO_OUTPUT;
    options.flags = CEL_PROCESS_GROUP;
    if (CALL(cel_process_spawn, &process, sleeper, &options) < 0) {
        return;
    }
    (void)CALL(cel_process_wait, process, NULL, cel_after(1000));
    (void)CALL(cel_process_kill, process, 0);
    (void)CALL(cel_process_kill_group, process, 0);
    end(process, cel_process_kill_group);
    int status = await(process);
    MUST(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    DO(cel_process_close, process);
}

/* Those that were closed before their end: when they have ended the loop reaps
   them, or who starts the next one does. */
static void
reap(void)
{
    cel_process_options options;
    cel_process *process;
    siginfo_t info;

    (void)waitid(P_ALL, 0, &info, WEXITED | WNOWAIT);
    for (int i = 0; i < 2; i++) { /* one look may fail, but not two */
        (void)CALL(cel_sleep, cel_after(1000));
    }
    cel_process_options_init(&options);
    options.stdio[0] = CEL_STDIO_NULL;
    if (CALL(cel_process_spawn, &process, cat, &options) == 0) {
        (void)await(process);
        DO(cel_process_close, process);
    }
    MUST(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

SCENARIO(process_left)
{
    cel_process_options options;
    cel_process *process;

    cel_process_options_init(&options);
    options.stdio[0] = CEL_STDIO_PIPE;
    if (CALL(cel_process_spawn, &process, cat, &options) == 0) {
        DO(cel_process_close, process);
        (void)CALL(cel_sleep, cel_after(1000));
    }
    reap();
}

static void
forget(cel_process_output *output)
{
    free(output->out);
    free(output->err);
}

SCENARIO(process_run)
{
    cel_process_input input = {text, sizeof(text), 2 * MUCH};
    cel_process_output output;

    if (CALL(cel_process_run, cat, NULL, &input, &output, soon()) == 0) {
        MUST(output.out_len == MUCH && output.err_len == 0);
        MUST(output.sent == MUCH && output.status == 0);
    }
    forget(&output);
    reap();
}

SCENARIO(communicate)
{
    cel_process_input input = {text, 5, 4};
    cel_process_output output;
    cel_process_options options;
    cel_process *process;

    cel_process_options_init(&options);
    options.stdio[0] = CEL_STDIO_PIPE;
    options.stdio[1] = CEL_STDIO_PIPE;
    if (CALL(cel_process_spawn, &process, cat, &options) < 0) {
        return;
    }
    int err = CALL(cel_process_communicate, process, &input, &output, soon());
    MUST(err < 0 && output.out_len <= 4);
    forget(&output);
    end(process, cel_process_kill);
    (void)await(process);
    DO(cel_process_close, process);
}
