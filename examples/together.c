/* SPDX-License-Identifier: MIT */
/*
 * Runs shell commands all at once, and prints what each had to say, in the
 * order they were given: together COMMAND...
 */
#include <celadon.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static int nfailed;

struct job {
    const char *command;
    cel_coro *coro;
    cel_process_output output;
    int err;
};

static void
work(void *arg)
{
    struct job *job = arg;
    const char *argv[] = {"/bin/sh", "-c", job->command, NULL};
    const cel_process_input nothing = {.limit = 1 << 20};

    job->err = cel_process_run(argv, NULL, &nothing, &job->output,
                               cel_after(60 * CEL_SEC));
}

static void
tell(const struct job *job)
{
    printf("$ %s\n%s", job->command, job->output.out ? job->output.out : "");
    if (job->err < 0) {
        printf("together: %s\n", strerror(-job->err));
    }
    else if (job->output.status != 0) {
        printf("%s(status %d)\n", job->output.err,
               WEXITSTATUS(job->output.status));
    }
    nfailed += job->err < 0 || job->output.status != 0;
}

static int
run_all(void *arg)
{
    static struct job jobs[100];
    char **argv = arg;
    int n = 0;

    for (; n < 100 && argv[n + 1] != NULL; n++) {
        jobs[n].command = argv[n + 1];
        if (cel_go(&jobs[n].coro, work, &jobs[n]) < 0) {
            return 1;
        }
    }
    for (int i = 0; i < n; i++) {
        if (cel_join(jobs[i].coro, CEL_FOREVER) < 0) {
            return 1;
        }
        tell(&jobs[i]);
        free(jobs[i].output.out);
        free(jobs[i].output.err);
    }
    return nfailed != 0;
}

int
main(int argc, char **argv)
{
    (void)argc;
    return cel_run(run_all, argv, NULL);
}
