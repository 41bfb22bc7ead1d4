/* SPDX-License-Identifier: MIT */
/* The example of celadon_watch(3): a clock that ticks three times. */
#include <celadon.h>

#include <stdio.h>

static void
tick(cel_watch *watch, int what, void *arg)
{
    int *n = arg;

    (void)what;
    printf("tick\n");
    *n += 1;
    if (*n == 3) {
        cel_watch_stop(watch);
    }
}

static int
first(void *arg)
{
    cel_watch *watch;
    int n = 0;

    (void)arg;
    int err = cel_watch_timer(&watch, CEL_MSEC, CEL_MSEC, tick, &n);
    if (err < 0) {
        return err;
    }
    err = cel_watch_start(watch);
    if (err == 0) {
        err = cel_watch_run(cel_after(10 * CEL_SEC));
    }
    cel_watch_close(watch);
    return err;
}

int
main(void)
{
    return cel_run(first, NULL, NULL) < 0;
}
