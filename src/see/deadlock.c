/* SPDX-License-Identifier: MIT */
/*
 * Circles of waiting coroutines.
 *
 * From each coroutine a walk along the holders of what it waits for, depth
 * first; where it comes back to where it began there is a circle.  Each circle
 * is found from its member with the lowest number alone, for a walk leaves
 * out those with lower numbers.
 *
 * Threads: see deadlock.h.
 *
 * Tests: unit/test_see.c
 */
#include "see/deadlock.h"

#include <stdbool.h>

#include "base/log.h"
#include "sched/worker.h"
#include "see/awaited.h"
#include "see/names.h"
#include "see/text.h"

/* How long a circle may be, so that the path is half a KiB of stack. */
#define LONGEST 32

/* Steps of all walks: each may look through all coroutines once. */
#define STEPS 2000

/* How many waits are told where there is no circle, and how many deadlocks. */
#define WAITS   16
#define REPORTS 4

/* Members of a circle in the making.  Invariant: 0 < len <= LONGEST. */
struct walk {
    const struct cel__worker *worker;
    size_t len;
    unsigned steps; /* left */
    struct {
        const struct cel__coro *coro;
        size_t next; /* number of the holder to try next */
    } path[LONGEST];
};

static bool
waits_for_ever(const struct cel__coro *coro)
{
    return coro->state == CEL__PARKED && !coro->timed;
}

/* Put "#1 "a" waits for …" and let it be said.  Apart, for it has a text. */
__attribute__((noinline)) static void
say_wait(const struct cel__worker *worker, const struct cel__coro *coro,
         void (*say)(void *arg, const char *line), void *arg)
{
    struct cel__text text;

    cel__text_init(&text, -1);
    cel__text_put(&text, "deadlock: ");
    cel__awaited_put_who(&text, coro);
    cel__text_put(&text, " waits for ");
    cel__awaited_put(&text, worker, coro);
    say(arg, cel__text_string(&text));
}

/* The next holder of what the path's last member waits for; or NULL. */
static const struct cel__coro *
next_holder(struct walk *walk)
{
    const struct cel__awaiting *note = walk->path[walk->len - 1]
                                           .coro->awaiting;

    if (note == NULL || note->kind->holder == NULL || walk->steps == 0) {
        return NULL;
    }
    walk->steps--;
    return note->kind->holder(note->object, walk->path[walk->len - 1].next++);
}

static bool
is_on_path(const struct walk *walk, const struct cel__coro *coro)
{
    for (size_t i = 0; i < walk->len; i++) {
        if (walk->path[i].coro == coro) {
            return true;
        }
    }
    return false;
}

/* Whether the walk from `start`, which is on the path, comes back to it. */
static bool
comes_back(struct walk *walk, const struct cel__coro *start)
{
    while (walk->len > 0) {
        const struct cel__coro *holder = next_holder(walk);
        if (holder == NULL) {
            walk->len--;
        }
        else if (holder == start) {
            return true;
        }
        else if (walk->len < LONGEST && !is_on_path(walk, holder) &&
                 cel__awaited_is_alive(walk->worker, holder) &&
                 holder->id > start->id && waits_for_ever(holder)) {
            walk->path[walk->len].coro = holder;
            walk->path[walk->len++].next = 0;
        }
    }
    return false;
}

size_t
cel__deadlock_find(const struct cel__worker *worker,
                   void (*say)(void *arg, const char *line), void *arg)
{
    struct walk walk = {.worker = worker, .steps = STEPS};
    size_t count = 0;

    for (struct cel__link *link = worker->all.next; link != &worker->all;
         link = link->next) {
        const struct cel__coro *start = cel__container(link, struct cel__coro,
                                                       all);
        if (!waits_for_ever(start)) {
            continue;
        }
        walk.len = 1;
        walk.path[0].coro = start;
        walk.path[0].next = 0;
        if (!comes_back(&walk, start)) {
            continue;
        }
        count++;
        for (size_t i = 0; i < walk.len; i++) {
            say_wait(worker, walk.path[i].coro, say, arg);
        }
    }
    return count;
}

static void
say_log(void *arg, const char *line)
{
    (void)arg;
    cel__log("%s", line);
}

void
cel__deadlock_report(struct cel__worker *worker)
{
    if (!cel__log_wanted() || worker->see.nstuck++ >= REPORTS) {
        return;
    }
    cel__log("deadlock: nothing is left that could wake any of %zu coroutines",
             worker->nalive);
    bool circle = cel__deadlock_find(worker, say_log, NULL) > 0;
    size_t n = 0;
    for (struct cel__link *link = worker->all.next;
         !circle && link != &worker->all && n < WAITS; link = link->next) {
        const struct cel__coro *coro = cel__container(link, struct cel__coro,
                                                      all);
        if (coro->state == CEL__PARKED) {
            say_wait(worker, coro, say_log, NULL);
            n++;
        }
    }
    cel__names_forget();
}
