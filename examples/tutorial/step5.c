/* SPDX-License-Identifier: MIT */
/* Step 5 of docs/tutorial.md: deadlines, for clients that are slow. */
#include <celadon.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long a client may be silent, or not read what it is sent. */
static int64_t patience;

/* Sends a line. */
static int
say(cel_stream *stream, const char *text)
{
    cel_time deadline = cel_after(patience);
    ssize_t n = cel_stream_printf(stream, deadline, "%s\n", text);

    return n < 0 ? (int)n : cel_stream_flush(stream, deadline);
}

/* Returns more than 0, 0 where the client has left, or a negative errno. */
static ssize_t
ask_name(cel_stream *stream, char *name, size_t size)
{
    int err = say(stream, "Your name?");

    return err < 0 ? err
                   : cel_stream_read_line(stream, name, size, CEL_FOREVER);
}

static int
talk(cel_stream *stream)
{
    char name[32];
    char text[200];
    char answer[256];
    cel_scope scope;

    cel_scope_enter(&scope, cel_after(patience));
    ssize_t n = ask_name(stream, name, sizeof(name));
    cel_scope_leave(&scope);
    while (n > 0) {
        n = cel_stream_read_line(stream, text, sizeof(text),
                                 cel_after(patience));
        if (n > 0) {
            (void)snprintf(answer, sizeof(answer), "%s: %s", name, text);
            int err = say(stream, answer);
            n = err < 0 ? err : n;
        }
    }
    return (int)n;
}

static void
serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    cel_stream *stream;

    int err = cel_stream_open(&stream, fd);
    if (err < 0) {
        cel_close(fd);
    }
    else {
        err = talk(stream);
        if (err == -ETIMEDOUT) {
            (void)say(stream, "You are silent. Goodbye.");
        }
        cel_stream_close(stream, cel_after(patience));
    }
    fprintf(stderr, "a client has left: %s\n",
            err < 0 ? strerror(-err) : "all is well");
}

static int
chat(void *arg)
{
    const char *where = arg;

    int listener = cel_listen_at(where, 0, CEL_NODELAY, CEL_FOREVER);
    if (listener < 0) {
        return listener;
    }
    fprintf(stderr, "listening on %s\n", where);
    for (;;) {
        int fd = cel_accept(listener, NULL, NULL, CEL_FOREVER);
        if (fd < 0) {
            return fd;
        }
        int err = cel_go(NULL, serve, (void *)(intptr_t)fd);
        if (err < 0) {
            return err;
        }
    }
}

int
main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s ADDRESS:PORT [SECONDS]\n", argv[0]);
        return 2;
    }
    patience = (argc > 2 ? atoi(argv[2]) : 60) * CEL_SEC;
    int err = cel_run(chat, argv[1], NULL);
    fprintf(stderr, "%s: %s\n", argv[1], strerror(-err));
    return 1;
}
