/* SPDX-License-Identifier: MIT */
/*
 * Descriptors of a library that makes its system calls itself and says what
 * it waits for: one coroutine waits for all of them, and hears which are
 * ready.
 *
 * Threads: the worker's.
 *
 * Tests: unit/test_ares.c
 */
#ifndef CEL_WATCH_H
#define CEL_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "sched/worker.h"

struct cel__watches {
    struct cel__worker *worker;
    struct cel__coro *listener; /* is woken when one is ready; or NULL */
    struct cel__link all;       /* those of descriptors that are open */
    bool lost; /* memory was short: one is not waited for.  Who gives up on
                  all clears it */
};

void cel__watch_init(struct cel__watches *watches, struct cel__worker *worker);

/*
 * From now on `fd`, non-blocking, is waited for until it is ready for one of
 * `events`, by cel__watch_arm(); 0: not any more, it is about to be closed.
 * May be called from what cel__watch_take() led to.
 */
void cel__watch_set(struct cel__watches *watches, int fd, uint32_t events);

/* Arm those that are not.  Returns whether some are ready already. */
bool cel__watch_arm(struct cel__watches *watches);

/* Take one that is ready, and what for; false: there is none. */
bool cel__watch_take(struct cel__watches *watches, int *fd, uint32_t *events);

#endif
