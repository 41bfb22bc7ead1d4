/* SPDX-License-Identifier: MIT */
/* The example of cel_watch_fd(3): a pipe is read until it ends. */
#include <celadon.h>

#include <stdio.h>
#include <unistd.h>

static int fds[2];

static void
readable(cel_watch *watch, int what, void *arg)
{
    char text[64];

    (void)arg;
    /* A watcher that failed, and its pipe, tell by a negative number. */
    ssize_t n = what < 0 ? what : read(fds[0], text, sizeof(text) - 1);
    if (n <= 0) {
        cel_watch_stop(watch);
        return;
    }
    text[n] = '\0';
    printf("%s", text);
}

static void
talk(void *arg)
{
    (void)arg;
    (void)!write(fds[1], "one\n", 4);
    (void)cel_sleep(cel_after(CEL_MSEC));
    (void)!write(fds[1], "two\n", 4);
    close(fds[1]);
}

static int
first(void *arg)
{
    cel_watch *watch;

    (void)arg;
    if (pipe(fds) < 0) {
        return 1;
    }
    int err = cel_watch_fd(&watch, fds[0], CEL_READABLE, readable, NULL);
    if (err < 0) {
        return err;
    }
    err = cel_watch_start(watch);
    if (err == 0) {
        err = cel_go(NULL, talk, NULL);
    }
    if (err == 0) {
        err = cel_watch_run(cel_after(10 * CEL_SEC)); /* until it stops */
    }
    cel_watch_close(watch);
    close(fds[0]);
    return err;
}

int
main(void)
{
    return cel_run(first, NULL, NULL) != 0;
}
