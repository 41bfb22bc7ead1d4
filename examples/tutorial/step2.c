/* SPDX-License-Identifier: MIT */
/* Step 2 of docs/tutorial.md: they speak to a room, over a channel. */
#include <celadon.h>

#include <errno.h>
#include <stdio.h>

struct line {
    char text[256];
};

struct person {
    const char *name;
    cel_chan *room;
};

static int
speak(void *arg)
{
    struct person *person = arg;
    struct line line;

    for (int i = 1; i <= 3; i++) {
        (void)snprintf(line.text, sizeof(line.text), "%s: line %d",
                       person->name, i);
        int err = cel_chan_send(person->room, &line, CEL_FOREVER);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

/* Prints what it receives, until nothing more can come. */
static void
print_all(void *arg)
{
    cel_chan *room = arg;
    struct line line;
    int err;

    while ((err = cel_chan_recv(room, &line, CEL_FOREVER)) == 0) {
        printf("%s\n", line.text);
    }
    printf("%s\n", err == -EPIPE ? "the room is closed" : "cancelled");
}

/* Lets both speak; the result is that of the first who failed, or 0. */
static int
speak_all(cel_chan *room)
{
    struct person ada = {.name = "Ada", .room = room};
    struct person bob = {.name = "Bob", .room = room};
    cel_group *people;

    int err = cel_group_open(&people, 0);
    if (err < 0) {
        return err;
    }
    err = cel_group_go(people, speak, &ada);
    if (err == 0) {
        err = cel_group_go(people, speak, &bob);
    }
    if (err == 0) {
        err = cel_group_wait(people, CEL_FOREVER);
    }
    int failed = cel_group_close(people);
    return failed < 0 ? failed : err;
}

static int
chat(void *arg)
{
    cel_chan *room;
    cel_coro *printer;

    (void)arg;
    int err = cel_chan_open(&room, sizeof(struct line), 0);
    if (err < 0) {
        return err;
    }
    err = cel_go(&printer, print_all, room);
    if (err == 0) {
        err = speak_all(room);
        cel_chan_shutdown(room);
        int joined = cel_join(printer, CEL_FOREVER);
        err = err < 0 ? err : joined;
    }
    cel_chan_close(room);
    return err;
}

int
main(void)
{
    return cel_run(chat, NULL, NULL) < 0;
}
