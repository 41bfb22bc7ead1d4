/* SPDX-License-Identifier: MIT */
/*
 * Scripts, played: see play.h.
 *
 * The port is kept for the server by a socket that is bound there and does
 * not listen: as both may reuse the address the server can bind too, and
 * nobody else is given that port meanwhile.
 */
#include "play.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "celadon/dial.h"
#include "celadon/net.h"
#include "celadon/process.h"
#include "celadon/run.h"
#include "pidfds.h"
#include "sockets.h"
#include "tap.h"

enum {
    LINES = 64,
    COLUMNS = 256,
    PEOPLE = 8
};

/* Somebody with a connection. */
struct person {
    char name[16];
    cel_stream *stream; /* NULL: it is closed */
};

/* A play that is on. */
struct stage {
    const struct play *how;
    char lines[LINES][COLUMNS];
    int nlines;
    char where[32]; /* the server's address */
    struct person people[PEOPLE];
    int npeople;
    cel_process *process;
    cel_stream *output;
    bool server;
    bool told; /* it was sent SIGTERM */
};

/* A moment that is only reached where something hangs. */
static cel_time
late(void)
{
    return cel_after((cel_time)(8e9 * tap_slow()));
}

/* Let `line`, of COLUMNS bytes, have `alias` in place of its word. */
static void
replace(char *line, const struct alias *alias)
{
    char text[COLUMNS];

    char *at = strstr(line, alias->word);
    if (at != NULL) {
        (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - line), line,
                       alias->is, at + strlen(alias->word));
        strcpy(line, text); /* NOLINT: it is as long */
    }
}

static void
read_script(struct stage *stage)
{
    const struct alias address = {"127.0.0.1:7000", stage->where};
    const char *folder = getenv("CELADON_SCRIPTS");
    char path[512];

    if (folder == NULL) {
        SKIP("CELADON_SCRIPTS does not say where they are");
    }
    (void)snprintf(path, sizeof(path), "%s/%s", folder, stage->how->script);
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    while (stage->nlines < LINES &&
           fgets(stage->lines[stage->nlines], COLUMNS, file) != NULL) {
        char *line = stage->lines[stage->nlines++];
        line[strcspn(line, "\n")] = '\0';
        replace(line, &address);
        for (const struct alias *alias = stage->how->aliases;
             alias != NULL && alias->word != NULL; alias++) {
            replace(line, alias);
        }
    }
    (void)fclose(file);
    CHECK_GT(stage->nlines, 0);
}

static void
start(struct stage *stage, const char *command)
{
    char script[COLUMNS + 16];
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    cel_process_options options;

    CHECK(stage->process == NULL);
    stage->server = strchr(command, '&') != NULL;
    (void)snprintf(script, sizeof(script), "exec env %.*s",
                   (int)strcspn(command, "&"), command);
    cel_process_options_init(&options);
    options.cwd = getenv("CELADON_EXAMPLES");
    options.stdio[1] = CEL_STDIO_PIPE;
    options.stdio[2] = CEL_STDIO_OUTPUT;
    CHECK_EQ(cel_process_spawn(&stage->process, argv, &options), 0);
    int fd = cel_process_take_fd(stage->process, 1);
    CHECK_GE(fd, 0);
    CHECK_EQ(cel_stream_open(&stage->output, fd), 0);
}

/* The next line of the program's, or "(end)"; a hard build names its seed
   first. */
static void
read_output(struct stage *stage, char *line)
{
    ssize_t n;

    do {
        n = cel_stream_read_line(stage->output, line, COLUMNS, late());
        CHECK_GE(n, 0);
    } while (n > 0 && strstr(line, "CELADON_SEED") != NULL);
    if (n == 0) {
        strcpy(line, "(end)"); /* NOLINT: there is room */
    }
}

/* Whose line it is: somebody's name in small letters, and ": " or "> ". */
static size_t
name_of(const char *line)
{
    size_t len = 0;

    while (islower((unsigned char)line[len])) {
        len++;
    }
    return len > 0 && (line[len] == ':' || line[len] == '>') ? len : 0;
}

/* Check the lines of output from the one of the number `first` on; the number
   of the first that is none. */
static int
check_output(struct stage *stage, int first)
{
    bool came[LINES] = {false};
    char line[COLUMNS];
    int end = first + 1;

    while (stage->how->any_order && end < stage->nlines &&
           stage->lines[end][0] != '$' && name_of(stage->lines[end]) == 0) {
        end++;
    }
    for (int n = first; n < end; n++) {
        int i = first;
        read_output(stage, line);
        while (i < end && (came[i] || strcmp(stage->lines[i], line) != 0)) {
            i++;
        }
        if (i == end) {
            CHECK_STR(line, stage->lines[n]);
        }
        came[i] = true;
    }
    return end;
}

