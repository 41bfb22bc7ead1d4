/* SPDX-License-Identifier: MIT */
/*
 * Talking to a child process: all of its pipes at a time, by one coroutine.
 *
 * Each pipe that is still open has a wait for readiness under way.  Whoever
 * is ready moves what it can without waiting, a portion at a time so that the
 * others get their turn, and waits again.
 *
 * Threads: see celadon/process.h.
 *
 * Tests: unit/test_process_run.c
 */
#include "celadon/process.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "os/pipe.h"
#include "os/process.h"
#include "sched/io.h"
#include "sched/wait.h"

/* Bytes that are read before another pipe has its turn, and the least there is
   room for: what a pipe holds. */
#define PORTION ((size_t)65536)

/* One pipe of three, and what was read from it. */
struct stream {
    struct cel__op wait; /* for readiness; IDLE: it is ready, or closed */
    char **bytes;        /* those of output: in the caller's structure */
    size_t *len;
    size_t room; /* that *bytes has */
};

struct talk {
    struct cel_process *process;
    const cel_process_input *input;
    cel_process_output *output;
    struct stream streams[3];
};

static void
wake_talker(struct cel__op *op)
{
    cel__wake(op->waiter);
}

/* Write of the input what fits.  Returns 0 or a negative errno. */
static int
write_some(struct talk *talk)
{
    struct cel__op op = {
        .code = CEL__OP_WRITE,
        .fd = talk->process->pipes[0],
        .data = (const char *)talk->input->data + talk->output->sent,
        .len = talk->input->len - talk->output->sent,
    };

    if (op.len != 0) {
        if (!cel__pipe_try(&cel__worker()->loop, &op)) {
            return 0;
        }
        if (op.result < 0 && op.result != -EPIPE) {
            return (int)op.result;
        }
    }
    if (op.len != 0 && op.result > 0) {
        talk->output->sent += (size_t)op.result;
    }
    /* The rest is not wanted, or there is none. */
    if (talk->output->sent == talk->input->len || op.result < 0) {
        cel_process_close_fd(talk->process, 0);
    }
    return 0;
}

/* Make room for more, and for a byte after that. */
static int
make_room(struct stream *stream, size_t limit)
{
    size_t room = stream->room * 2;

    if (stream->room > *stream->len + 1 || *stream->len >= limit) {
        return 0;
    }
    if (room <= limit && room < PORTION) {
        room = PORTION;
    }
    if (room > limit || room < stream->room) {
        room = limit;
    }
    room += room < SIZE_MAX;
    char *bytes = cel__alloc_resize(*stream->bytes, room);
    if (bytes == NULL) {
        return -ENOMEM;
    }
    *stream->bytes = bytes;
    stream->room = room;
    return 0;
}

/* Read what there is.  Returns 0 or a negative errno. */
static int
read_some(struct talk *talk, int which)
{
    struct stream *stream = &talk->streams[which];
    size_t limit = talk->input->limit;
    size_t sum = 0;

    while (sum < PORTION) {
        int err = make_room(stream, limit);
        if (err < 0) {
            return err;
        }
        /* At the limit one byte more tells whether it has ended. */
        size_t len = *stream->len;
        struct cel__op op = {
            .code = CEL__OP_READ,
            .fd = talk->process->pipes[which],
            .buf = *stream->bytes + len,
            .len = len < limit ? stream->room - len - 1 : 1,
        };
        if (!cel__loop_try(&cel__worker()->loop, &op)) {
            break;
        }
        if (op.result <= 0) {
            cel_process_close_fd(talk->process, which);
            return (int)op.result;
        }
        if (len == limit) {
            return -EMSGSIZE;
        }
        *stream->len += (size_t)op.result;
        sum += (size_t)op.result;
    }
    return 0;
}

/* Let the pipe `which`, which is ready, move what it can, and wait again.
   Returns 0 (it waits, or is closed), 1 (it is ready still), or a negative
   errno. */
static int
serve(struct talk *talk, struct cel__worker *worker, int which)
{
    struct cel__op *wait = &talk->streams[which].wait;

    int err = which == 0 ? write_some(talk) : read_some(talk, which);
    if (err < 0 || talk->process->pipes[which] < 0) {
        return err;
    }
    wait->fd = talk->process->pipes[which];
    return cel__loop_submit(&worker->loop, wait);
}

