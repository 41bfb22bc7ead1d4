/* SPDX-License-Identifier: MIT */
/*
 * The list of all workers.
 *
 * Who walks over it counts itself in `nlooking` first; a worker that closes
 * takes itself out and waits until nobody looks.  Both write one thing and
 * then read the other's, sequentially consistent, so either the walk misses
 * the worker or the worker waits for the walk.
 *
 * Threads: see see.h.
 *
 * Tests: unit/test_see.c, unit/test_see_fork.c
 */
#include "see/see.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/fork.h"
#include "base/log.h"
#include "base/sys_memory.h"
#include "base/sys_thread.h"
#include "celadon/see.h"
#include "sched/worker.h"
#include "see/dump.h"
#include "see/overflow.h"
#include "see/text.h"
#include "see/watchdog.h"

/* Debuggers look for these by name (tools/gdb/celadon.py), and where all is
   compiled as one whole their names would go: hence not static. */
__attribute__((used)) cel__see_place cel__see_workers[CEL__SEE_WORKERS];
__attribute__((used))
atomic_size_t cel__see_nworkers; /* places in use are below */

static atomic_uint nlooking; /* walks over the list */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_once_t forks_once = PTHREAD_ONCE_INIT;

/* Put `worker` in the list, if there is a place. */
static void
enlist(struct cel__worker *worker)
{
    for (size_t i = 0; i < CEL__SEE_WORKERS; i++) {
        struct cel__worker *none = NULL;
        if (!atomic_compare_exchange_strong(&cel__see_workers[i], &none,
                                            worker)) {
            continue;
        }
        size_t n = atomic_load(&cel__see_nworkers);
        bool known = n > i;
        while (!known) {
            known = atomic_compare_exchange_weak(&cel__see_nworkers, &n,
                                                 i + 1) ||
                    n > i;
        }
        return;
    }
}

static void
say(const char *line)
{
    struct cel__text text;

    cel__text_init(&text, STDERR_FILENO);
    cel__text_put(&text, "celadon: ");
    cel__text_put(&text, line);
    cel__text_line(&text);
}

static bool
is_set(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && strcmp(value, "1") == 0;
}

static void
read_environment(void)
{
    struct sigaction now;

    if (is_set("CELADON_LOG") && !cel__log_wanted()) {
        cel_log_to(say);
    }
    /* Without this an overflow ends the process too, and says nothing. */
    if (is_set("CELADON_LOG") || is_set("CELADON_DUMP")) {
        (void)cel__overflow_install();
    }
    /* Ignored it is, too, where a shell starts in the background. */
    if (is_set("CELADON_DUMP") &&
        cel__sys_sigaction(SIGQUIT, NULL, &now) == 0 &&
        (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN)) {
        (void)cel_dump_on_signal(SIGQUIT);
    }
    cel__watchdog_from_environment();
}

/* The threads of the others, and those who looked, exist no more. */
static void
in_child(void)
{
    size_t n = atomic_load(&cel__see_nworkers);

    for (size_t i = 0; i < n; i++) {
        if (atomic_load(&cel__see_workers[i]) != cel__worker()) {
            atomic_store(&cel__see_workers[i], NULL);
        }
    }
    atomic_store(&nlooking, 0);
    cel__watchdog_in_child();
}

static void
watch_forks(void)
{
    cel__fork_handle(NULL, NULL, in_child);
}

void
cel__see_prepare(void)
{
    (void)pthread_once(&forks_once, watch_forks);
}

void
cel__see_opened(struct cel__worker *worker)
{
    cel__see_prepare();
    (void)pthread_once(&once, read_environment);
    worker->see.thread = cel__sys_thread_id();
    cel__dump_prepare(&worker->see);
    enlist(worker);
}

void
cel__see_closing(struct cel__worker *worker)
{
    size_t n = atomic_load(&cel__see_nworkers);

    for (size_t i = 0; i < n; i++) {
        struct cel__worker *self = worker;
        (void)atomic_compare_exchange_strong(&cel__see_workers[i], &self,
                                             NULL);
    }
    while (atomic_load(&nlooking) != 0) {
        sched_yield();
    }
}

void
cel__see_forked(struct cel__worker *worker)
{
    worker->see.thread = cel__sys_thread_id();
    /* Who had set it, and not yet asked, exists no more. */
    atomic_store(&worker->see.asked, false);
    cel__watchdog_forked();
}

int
cel__see_each(int (*fn)(struct cel__worker *worker, void *arg), void *arg)
{
    int code = 0;

    atomic_fetch_add(&nlooking, 1);
    size_t n = atomic_load(&cel__see_nworkers);
    for (size_t i = 0; i < n && code == 0; i++) {
        struct cel__worker *worker = atomic_load(&cel__see_workers[i]);
        if (worker != NULL) {
            code = fn(worker, arg);
        }
    }
    atomic_fetch_sub(&nlooking, 1);
    return code;
}