/* Read output up to a line that has what stands between the dots of
   `line`. */
static void
skip_output(struct stage *stage, const char *line)
{
    char words[COLUMNS];
    char said[COLUMNS];

    const char *from = line + strlen("… ");
    const char *to = strstr(from, " …");
    CHECK(to != NULL);
    (void)snprintf(words, sizeof(words), "%.*s", (int)(to - from), from);
    do {
        read_output(stage, said);
        if (strcmp(said, "(end)") == 0) {
            CHECK_STR(said, words);
        }
    } while (strstr(said, words) == NULL);
}

/* Who has that name; connects where nobody has. */
static struct person *
find(struct stage *stage, const char *name, size_t len)
{
    int i = 0;

    while (i < stage->npeople &&
           (strlen(stage->people[i].name) != len ||
            memcmp(stage->people[i].name, name, len) != 0)) {
        i++;
    }
    struct person *person = &stage->people[i];
    if (i == stage->npeople) {
        CHECK_LT(i, PEOPLE);
        CHECK_LT(len, sizeof(person->name));
        stage->npeople++;
        memcpy(person->name, name, len);
        int fd = cel_dial(stage->where, NULL, late());
        CHECK_GE(fd, 0);
        CHECK_EQ(stage->how->open == NULL
                     ? cel_stream_open(&person->stream, fd)
                     : stage->how->open(&person->stream, fd),
                 0);
    }
    CHECK(person->stream != NULL);
    return person;
}

static void
type(struct person *person, const char *text)
{
    if (strcmp(text, "(end)") == 0) {
        CHECK_EQ(cel_stream_close(person->stream, late()), 0);
        person->stream = NULL;
        return;
    }
    CHECK_GT(cel_stream_printf(person->stream, late(), "%s\n", text), 0);
    CHECK_EQ(cel_stream_flush(person->stream, late()), 0);
}

static void
hear(struct person *person, const char *text)
{
    char line[COLUMNS];

    ssize_t n = cel_stream_read_line(person->stream, line, COLUMNS, late());
    CHECK_GE(n, 0);
    CHECK_STR(n == 0 ? "(end)" : line, text);
}

/* Play the line of the number `i`; the number of the next. */
static int
play_line(struct stage *stage, int i)
{
    const char *line = stage->lines[i];
    size_t len = name_of(line);

    if (strcmp(line, "$ kill -TERM %1") == 0) {
        stage->told = true;
        CHECK_EQ(cel_process_kill(stage->process, SIGTERM), 0);
    }
    else if (strcmp(line, "$ kill -QUIT %1") == 0) {
        CHECK_EQ(cel_process_kill(stage->process, SIGQUIT), 0);
    }
    else if (line[0] == '$') {
        start(stage, line + 2);
    }
    else if (strncmp(line, "… ", strlen("… ")) == 0) {
        skip_output(stage, line);
    }
    else if (len == 0) {
        return check_output(stage, i);
    }
    else if (line[len] == '>') {
        type(find(stage, line, len), line + len + 2);
    }
    else {
        hear(find(stage, line, len), line + len + 2);
    }
    return i + 1;
}

/* The end: nothing is left to be said, and the program has ended well. */
static void
finish(struct stage *stage)
{
    char line[COLUMNS];
    int status;

    if (!stage->server || stage->told) {
        read_output(stage, line);
        CHECK_STR(line, "(end)");
    }
    else {
        CHECK_EQ(cel_process_kill(stage->process, SIGTERM), 0);
    }
    CHECK_EQ(cel_process_wait(stage->process, &status, late()), 0);
    if (stage->server && !stage->told && WIFSIGNALED(status)) {
        CHECK_EQ(WTERMSIG(status), SIGTERM);
    }
    else {
        CHECK_EQ(status, 0);
    }
    for (int i = 0; i < stage->npeople; i++) {
        (void)cel_stream_close(stage->people[i].stream, CEL_AT_ONCE);
    }
    CHECK_EQ(cel_stream_close(stage->output, late()), 0);
    cel_process_close(stage->process);
}

static int
play_all(void *arg)
{
    struct stage *stage = arg;

    for (int i = 0; i < stage->nlines;) {
        i = play_line(stage, i);
    }
    finish(stage);
    return 0;
}

void
play(const struct play *how)
{
    static const int on = 1;
    static struct stage stage;
    struct sockaddr_in in = loopback();
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK_GE(fd, 0);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&in, len), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    (void)snprintf(stage.where, sizeof(stage.where), "127.0.0.1:%d",
                   ntohs(in.sin_port));
    stage.how = how;
    read_script(&stage);
    CHECK_EQ(cel_run(play_all, &stage, NULL), 0);
    close(fd);
}
