/* SPDX-License-Identifier: MIT */
/* The example of celadon_run(3): three sleep at once, and one is cancelled. */
#include <celadon.h>

#include <errno.h>
#include <stdio.h>

static void
nap(void *arg)
{
    int err = cel_sleep(cel_after(*(int64_t *)arg));

    printf("%s\n", err == -ECANCELED ? "woken early" : "slept well");
}

static int
first(void *arg)
{
    static int64_t spans[] = {CEL_MSEC, 2 * CEL_MSEC, 3600 * CEL_SEC};
    cel_coro *coros[3];

    (void)arg;
    for (int i = 0; i < 3; i++) {
        int err = cel_go(&coros[i], nap, &spans[i]);
        if (err < 0) {
            return err; /* cel_run() cancels the others and waits for them */
        }
    }
    cel_cancel(coros[2]);
    for (int i = 0; i < 3; i++) {
        int err = cel_join(coros[i], CEL_FOREVER);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

int
main(void)
{
    cel_options options;

    cel_options_init(&options);
    options.stack_size = 64 * 1024;
    return cel_run(first, NULL, &options) < 0;
}
