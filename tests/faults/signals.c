/* SPDX-License-Identifier: MIT */
/* Faults while signals are received, and while watchers watch. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"

static const int both[] = {SIGUSR1, SIGUSR2};

static void
raise_late(void *arg)
{
    (void)arg;
    (void)CALL(cel_sleep, cel_after(1000));
    MUST(kill(getpid(), SIGUSR2) == 0);
}

SCENARIO(signals)
{
    cel_signals *signals = NULL;
    cel_signals *other = NULL;
    cel_coro *coro;

    if (CALL(cel_signals_open, &signals, both, 2) < 0) {
        MUST(signals == NULL);
        return;
    }
    (void)CALL(cel_signals_open, &other, both, 1);
    MUST(raise(SIGUSR1) == 0);
    int got = CALL(cel_signals_wait, signals, soon());
    MUST(got < 0 || got == SIGUSR1);
    if (CALL(cel_go, &coro, raise_late, NULL) == 0) {
        got = CALL(cel_signals_wait, signals, soon());
        MUST(got < 0 || got == SIGUSR1 || got == SIGUSR2);
        finish(coro);
    }
    DO(cel_signals_close, signals);
    if (other != NULL) {
        got = CALL(cel_signals_wait, other, soon());
        MUST(got < 0 || got == SIGUSR1);
    }
    DO(cel_signals_close, other);
}

/* What the watchers have seen; each stops itself after three calls, or is
   stopped by a fault. */
struct seen {
    int fd;
    int ncalls;
};

static void
count(cel_watch *watch, int what, void *arg)
{
    struct seen *seen = arg;

    (void)note("watch_fn", what < 0 ? what : 0);
    int active = CALL(cel_watch_active, watch);
    MUST(what >= 0 || !active);
    if (++seen->ncalls == 3) {
        DO(cel_watch_stop, watch);
    }
}

static void
read_one(cel_watch *watch, int what, void *arg)
{
    struct seen *seen = arg;
    char byte;

    if (what >= 0) {
        (void)CALL(cel_read, seen->fd, &byte, 1, soon());
    }
    count(watch, what, arg);
}

static void
raise_again(cel_watch *watch, int what, void *arg)
{
    count(watch, what, arg);
    if (cel_watch_active(watch)) {
        MUST(raise(SIGUSR1) == 0);
    }
}

/* Start it and wait for its end. */
static void
watch_all(cel_watch *watch, const struct seen *seen)
{
    if (CALL(cel_watch_start, watch) < 0) {
        MUST(!CALL(cel_watch_active, watch));
        DO(cel_watch_close, watch);
        return;
    }
    int err = CALL(cel_watch_run, soon());
    if (err < 0) {
        err = CALL(cel_watch_run, soon());
    }
    MUST(err == 0 && seen->ncalls > 0);
    DO(cel_watch_close, watch);
}

SCENARIO(watch_timer)
{
    struct seen seen = {0};
    cel_watch *watch = NULL;

    if (CALL(cel_watch_timer, &watch, 1000, 1000, count, &seen) < 0) {
        MUST(watch == NULL);
        return;
    }
    watch_all(watch, &seen);
}

SCENARIO(watch_fd)
{
    struct seen seen = {0};
    cel_watch *watch = NULL;
    int fds[2];

    if (CALL(cel_pipe, fds) < 0) {
        return;
    }
    seen.fd = fds[0];
    MUST(write(fds[1], "abc", 3) == 3);
    if (CALL(cel_watch_fd, &watch, fds[0], CEL_READABLE, read_one, &seen) ==
        0) {
        watch_all(watch, &seen);
    }
    else {
        MUST(watch == NULL);
    }
    (void)CALL(cel_close, fds[0]);
    (void)CALL(cel_close, fds[1]);
}

SCENARIO(watch_signal)
{
    struct seen seen = {0};
    cel_watch *watch = NULL;

    MUST(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
    if (CALL(cel_watch_signal, &watch, SIGUSR1, raise_again, &seen) < 0) {
        MUST(watch == NULL);
        return;
    }
    if (CALL(cel_watch_start, watch) < 0) {
        DO(cel_watch_close, watch);
        return;
    }
    MUST(raise(SIGUSR1) == 0);
    watch_all(watch, &seen);
}

typedef int maker(cel_watch **out, cel_watch_fn *fn, void *arg);

/* Called around sleeps, and when there is nothing else to do; a timer makes
   the thread sleep. */
SCENARIO(watch_sleep)
{
    static const struct {
        const char *name;
        maker *make;
    } kinds[] = {{"cel_watch_prepare", cel_watch_prepare},
                 {"cel_watch_check", cel_watch_check},
                 {"cel_watch_idle", cel_watch_idle}};
    struct seen seen[4] = {{0}};
    cel_watch *watches[3] = {NULL, NULL, NULL};
    cel_watch *timer = NULL;

    if (CALL(cel_watch_timer, &timer, 1000, 1000000, count, &seen[3]) < 0) {
        return;
    }
    for (int i = 0; i < 3; i++) {
        if (note(kinds[i].name, kinds[i].make(&watches[i], count, &seen[i])) ==
            0) {
            (void)CALL(cel_watch_start, watches[i]);
        }
    }
    /* Those of sleeps end with it, whether they were called or not. */
    if (CALL(cel_watch_start, timer) == 0) {
        (void)CALL(cel_watch_run, cel_after(CEL_SEC));
    }
    for (int i = 0; i < 3; i++) {
        DO(cel_watch_close, watches[i]);
    }
    DO(cel_watch_close, timer);
}