/* Give each its turn; none suspends, so who becomes ready meanwhile is seen
   by the park that follows.  Returns whether any is ready still, or a negative
   errno; `*left` tells whether any is open. */
static int
serve_all(struct talk *talk, struct cel__worker *worker, bool *left)
{
    int again = 0;

    *left = false;
    for (int i = 0; i < 3; i++) {
        if (talk->process->pipes[i] >= 0 &&
            talk->streams[i].wait.state == CEL__OP_IDLE) {
            int n = serve(talk, worker, i);
            if (n < 0) {
                return n;
            }
            again |= n;
        }
        *left |= talk->process->pipes[i] >= 0;
    }
    return again;
}

/* Some pipe is ready still, so there is nothing to wait for; others run, and
   a deadline counts all the same.  Returns as cel__park(). */
static int
go_on(struct cel__worker *worker, cel_time deadline)
{
    const struct cel__coro *self = worker->current;

    (void)cel__yield(worker);
    cel_time now = cel_now();
    if (!self->cancelled && now < deadline && now < self->bound) {
        return 0;
    }
    worker->now = now;
    return cel__park(worker, deadline, "process_communicate");
}

/* Move everything there and back.  Returns 0 or a negative errno. */
static int
move(struct talk *talk, struct cel__worker *worker, cel_time deadline)
{
    bool left;
    int n;

    while ((n = serve_all(talk, worker, &left)) >= 0 && left) {
        n = n > 0 ? go_on(worker, deadline)
                  : cel__park(worker, deadline, "process_communicate");
        if (n < 0) {
            break;
        }
    }
    for (int i = 0; i < 3; i++) {
        cel__loop_cancel(&worker->loop, &talk->streams[i].wait, -ECANCELED);
        while (talk->streams[i].wait.state != CEL__OP_IDLE) {
            cel__park_firmly(worker, "cancel");
        }
    }
    return n < 0 ? n : 0;
}

/* Prepare the three.  Returns 0 or -ENOMEM. */
static int
begin(struct talk *talk, struct cel__worker *worker)
{
    cel_process_output *output = talk->output;

    for (int i = 0; i < 3; i++) {
        struct stream *stream = &talk->streams[i];
        stream->wait.code = CEL__OP_POLL;
        stream->wait.events = i == 0 ? CEL__WRITABLE : CEL__READABLE;
        stream->wait.done = wake_talker;
        stream->wait.waiter = worker->current;
        stream->bytes = i == 1 ? &output->out : &output->err;
        stream->len = i == 1 ? &output->out_len : &output->err_len;
        if (i == 0 || talk->process->pipes[i] < 0) {
            continue;
        }
        *stream->bytes = cel__alloc(1);
        if (*stream->bytes == NULL) {
            return -ENOMEM;
        }
        stream->room = 1;
    }
    return 0;
}

int
cel_process_communicate(cel_process *process, const cel_process_input *input,
                        cel_process_output *output, cel_time deadline)
{
    struct cel__worker *worker = cel__worker();
    struct talk talk = {.process = process, .input = input, .output = output};

    memset(output, 0, sizeof(*output));
    if (worker == NULL) {
        return -EPERM;
    }
    int err = begin(&talk, worker);
    if (err == 0) {
        err = move(&talk, worker, deadline);
    }
    if (output->out != NULL) {
        output->out[output->out_len] = '\0';
    }
    if (output->err != NULL) {
        output->err[output->err_len] = '\0';
    }
    return err < 0 ? err
                   : cel_process_wait(process, &output->status, deadline);
}

int
cel_process_run(const char *const argv[], const cel_process_options *options,
                const cel_process_input *input, cel_process_output *output,
                cel_time deadline)
{
    cel_process_options all_pipes;
    cel_process *process;

    memset(output, 0, sizeof(*output));
    if (options == NULL) {
        cel_process_options_init(&all_pipes);
        for (int i = 0; i < 3; i++) {
            all_pipes.stdio[i] = CEL_STDIO_PIPE;
        }
        options = &all_pipes;
    }
    int err = cel_process_spawn(&process, argv, options);
    if (err < 0) {
        return err;
    }
    err = cel_process_communicate(process, input, output, deadline);
    if (err < 0 && cel_process_kill_group(process, SIGKILL) < 0) {
        (void)cel_process_kill(process, SIGKILL);
    }
    cel_process_close(process);
    return err;
}
