/* SPDX-License-Identifier: MIT */
/*
 * Groups: a list of members and a number to wait for.
 *
 * A member is on the list from its start until it has ended, and takes itself
 * off under the latch; so whoever has the latch may cancel those on the list.
 *
 * Threads: see celadon/group.h.
 *
 * Tests: unit/test_group.c
 */
#include "celadon/group.h"

#include <errno.h>

#include "base/check.h"
#include "celadon/workers.h"
#include "sched/run.h"
#include "sched/team.h"
#include "sync/queue.h"

/* Invariant: somebody waits => there are members.  Guarded by the latch. */
struct cel_group {
    struct cel__queue queue;
    struct cel__link members; /* struct cel_coro by `member` */
    cel_time bound;           /* of each member, from the one who opened it */
    int error;                /* of the first member that failed, or 0 */
    bool keep_going;          /* a failure does not cancel the others */
    bool cancelled;           /* by the user: no failure */
    bool closed;              /* no new members */
};

/* For a dump: the member of that number. */
static const struct cel__coro *
member(void *object, size_t number)
{
    struct cel_group *group = object;
    struct cel__worker *me = cel__queue_enter(&group->queue.latch,
                                              CEL_AT_ONCE);
    const struct cel_coro *one;
    const struct cel__coro *coro = NULL;

    cel__list_foreach (one, &group->members, member) {
        if (number-- == 0) {
            coro = &one->coro;
            break;
        }
    }
    cel__latch_give(&group->queue.latch, me);
    return coro;
}

static const struct cel__awaited awaited_group = {
    .what = "the end of a group", .holder = member, .relation = "of"};

int
cel_group_open(cel_group **out, unsigned flags)
{
    struct cel__worker *me = cel__worker();
    struct cel_group *group;

    if ((flags & ~CEL_GROUP_KEEP_GOING) != 0) {
        return -EINVAL;
    }
    int err = cel__queue_open(&group, sizeof(*group));
    if (err < 0) {
        return err;
    }
    cel__list_init(&group->members);
    group->bound = me == NULL ? CEL_FOREVER : me->current->bound;
    group->keep_going = (flags & CEL_GROUP_KEEP_GOING) != 0;
    *out = group;
    return 0;
}

/* Cancel who is left and let nobody in; the latch is held. */
static void
cancel_all(struct cel_group *group, struct cel__worker *me)
{
    struct cel_coro *coro;

    group->closed = true;
    cel__list_foreach (coro, &group->members, member) {
        cel__cancel_late(me, &coro->coro);
    }
}

/* Let go of the latch after cancel_all().  Members at other workers may not
   have taken it yet: then it is still biased, and giving it wakes nobody. */
static void
give_and_settle(struct cel_group *group, struct cel__worker *me)
{
    cel__latch_give(&group->queue.latch, me);
    if (me != NULL) {
        cel__worker_settle(me);
    }
}

static struct cel__coro *
end(struct cel_coro *self)
{
    struct cel_group *group = self->group;
    struct cel__worker *me = self->coro.worker;

    cel__latch_take(&group->queue.latch, me);
    cel__list_remove(&self->member);
    bool failed = self->result < 0 &&
                  !(group->cancelled && self->result == -ECANCELED);
    if (failed && group->error == 0) {
        group->error = self->result;
        if (!group->keep_going) {
            cancel_all(group, me);
        }
    }
    if (cel__list_empty(&group->members)) {
        while (cel__queue_pass(&group->queue, 0, me)) {}
    }
    give_and_settle(group, me);
    cel__run_end(self);
    return NULL;
}

static struct cel__coro *
entry(struct cel__coro *coro)
{
    struct cel_coro *self = (struct cel_coro *)coro;

    int result = self->member_fn(self->arg);
    self->result = result; /* where `arg` was */
    return cel__run_leave(self);
}

/* Start a member at worker `index` of `run`. */
static int
go_at(struct cel_group *group, struct cel__run *run, unsigned index,
      int (*fn)(void *arg), void *arg)
{
    struct cel_coro *self;

    int err = cel__team_new(run, index, &self, entry, end);
    if (err < 0) {
        return err;
    }
    self->member_fn = fn;
    self->arg = arg;
    self->group = group;
    cel__latch_take(&group->queue.latch, run->worker);
    self->coro.bound = group->bound;
    bool closed = group->closed;
    if (!closed) {
        cel__list_append(&group->members, &self->member);
    }
    cel__latch_give(&group->queue.latch, run->worker);
    if (closed) {
        cel__team_discard(run, self);
        return -ECANCELED;
    }
    cel__team_start(run, self);
    return 0;
}

int
cel_group_go(cel_group *group, int (*fn)(void *arg), void *arg)
{
    struct cel__run *run = cel__run_current();

    return run == NULL ? -EPERM : go_at(group, run, run->index, fn, arg);
}

int
cel_group_go_on(cel_group *group, int worker, int (*fn)(void *arg), void *arg)
{
    struct cel__run *run = cel__run_current();

    if (run == NULL) {
        return -EPERM;
    }
    if (worker < 0 || worker >= cel_workers()) {
        return -EINVAL;
    }
    return go_at(group, run, (unsigned)worker, fn, arg);
}

int
cel_group_go_spread(cel_group *group, int (*fn)(void *arg), void *arg)
{
    struct cel__run *run = cel__run_current();

    return run == NULL ? -EPERM
                       : go_at(group, run, cel__team_anywhere(run), fn, arg);
}

int
cel_group_wait(cel_group *group, cel_time deadline)
{
    struct cel__worker *me = cel__queue_enter(&group->queue.latch, deadline);
    struct cel_coro *self = cel_self();
    int code = 0;

    if (self != NULL && self->group == group) {
        code = -EDEADLK;
    }
    else if (!cel__list_empty(&group->members)) {
        return cel__queue_wait(&group->queue, me, deadline, &awaited_group);
    }
    cel__latch_give(&group->queue.latch, me);
    return code;
}

void
cel_group_cancel(cel_group *group)
{
    struct cel__worker *me = cel__queue_enter(&group->queue.latch,
                                              CEL_AT_ONCE);

    group->cancelled = true;
    cancel_all(group, me);
    give_and_settle(group, me);
}

int
cel_group_error(cel_group *group)
{
    struct cel__worker *me = cel__queue_enter(&group->queue.latch,
                                              CEL_AT_ONCE);
    int error = group->error;
    cel__latch_give(&group->queue.latch, me);
    return error;
}

int
cel_group_close(cel_group *group)
{
    if (group == NULL) {
        return 0;
    }
    struct cel__worker *me = cel__queue_enter(&group->queue.latch,
                                              CEL_AT_ONCE);
    if (!cel__list_empty(&group->members)) {
        cel__assert(me != NULL && cel_self()->group != group);
        cel__latch_give(&group->queue.latch, me);
        cel_group_cancel(group);
        cel__latch_take(&group->queue.latch, me);
    }
    if (!cel__list_empty(&group->members)) {
        (void)cel__queue_wait_firmly(&group->queue, me, &awaited_group);
    }
    else {
        cel__latch_give(&group->queue.latch, me);
    }
    int error = group->error;
    cel__queue_close(group);
    return error;
}
