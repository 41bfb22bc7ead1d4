/* SPDX-License-Identifier: MIT */
/*
 * Talking to child processes: all at a time, limits, giving up.
 */
#include "celadon/process.h"

#include <errno.h>
#include <stdint.h>

#include "children.h"

static int
conversation(void *arg)
{
    const char *argv[] = {"cat", NULL};
    cel_process_output output;
    char *bytes = malloc(LIMIT);

    (void)arg;
    CHECK(bytes != NULL);
    for (int i = 0; i < LIMIT; i++) {
        bytes[i] = (char)(i * 7 + i / 251);
    }
    cel_process_input input = {bytes, LIMIT, LIMIT};
    CHECK_EQ(cel_process_run(argv, NULL, &input, &output, CEL_FOREVER), 0);
    CHECK_EQ(output.status, 0);
    CHECK_EQ(output.sent, LIMIT);
    CHECK_EQ(output.out_len, LIMIT);
    CHECK_EQ(memcmp(output.out, bytes, LIMIT), 0);
    CHECK_EQ(output.out[LIMIT], 0);
    CHECK_EQ(output.err_len, 0);
    CHECK_STR(output.err, "");
    free(output.out);
    free(output.err);
    input.limit--;
    CHECK_EQ(cel_process_run(argv, NULL, &input, &output, CEL_FOREVER),
             -EMSGSIZE);
    CHECK_EQ(output.out_len, LIMIT - 1);
    CHECK_EQ(memcmp(output.out, bytes, LIMIT - 1), 0);
    free(output.out);
    free(output.err);
    free(bytes);
    return 0;
}

TEST(all_that_is_said_comes_back)
{
    run(conversation);
}

static int
deaf(void *arg)
{
    const char *argv[] = {"true", NULL};
    cel_process_output output;
    char *bytes = calloc(1, LIMIT);
    const cel_process_input input = {bytes, LIMIT, 0};

    (void)arg;
    CHECK(bytes != NULL);
    signal(SIGPIPE, SIG_DFL);
    CHECK_EQ(cel_process_run(argv, NULL, &input, &output, CEL_FOREVER), 0);
    CHECK_LT(output.sent, LIMIT);
    CHECK_EQ(output.status, 0);
    CHECK_STR(output.out, "");
    free(output.out);
    free(output.err);
    free(bytes);
    return 0;
}

TEST(one_that_does_not_listen_is_no_error)
{
    run(deaf);
}

static int
endless(void *arg)
{
    const char *argv[] = {"/bin/sh", "-c", "echo said; exec sleep 1000", NULL};
    const cel_process_input input = {.limit = 100};
    cel_process_options options = piped();
    cel_process_output output;

    (void)arg;
    cel_process *process = spawn(argv, &options);
    /* However long it takes to say it. */
    int err = -ETIMEDOUT;
    for (int i = 0; i < 1000 && err == -ETIMEDOUT; i++) {
        err = cel_process_communicate(process, &input, &output,
                                      cel_after(20 * CEL_MSEC));
        bool said = output.out_len != 0;
        if (said) {
            CHECK_STR(output.out, "said\n");
        }
        free(output.out);
        free(output.err);
        if (said) {
            break;
        }
    }
    CHECK_EQ(err, -ETIMEDOUT);
    CHECK_EQ(cel_process_kill(process, SIGKILL), 0);
    CHECK_EQ(cel_process_communicate(process, &input, &output, CEL_FOREVER),
             0);
    CHECK_EQ(WTERMSIG(output.status), SIGKILL);
    free(output.out);
    free(output.err);
    cel_process_close(process);
    /* One that never stops writing does not outlast a deadline either. */
    const cel_process_input much = {.limit = SIZE_MAX};
    const char *yes[] = {"yes", NULL};
    CHECK_EQ(
        cel_process_run(yes, NULL, &much, &output, cel_after(5 * CEL_MSEC)),
        -ETIMEDOUT);
    free(output.out);
    free(output.err);
    return 0;
}

TEST(what_was_said_before_a_deadline_is_kept)
{
    run(endless);
}

static void
cancelled_talker(void *arg)
{
    const cel_process_input input = {.limit = 100};
    cel_process_output output;

    CHECK_EQ(cel_process_communicate(arg, &input, &output, CEL_FOREVER),
             -ECANCELED);
    free(output.out);
    free(output.err);
}

static int
cancelling(void *arg)
{
    cel_process_options options = piped();

    (void)arg;
    cel_process *process = shell("exec sleep 1000", &options);
    cel_coro *coro = go(cancelled_talker, process);
    settle();
    cel_cancel(coro);
    join(coro);
    CHECK_EQ(cel_process_kill(process, SIGKILL), 0);
    CHECK_EQ(WTERMSIG(status_of(process)), SIGKILL);
    cel_process_close(process);
    return 0;
}

TEST(who_talks_may_be_cancelled)
{
    run(cancelling);
}

TEST(outside_a_run_nothing_is_run)
{
    const char *argv[] = {"true", NULL};
    const cel_process_input input = {.limit = 0};
    cel_process_output output;

    CHECK_EQ(cel_process_run(argv, NULL, &input, &output, CEL_FOREVER),
             -EPERM);
    CHECK(output.out == NULL && output.err == NULL);
}
