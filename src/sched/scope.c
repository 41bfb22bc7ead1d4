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
    bool cancelled;     /* coro->cancelled, likewise */
    bool nested;        /* within a shield */
    bool shields;       /* made by cel_scope_shield() */
};

CEL__STATIC_ASSERT(sizeof(struct scope) <= sizeof(cel_scope),
                   "a cel_scope has room for it");

/* Note in `*out` what is around the scope.  Returns who enters it, or NULL. */
static struct cel__coro *
enter(cel_scope *out)
{
    struct scope *scope = (struct scope *)out;
    struct cel__worker *worker = cel__worker();

    if (worker == NULL) {
        return NULL;
    }
    struct cel__coro *self = worker->current;
    *scope = (struct scope){.outer = self->bound,
                            .outer_bounded = self->bounded,
                            .cancelled = self->cancelled,
                            .nested = self->shield != 0};
    self->bounded = false;
    return self;
}

int
cel_scope_enter(cel_scope *out, cel_time deadline)
{
    struct cel__coro *self = enter(out);

    if (self == NULL) {
        return -EPERM;
    }
    if (deadline < self->bound) {
        self->bound = deadline;
    }
    return 0;
}

int
cel_scope_shield(cel_scope *out, cel_time deadline)
{
    /* For ever could mean a run that never ends. */
    if (deadline == CEL_FOREVER) {
        return -EINVAL;
    }
    struct cel__coro *self = enter(out);
    if (self == NULL) {
        return -EPERM;
    }
    ((struct scope *)out)->shields = true;
    self->bound = deadline;
    self->cancelled = false;
    self->shield |= CEL__SHIELD_UP;
    return 0;
}

/* What came before the shield and behind it counts again. */
static void
lower_shield(struct cel__coro *self, const struct scope *scope)
{
    if (!scope->nested) {
        self->cancelled = scope->cancelled ||
                          (self->shield & CEL__SHIELD_HIT) != 0;
        self->shield = 0;
    }
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
    bool own = scope->shields || self->bound < scope->outer;
    bool bounded = self->bounded;
    cel__assert(scope->shields || self->bound <= scope->outer);
    if (scope->shields) {
        lower_shield(self, scope);
    }
    self->bound = scope->outer;
    self->bounded = scope->outer_bounded || (bounded && !own);
    return bounded && own ? -ETIMEDOUT : 0;
}
