/* SPDX-License-Identifier: MIT */
/*
 * What a coroutine waits for, beyond the word that its park was given.
 *
 * Whoever parks a coroutine notes the object and what kind it is, on its
 * stack, and points to the note until it goes on.  The kind knows how to tell
 * people which one it is and, where only certain coroutines can end the wait,
 * who those are.
 *
 * Threads: the worker's whose coroutine waits.
 */
#ifndef CEL_AWAITED_H
#define CEL_AWAITED_H

#include <stdbool.h>
#include <stddef.h>

#include "coro/coro.h"
#include "see/text.h"

/* A kind of object.  What comes after the words may be NULL. */
struct cel__awaited {
    /* In words; debuggers tell the kinds by them. */
    const char *what;
    /* Put which one it is; without, its address is put. */
    void (*describe)(const void *object, struct cel__text *text);
    /* Who must go on for the wait to end, all of them: the first, the second,
       …; NULL: there are no more.  It may be one that is gone. */
    const struct cel__coro *(*holder)(void *object, size_t number);
    /* What comes before the holder's name: "held by". */
    const char *relation;
};

/* What coro->awaiting is; on the stack of who waits. */
struct cel__awaiting {
    const struct cel__awaited *kind;
    void *object;
};

/* Whether `coro`, which may be gone, is one of `worker` that has not ended.
   Walks over all of them. */
bool cel__awaited_is_alive(const struct cel__worker *worker,
                           const struct cel__coro *coro);

/* Put number and name of `coro`. */
void cel__awaited_put_who(struct cel__text *text,
                          const struct cel__coro *coro);

/* Put what `coro`, of `worker`, waits for. */
void cel__awaited_put(struct cel__text *text, const struct cel__worker *worker,
                      const struct cel__coro *coro);

/* A coroutine itself, which is waited for: its end, its next value as a
   generator. */
extern const struct cel__awaited cel__awaited_end;
extern const struct cel__awaited cel__awaited_value;

#endif
