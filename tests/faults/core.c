/* SPDX-License-Identifier: MIT */
/* Faults while coroutines start, wait and end. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"

static void
nap(void *arg)
{
    (void)arg;
    (void)CALL(cel_sleep, cel_after(1000));
    (void)CALL(cel_sleep, soon());
    (void)CALL(cel_cancelled);
}

SCENARIO(run)
{
    cel_coro *coros[20];
    cel_options options;
    int n = 0;

    DO(cel_options_init, &options);
    MUST(CALL(cel_now) == CALL(cel_now) || cel_now() > 0);
    (void)CALL(cel_after, 1);
    DO(cel_set_name, "first");
    MUST(CALL(cel_self) != 0);
    MUST(CALL(cel_id, cel_self()) >= 0 && CALL(cel_name, cel_self()) != 0);
    MUST(CALL(cel_run, NULL, NULL, NULL) == -EALREADY);
    while (n < 20 && CALL(cel_go, &coros[n], nap, NULL) == 0) {
        n++;
    }
    (void)CALL(cel_go, NULL, nap, NULL);
    (void)CALL(cel_yield);
    (void)CALL(cel_sleep, cel_after(2000));
    for (int i = 0; i < n; i++) {
        DO(cel_cancel, coros[i]);
        finish(coros[i]);
    }
}

static void
count(cel_gen *gen, void *arg)
{
    (void)arg;
    for (intptr_t i = 1; i < 4; i++) {
        (void)CALL(cel_sleep, cel_after(1000));
        if (CALL(cel_gen_yield, gen, &i, NULL) < 0) {
            return;
        }
    }
}

SCENARIO(gen)
{
    void *value;
    cel_gen *gen = NULL;

    if (CALL(cel_gen_open, &gen, count, NULL) < 0) {
        MUST(gen == NULL);
        return;
    }
    for (int i = 0; i < 3; i++) {
        if (CALL(cel_gen_send, gen, NULL, &value) != 1) {
            break;
        }
    }
    DO(cel_gen_close, gen);
}

static int
member(void *arg)
{
    (void)CALL(cel_sleep, cel_after(1000));
    return *(int *)arg;
}

SCENARIO(group)
{
    cel_group *group = NULL;
    int results[] = {0, 0, -EXDEV};

    if (CALL(cel_group_open, &group, CEL_GROUP_KEEP_GOING) < 0) {
        MUST(group == NULL);
        return;
    }
    for (int i = 0; i < 3; i++) {
        (void)CALL(cel_group_go, group, member, &results[i]);
    }
    (void)CALL(cel_group_wait, group, soon());
    (void)CALL(cel_group_go, group, member, &results[0]);
    DO(cel_group_cancel, group);
    int err = CALL(cel_group_error, group);
    MUST(err == 0 || err == -EXDEV);
    MUST(CALL(cel_group_close, group) == err || err == 0);
}

SCENARIO(scope)
{
    cel_scope outer;
    cel_scope inner;

    MUST(CALL(cel_scope_enter, &outer, soon()) == 0);
    MUST(CALL(cel_scope_enter, &inner, cel_after(1000)) == 0);
    int err = CALL(cel_sleep, CEL_FOREVER);
    int left = CALL(cel_scope_leave, &inner);
    MUST(left == (err == -ETIMEDOUT ? -ETIMEDOUT : 0));
    MUST(CALL(cel_scope_leave, &outer) == 0);
    MUST(CALL(cel_scope_shield, &inner, soon()) == 0);
    MUST(CALL(cel_scope_leave, &inner) == 0);
}

static void
add(void *arg)
{
    int *n = arg;

    *n += 1;
}

static void
with_values(void *arg)
{
    cel_key *key = arg;
    int n = 0;

    (void)CALL(cel_defer, add, &n);
    if (CALL(cel_local_set, *key, key) == 0) {
        MUST(cel_local_get(*key) == key);
    }
    (void)CALL(cel_local_get, *key);
    for (int i = 0; i < 20; i++) {
        if (CALL(cel_defer, add, &n) == 0) {
            MUST(CALL(cel_undefer, 1) == 0 && n > 0);
        }
    }
    (void)note("cel_exit", 0); /* which does not return */
    (void)cel_exit(0);
}

SCENARIO(local)
{
    cel_coro *coro;
    cel_key key;

    if (CALL(cel_key_open, &key, NULL) < 0) {
        return;
    }
    if (CALL(cel_go, &coro, with_values, &key) == 0) {
        finish(coro);
    }
    DO(cel_key_close, key);
}

SCENARIO(info)
{
    static const char *const names[] = {"uring", "epoll", "poll", NULL};
    char text[4096];

    (void)CALL(cel_info_version);
    for (int i = 0; i < 4; i++) {
        (void)CALL(cel_info_refusal, names[i]);
    }
    MUST(CALL(cel_info_report, text, sizeof(text)) > 0);
}

static void
say(const char *line)
{
    (void)line;
}

SCENARIO(see)
{
    cel_coro *coro;

    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    MUST(fd >= 0);
    DO(cel_log_to, say);
    (void)CALL(cel_dump_on_signal, SIGUSR1);
    if (CALL(cel_go, &coro, nap, NULL) == 0) {
        (void)CALL(cel_yield);
        (void)CALL(cel_dump, fd, 0);
        cel_stats stats = {.size = sizeof(stats)};
        MUST(CALL(cel_stats_get, &stats) == 0 && stats.alive == 2);
        if (CALL(cel_watchdog_start, 3600 * CEL_SEC) == 0) {
            DO(cel_watchdog_stop);
        }
        DO(cel_cancel, coro);
        finish(coro);
    }
    MUST(close(fd) == 0);
}
