/* SPDX-License-Identifier: MIT */
/* The example of celadon_embed(3): coroutines in a loop around poll(2). */
#include <celadon.h>

#include <poll.h>
#include <stdio.h>

static int left = 3;

static void
count_down(void *arg)
{
    (void)arg;
    while (left > 0 && cel_sleep(cel_after(CEL_MSEC)) == 0) {
        printf("%d\n", left--);
    }
}

/* For poll(2): milliseconds from now, rounded up, or -1 for ever. */
static int
until(cel_time deadline)
{
    cel_time now = cel_now();

    if (deadline == CEL_FOREVER) {
        return -1;
    }
    return deadline <= now ? 0 : (int)((deadline - now) / CEL_MSEC) + 1;
}

int
main(void)
{
    if (cel_embed_open(NULL) < 0) {
        return 1;
    }
    int err = cel_go(NULL, count_down, NULL);
    while (err == 0 && left > 0) {
        struct pollfd ours = {.fd = cel_embed_fd(), .events = POLLIN};
        (void)poll(&ours, 1, until(cel_embed_deadline()));
        err = cel_embed_turn();
    }
    return cel_embed_close() < 0 || err < 0;
}
