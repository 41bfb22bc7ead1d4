/* SPDX-License-Identifier: MIT */
/* Step 8 of docs/tutorial.md: the same, on many cores. */
#include <celadon.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct line {
    char text[256];
};

/* Who is in the room.  It lies on the stack of the coroutine that serves it,
   which outlives all that use it. */
struct member {
    char name[32];
    cel_stream *stream;
    cel_chan *outbox; /* lines that are to be sent to it */
    cel_group *pair;  /* its reader and its writer */
    struct member *next;
};

/* How long a client may be silent, or not read what it is sent. */
static int64_t patience;

/* Guards the room.  Nobody suspends while they hold it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct member *room;

/* One coroutine a client. */
static cel_group *clients;

static void
enter_room(struct member *member)
{
    pthread_mutex_lock(&lock);
    member->next = room;
    room = member;
    pthread_mutex_unlock(&lock);
}

static void
leave_room(struct member *member)
{
    struct member **at = &room;

    pthread_mutex_lock(&lock);
    while (*at != member) {
        at = &(*at)->next;
    }
    *at = member->next;
    pthread_mutex_unlock(&lock);
}

/* Tells all but `from`.  Does not suspend: who does not keep up is put out. */
__attribute__((format(printf, 2, 3))) static void
tell_room(const struct member *from, const char *format, ...)
{
    struct line line;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line.text, sizeof(line.text), format, args);
    va_end(args);
    pthread_mutex_lock(&lock);
    for (struct member *to = room; to != NULL; to = to->next) {
        if (to != from &&
            cel_chan_send(to->outbox, &line, CEL_AT_ONCE) == -ETIMEDOUT) {
            cel_group_cancel(to->pair);
        }
    }
    pthread_mutex_unlock(&lock);
}

/* Everybody gets what is on its way to them, and then the end. */
static void
close_room(void)
{
    tell_room(NULL, "* The server ends. Goodbye.");
    pthread_mutex_lock(&lock);
    for (struct member *to = room; to != NULL; to = to->next) {
        cel_chan_shutdown(to->outbox);
    }
    pthread_mutex_unlock(&lock);
}

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

/* Of the client's pair: what it says, to the room. */
static int
read_lines(void *arg)
{
    struct member *member = arg;
    char text[200];
    ssize_t n;

    while ((n = cel_stream_read_line(member->stream, text, sizeof(text),
                                     cel_after(patience))) > 0) {
        tell_room(member, "%s: %s", member->name, text);
    }
    cel_chan_shutdown(member->outbox);
    return (int)n;
}

/* The other: what the room says, to the client. */
static int
write_lines(void *arg)
{
    struct member *member = arg;
    struct line line;

    int err = say(member->stream, "Welcome.");
    while (err == 0) {
        err = cel_chan_recv(member->outbox, &line, CEL_FOREVER);
        if (err == 0) {
            err = say(member->stream, line.text);
        }
    }
    return err; /* -EPIPE, when all is said: it cancels the reader */
}

/* Runs the pair until both have ended. */
static int
run_pair(struct member *member)
{
    int err = cel_group_open(&member->pair, 0);

    if (err < 0) {
        return err;
    }
    enter_room(member);
    tell_room(member, "* %s is here", member->name);
    err = cel_group_go(member->pair, read_lines, member);
    if (err == 0) {
        err = cel_group_go(member->pair, write_lines, member);
    }
    if (err == 0) {
        err = cel_group_wait(member->pair, CEL_FOREVER);
    }
    leave_room(member);
    int failed = cel_group_close(member->pair);
    tell_room(NULL, "* %s has left", member->name);
    return failed < 0 ? failed : err;
}

static int
talk(cel_stream *stream)
{
    struct member member = {.stream = stream};
    cel_scope scope;

    cel_scope_enter(&scope, cel_after(patience));
    ssize_t n = ask_name(stream, member.name, sizeof(member.name));
    cel_scope_leave(&scope);
    if (n <= 0) {
        return (int)n;
    }
    int err = cel_chan_open(&member.outbox, sizeof(struct line), 16);
    if (err == 0) {
        err = run_pair(&member);
        cel_chan_close(member.outbox);
    }
    return err;
}

static int
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
    err = err == -EPIPE ? 0 : err;
    fprintf(stderr, "a client has left: %s\n",
            err < 0 ? strerror(-err) : "all is well");
    return err;
}

/* At each worker. */
static int
accept_all(void *arg)
{
    const char *where = arg;

    int listener = cel_listen_at(where, 0, CEL_NODELAY | CEL_REUSEPORT,
                                 CEL_FOREVER);
    if (listener < 0) {
        return listener;
    }
    fprintf(stderr, "worker %d listens on %s\n", cel_worker_index(), where);
    int err = 0;
    while (err == 0) {
        int fd = cel_accept(listener, NULL, NULL, CEL_FOREVER);
        err = fd;
        if (fd >= 0) {
            err = cel_group_go(clients, serve, (void *)(intptr_t)fd);
        }
        if (fd >= 0 && err < 0) {
            cel_close(fd);
        }
    }
    cel_close(listener);
    return err;
}

/* Fails when a signal comes, and so ends the group that it is in. */
static int
await_signal(void *arg)
{
    static const int which[] = {SIGINT, SIGTERM};
    cel_signals *signals;

    (void)arg;
    int err = cel_signals_open(&signals, which, 2);
    if (err == 0) {
        err = cel_signals_wait(signals, CEL_FOREVER);
        cel_signals_close(signals);
    }
    return err > 0 ? -EINTR : err;
}

/* Serves until a signal comes or something fails. */
static int
serve_all(void *where)
{
    cel_group *server;

    int err = cel_group_open(&server, 0);
    if (err < 0) {
        return err;
    }
    err = cel_group_go(server, await_signal, NULL);
    for (int i = 0; err == 0 && i < cel_workers(); i++) {
        err = cel_group_go_on(server, i, accept_all, where);
    }
    if (err == 0) {
        err = cel_group_wait(server, CEL_FOREVER);
    }
    int failed = cel_group_close(server);
    return failed < 0 ? failed : err;
}

static int
chat(void *arg)
{
    int err = cel_group_open(&clients, CEL_GROUP_KEEP_GOING);

    if (err < 0) {
        return err;
    }
    err = serve_all(arg);
    close_room();
    if (cel_group_wait(clients, cel_after(3 * CEL_SEC)) < 0) {
        fprintf(stderr, "not all have left; they are put out\n");
    }
    (void)cel_group_close(clients);
    return err == -EINTR ? 0 : err;
}

int
main(int argc, char **argv)
{
    cel_options options;

    if (argc < 2) {
        fprintf(stderr, "usage: %s ADDRESS:PORT [SECONDS [WORKERS]]\n",
                argv[0]);
        return 2;
    }
    patience = (argc > 2 ? atoi(argv[2]) : 60) * CEL_SEC;
    cel_options_init(&options);
    options.workers = argc > 3 ? atoi(argv[3]) : CEL_WORKERS_ALL;
    int err = cel_run(chat, argv[1], &options);
    fprintf(stderr, "%s: %s\n", argv[1],
            err < 0 ? strerror(-err) : "all is well");
    return err < 0;
}
