/* SPDX-License-Identifier: MIT */
/*
 * Watchers: functions that are called when something happens, for programs
 * that are written so, as for libev.  Counts what comes at standard input,
 * says every second how much it was, and ends with it or at Ctrl-C.
 */
#include <celadon.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct meter {
    cel_watch *input;
    cel_watch *second;
    cel_watch *interrupt;
    long long nbytes;
    int err;
};

static void
stop(struct meter *meter)
{
    cel_watch_stop(meter->input);
    cel_watch_stop(meter->second);
    cel_watch_stop(meter->interrupt);
}

/* Called as long as there is something to be read.  It may suspend. */
static void
count(cel_watch *watch, int what, void *arg)
{
    struct meter *meter = arg;
    char buf[4096];

    (void)watch;
    ssize_t n = what < 0
                    ? what
                    : cel_read(STDIN_FILENO, buf, sizeof(buf), CEL_FOREVER);
    if (n > 0) {
        meter->nbytes += n;
    }
    else {
        meter->err = (int)n;
        stop(meter);
    }
}

static void
tell(cel_watch *watch, int what, void *arg)
{
    const struct meter *meter = arg;

    (void)watch;
    (void)what;
    fprintf(stderr, "%lld bytes so far\n", meter->nbytes);
}

static void
interrupt(cel_watch *watch, int what, void *arg)
{
    (void)watch;
    (void)what;
    stop(arg);
}

/* Makes the three and starts them. */
static int
start(struct meter *meter)
{
    int err = cel_watch_fd(&meter->input, STDIN_FILENO, CEL_READABLE, count,
                           meter);
    if (err == 0) {
        err = cel_watch_timer(&meter->second, CEL_SEC, CEL_SEC, tell, meter);
    }
    if (err == 0) {
        err = cel_watch_signal(&meter->interrupt, SIGINT, interrupt, meter);
    }
    if (err == 0) {
        err = cel_watch_start(meter->input);
    }
    if (err == 0) {
        err = cel_watch_start(meter->second);
    }
    if (err == 0) {
        err = cel_watch_start(meter->interrupt);
    }
    return err;
}

static int
measure(void *arg)
{
    struct meter meter = {0};

    (void)arg;
    int err = start(&meter);
    if (err == 0) {
        err = cel_watch_run(CEL_FOREVER); /* until none is active */
    }
    cel_watch_close(meter.input);
    cel_watch_close(meter.second);
    cel_watch_close(meter.interrupt);
    printf("%lld bytes\n", meter.nbytes);
    return err < 0 ? err : meter.err;
}

int
main(void)
{
    int err = cel_run(measure, NULL, NULL);

    if (err < 0) {
        fprintf(stderr, "meter: %s\n", strerror(-err));
    }
    return err < 0;
}
