/* SPDX-License-Identifier: MIT */
/* Step 4 of docs/tutorial.md: lines, by a buffered stream. */
#include <celadon.h>

#include <stdio.h>
#include <string.h>

/* Sends a line. */
static int
say(cel_stream *stream, const char *text)
{
    ssize_t n = cel_stream_printf(stream, CEL_FOREVER, "%s\n", text);

    return n < 0 ? (int)n : cel_stream_flush(stream, CEL_FOREVER);
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

    ssize_t n = ask_name(stream, name, sizeof(name));
    while (n > 0) {
        n = cel_stream_read_line(stream, text, sizeof(text), CEL_FOREVER);
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
        cel_stream_close(stream, CEL_FOREVER);
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
    if (argc != 2) {
        fprintf(stderr, "usage: %s ADDRESS:PORT\n", argv[0]);
        return 2;
    }
    int err = cel_run(chat, argv[1], NULL);
    fprintf(stderr, "%s: %s\n", argv[1], strerror(-err));
    return 1;
}
