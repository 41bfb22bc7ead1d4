/* SPDX-License-Identifier: MIT */
/*
 * Coroutines inside another library's loop, libuv's: before it waits, it is
 * told until when it may and for which descriptor; after that the coroutines
 * have a turn.
 */
#include <celadon.h>
#include <uv.h>

#include <stdio.h>
#include <string.h>

/* What libuv's loop is given to do. */
static uv_prepare_t before;
static uv_poll_t readable;
static uv_timer_t due;

static int ncoros = 2;

static void
turn(void)
{
    (void)cel_embed_turn();
    if (ncoros == 0) { /* nothing is left to be done: libuv's loop ends */
        uv_prepare_stop(&before);
        uv_poll_stop(&readable);
        uv_timer_stop(&due);
    }
}

static void
on_readable(uv_poll_t *poll, int status, int events)
{
    (void)poll;
    (void)status;
    (void)events;
    turn();
}

static void
on_due(uv_timer_t *timer)
{
    (void)timer;
    turn();
}

/* Called each time before libuv waits. */
static void
on_wait(uv_prepare_t *prepare)
{
    cel_time until = cel_embed_deadline();
    int64_t ns = until - cel_now();

    (void)prepare;
    uv_timer_stop(&due);
    if (until != CEL_FOREVER) {
        /* Milliseconds, rounded up. */
        uv_timer_start(&due, on_due,
                       ns <= 0 ? 0 : (uint64_t)((ns - 1) / CEL_MSEC + 1), 0);
    }
}

static void
speak(void *arg)
{
    const char *const *name = arg;

    for (int i = 1; i <= 3; i++) {
        printf("%s: line %d\n", *name, i);
        (void)cel_sleep(cel_after(20 * CEL_MSEC));
    }
    ncoros--;
}

int
main(void)
{
    static const char *names[] = {"Ada", "Bob"};
    uv_loop_t *loop = uv_default_loop();

    int err = cel_embed_open(NULL);
    for (int i = 0; err == 0 && i < 2; i++) {
        err = cel_go(NULL, speak, &names[i]);
    }
    if (err < 0) {
        fprintf(stderr, "inside_uv: %s\n", strerror(-err));
        return 1;
    }
    uv_prepare_init(loop, &before);
    uv_prepare_start(&before, on_wait);
    uv_poll_init(loop, &readable, cel_embed_fd());
    uv_poll_start(&readable, UV_READABLE, on_readable);
    uv_timer_init(loop, &due);
    uv_run(loop, UV_RUN_DEFAULT);
    return cel_embed_close() < 0;
}
