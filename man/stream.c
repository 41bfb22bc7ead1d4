/* SPDX-License-Identifier: MIT */
/* The example of celadon_stream(3): a question and an answer, in lines. */
#include <celadon.h>

#include <stdio.h>

static void
answer(void *arg)
{
    cel_stream *stream;
    char name[64];

    if (cel_stream_open(&stream, *(int *)arg) < 0) {
        cel_close(*(int *)arg);
        return;
    }
    if (cel_stream_read_line(stream, name, sizeof(name), CEL_FOREVER) > 0 &&
        cel_stream_printf(stream, CEL_FOREVER, "Hello, %s!\n", name) < 0) {
        printf("%s has left\n", name);
    }
    cel_stream_close(stream, CEL_FOREVER); /* sends what was written */
}

static int
ask(void *arg)
{
    cel_stream *stream;
    char line[64];
    int fds[2];

    (void)arg;
    int err = cel_socketpair(fds);
    if (err == 0) {
        err = cel_go(NULL, answer, &fds[1]);
    }
    if (err == 0) {
        err = cel_stream_open(&stream, fds[0]);
    }
    if (err < 0) {
        return err;
    }
    ssize_t n = cel_stream_write(stream, "Ada\n", 4, CEL_FOREVER);
    if (n == 4) {
        err = cel_stream_flush(stream, CEL_FOREVER);
    }
    if (err == 0) {
        n = cel_stream_read_line(stream, line, sizeof(line), CEL_FOREVER);
    }
    if (n > 0) {
        printf("%s\n", line);
    }
    cel_stream_close(stream, CEL_FOREVER);
    return n > 0 ? 0 : -1;
}

int
main(void)
{
    return cel_run(ask, NULL, NULL) < 0;
}
