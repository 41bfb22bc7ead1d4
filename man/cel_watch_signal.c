/* SPDX-License-Identifier: MIT */
/* The example of cel_watch_signal(3): a program that is told to end. */
#include <celadon.h>

#include <signal.h>
#include <stdio.h>

static void
told(cel_watch *watch, int what, void *arg)
{
    (void)arg;
    printf("signal %d\n", what);
    cel_watch_stop(watch);
}

/* Somebody else, in truth. */
static void
tell(cel_watch *watch, int what, void *arg)
{
    (void)watch;
    (void)what;
    (void)arg;
    raise(SIGTERM);
}

static int
first(void *arg)
{
    cel_watch *term = NULL;
    cel_watch *timer = NULL;

    (void)arg;
    int err = cel_watch_signal(&term, SIGTERM, told, NULL);
    if (err == 0) {
        err = cel_watch_timer(&timer, CEL_MSEC, 0, tell, NULL);
    }
    if (err == 0) {
        err = cel_watch_start(term);
    }
    if (err == 0) {
        err = cel_watch_start(timer);
    }
    if (err == 0) {
        err = cel_watch_run(cel_after(10 * CEL_SEC));
    }
    cel_watch_close(timer);
    cel_watch_close(term);
    return err;
}

int
main(void)
{
    return cel_run(first, NULL, NULL) < 0;
}
