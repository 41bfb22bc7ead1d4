/* SPDX-License-Identifier: MIT */
/*
 * Scopes: a coroutine's own deadline, which every park minds.
 *
 * Entering costs no timer: there is one while something waits, as ever.
 *
 * Threads: the coroutine's.
 *
 * Tests: unit/test_scope.c
 */
#include "celadon/scope.h"

#include <errno.h>

#include "base/check.h"
#include "sched/worker.h"

/* What a cel_scope is. */
struct scope {
    cel_time outer;     /* the bound around it */
    bool outer_bounded; /* coro->bounded of before */
};

CEL__STATIC_ASSERT(sizeof(struct scope) <= sizeof(cel_scope),
                   "a cel_scope has room for it");

int
cel_scope_enter(cel_scope *out, cel_time deadline)
{
    struct scope *scope = (struct scope *)out;
    struct cel__worker *worker = cel__worker();

    if (worker == NULL) {
        return -EPERM;
    }
    struct cel__coro *self = worker->current;
    scope->outer = self->bound;
    scope->outer_bounded = self->bounded;
    self->bounded = false;
    if (deadline < self->bound) {
        self->bound = deadline;
    }
    return 0;
}

int
cel_scope_leave(cel_scope *out)
{
    struct scope *scope = (struct scope *)out;
    struct cel__worker *worker = cel__worker();

    if (worker == NULL) {
        return -EPERM;
    }
    struct cel__coro *self = worker->current;
    /* Not its own: the deadline of a scope around it came first. */
    bool own = self->bound < scope->outer;
    bool bounded = self->bounded;
    cel__assert(self->bound <= scope->outer);
    self->bound = scope->outer;
    self->bounded = scope->outer_bounded || (bounded && !own);
    return bounded && own ? -ETIMEDOUT : 0;
}
