/* SPDX-License-Identifier: MIT */
/*
 * What a coroutine waits for, in words.
 *
 * Holders are checked before they are believed: a coroutine may have ended
 * with a mutex locked, and its memory be another's since.
 *
 * Threads: see awaited.h.
 *
 * Tests: unit/test_see.c
 */
#include "see/awaited.h"

#include "sched/gen.h"
#include "sched/wait.h"
#include "sched/worker.h"

/* Holders that are named; of the rest it is said that they are. */
#define NAMED 4

bool
cel__awaited_is_alive(const struct cel__worker *worker,
                      const struct cel__coro *coro)
{
    const struct cel__link *link = worker->all.next;

    while (link != &worker->all && link != &coro->all) {
        link = link->next;
    }
    return link != &worker->all;
}

void
cel__awaited_put_who(struct cel__text *text, const struct cel__coro *coro)
{
    cel__text_put(text, "#");
    cel__text_number(text, coro->id);
    if (coro->name != NULL) {
        cel__text_put(text, " \"");
        cel__text_put(text, coro->name);
        cel__text_put(text, "\"");
    }
}

static void
put_holders(struct cel__text *text, const struct cel__worker *worker,
            const struct cel__awaiting *note)
{
    const struct cel__coro *holder;

    for (size_t i = 0; (holder = note->kind->holder(note->object, i)) != NULL;
         i++) {
        cel__text_put(text, i == 0 ? " " : ", ");
        if (i == 0) {
            cel__text_put(text, note->kind->relation);
            cel__text_put(text, " ");
        }
        if (i == NAMED) {
            cel__text_put(text, "and others");
            return;
        }
        if (cel__awaited_is_alive(worker, holder)) {
            cel__awaited_put_who(text, holder);
        }
        else {
            cel__text_put(text, "one of another thread, or gone");
        }
    }
}

/* Whether `coro` is a generator that has yielded. */
static bool
is_idle(const struct cel__worker *worker, const struct cel__coro *coro)
{
    const struct cel_coro *handle = (const struct cel_coro *)coro;

    return worker->run != NULL && coro != &worker->root && handle->is_gen &&
           ((const struct cel_gen *)handle)->idle;
}

static const struct cel__coro *
itself(void *object, size_t number)
{
    return number == 0 ? object : NULL;
}

void
cel__awaited_put(struct cel__text *text, const struct cel__worker *worker,
                 const struct cel__coro *coro)
{
    const struct cel__awaiting *note = coro->awaiting;
    const char *what = coro->waits_for;

    if (what == cel__wait_by_hand) {
        what = is_idle(worker, coro) ? "being asked"
               : note != NULL        ? note->kind->what
                                     : what;
    }
    cel__text_put(text, what);
    if (note == NULL) {
        return;
    }
    if (note->kind->describe != NULL) {
        note->kind->describe(note->object, text);
    }
    else if (note->kind->holder != itself) {
        cel__text_put(text, " (");
        cel__text_hex(text, (uintptr_t)note->object);
        cel__text_put(text, ")");
    }
    if (note->kind->holder != NULL) {
        put_holders(text, worker, note);
    }
}

const struct cel__awaited cel__awaited_end = {
    .what = "the end", .holder = itself, .relation = "of"};

const struct cel__awaited cel__awaited_value = {
    .what = "the next value", .holder = itself, .relation = "of"};
