/* SPDX-License-Identifier: MIT */
/*
 * Coroutines that do things at random, by a seed: channels and select, locks,
 * groups, scopes, joins and cancels, all at the same objects, at one worker
 * and at several.  What comes of one call is anybody's guess; that nothing is
 * lost, that nobody is where another one is, and that all ends, is not.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "celadon.h"
#include "many.h"

enum {
    CHANS = 4,
    MUTEXES = 2,
    SEMS = 2,
    FIRST = 30,  /* coroutines to begin with */
    COROS = 400, /* started in a storm, at most */
    DEEPEST = 6  /* of coroutines that start others, scopes in scopes */
};

/* What all of a storm share; the pointers stay as they are. */
struct storm {
    cel_chan *chans[CHANS];
    cel_mutex *mutexes[MUTEXES];
    cel_mutex *guard; /* of `cond` */
    cel_cond *cond;
    cel_rwlock *rwlock;
    cel_sem *sem;
    atomic_int inside[MUTEXES]; /* who hold them */
    atomic_int guarding;        /* likewise of `guard` */
    atomic_int readers;         /* of `rwlock` */
    atomic_int writers;
    atomic_int left; /* coroutines that may still be started */
    atomic_int started;
    atomic_int ended;
    atomic_ullong sent; /* the sum of values that were sent */
    atomic_ullong received;
    atomic_int posted; /* counts given to `sem` and taken from it */
    atomic_int taken;
};

/* One coroutine of it. */
struct actor {
    struct storm *storm;
    uint64_t dice;
    int depth;
};

static void act(struct actor *self);

/* A number below `n`. */
static unsigned
roll(struct actor *self, unsigned n)
{
    self->dice = self->dice * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(((self->dice >> 32) * n) >> 32);
}

static cel_time
soon(struct actor *self)
{
    switch (roll(self, 4)) {
    case 0:
        return CEL_AT_ONCE;
    case 1:
        return cel_after(roll(self, 20000));
    default:
        return cel_after(roll(self, 2000000));
    }
}

/* What a call that waits may return; whether it did what it should. */
static bool
did(int code)
{
    CHECK(code >= 0 || code == -ETIMEDOUT || code == -ECANCELED);
    return code >= 0;
}

static void
linger(struct actor *self)
{
    if (roll(self, 2) == 0) {
        (void)did(cel_yield());
    }
    else {
        (void)did(cel_sleep(soon(self)));
    }
}

/* ---- what they do */

static void
note(struct storm *storm, enum cel_case_op op, uint64_t value)
{
    atomic_fetch_add(op == CEL_SEND ? &storm->sent : &storm->received, value);
}

static void
exchange(struct actor *self)
{
    struct storm *storm = self->storm;
    cel_case cases[5];
    uint64_t values[5];
    size_t n = roll(self, 6);

    for (size_t i = 0; i < n; i++) {
        values[i] = roll(self, 1000000);
        cases[i] = (cel_case){
            .op = roll(self, 2) == 0 ? CEL_SEND : CEL_RECV,
            .chan = storm->chans[roll(self, CHANS)],
            .value = &values[i],
        };
    }
    int i = 0;
    if (n != 1) {
        i = cel_select(cases, n, soon(self));
    }
    else if (cases[0].op == CEL_SEND) {
        i = cel_chan_send(cases[0].chan, &values[0], soon(self));
    }
    else {
        i = cel_chan_recv(cases[0].chan, &values[0], soon(self));
    }
    if (did(i)) {
        note(storm, (enum cel_case_op)cases[i].op, values[i]);
    }
}

static void
hold(struct actor *self)
{
    struct storm *storm = self->storm;
    unsigned i = roll(self, MUTEXES);

    CHECK_EQ(cel_mutex_unlock(storm->mutexes[i]), -EPERM);
    if (did(cel_mutex_lock(storm->mutexes[i], soon(self)))) {
        CHECK_EQ(atomic_fetch_add(&storm->inside[i], 1), 0);
        linger(self);
        CHECK_EQ(atomic_fetch_sub(&storm->inside[i], 1), 1);
        CHECK_EQ(cel_mutex_unlock(storm->mutexes[i]), 0);
    }
}

static void
await(struct actor *self)
{
    struct storm *storm = self->storm;

    if (did(cel_mutex_lock(storm->guard, soon(self)))) {
        (void)did(cel_cond_wait(storm->cond, storm->guard, soon(self)));
        CHECK_EQ(atomic_fetch_add(&storm->guarding, 1), 0);
        (void)did(cel_yield());
        CHECK_EQ(atomic_fetch_sub(&storm->guarding, 1), 1);
        cel_cond_signal(storm->cond);
        CHECK_EQ(cel_mutex_unlock(storm->guard), 0);
    }
}

static void
read_or_write(struct actor *self)
{
    struct storm *storm = self->storm;
    bool writes = roll(self, 2) == 0;

    if (!did(writes ? cel_rwlock_write(storm->rwlock, soon(self))
                    : cel_rwlock_read(storm->rwlock, soon(self)))) {
        return;
    }
    atomic_fetch_add(writes ? &storm->writers : &storm->readers, 1);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(atomic_load(&storm->writers), writes ? 1 : 0);
        CHECK(!writes || atomic_load(&storm->readers) == 0);
        linger(self);
    }
    atomic_fetch_sub(writes ? &storm->writers : &storm->readers, 1);
    CHECK_EQ(cel_rwlock_unlock(storm->rwlock), 0);
}

static void
count(struct actor *self)
{
    struct storm *storm = self->storm;

    if (roll(self, 2) == 0) {
        atomic_fetch_add(&storm->posted, 1);
        cel_sem_post(storm->sem);
    }
    else if (did(cel_sem_wait(storm->sem, soon(self)))) {
        atomic_fetch_add(&storm->taken, 1);
    }
}

static void
bound(struct actor *self)
{
    cel_scope scope;

    if (self->depth >= DEEPEST) {
        return;
    }
    if (roll(self, 2) == 0) {
        CHECK_EQ(cel_scope_enter(&scope, soon(self)), 0);
    }
    else {
        CHECK_EQ(cel_scope_shield(&scope, soon(self)), 0);
    }
    self->depth++;
    act(self);
    act(self);
    self->depth--;
    int code = cel_scope_leave(&scope);
    CHECK(code == 0 || code == -ETIMEDOUT);
}

/* ---- coroutines */

static void
live(void *arg)
{
    struct actor self = *(struct actor *)arg;

    free(arg);
    for (unsigned n = 1 + roll(&self, 6); n > 0; n--) {
        act(&self);
    }
    atomic_fetch_add(&self.storm->ended, 1);
}

static int
live_in_group(void *arg)
{
    int result = (int)roll(arg, 2) - 1;

    live(arg);
    return result;
}

/* Another one, by this one's dice; NULL: no more of them. */
static struct actor *
breed(struct actor *self)
{
    if (self->depth >= DEEPEST ||
        atomic_fetch_sub(&self->storm->left, 1) <= 0) {
        return NULL;
    }
    struct actor *child = malloc(sizeof(*child));
    CHECK(child != NULL);
    *child = *self;
    child->depth++;
    child->dice ^= (uint64_t)roll(self, UINT32_MAX) << 20;
    atomic_fetch_add(&self->storm->started, 1);
    return child;
}

static void
raise_children(struct actor *self)
{
    cel_coro *coros[3];
    int n = 0;

    for (struct actor *child; n < 3 && (child = breed(self)) != NULL; n++) {
        int worker = (int)roll(self, (unsigned)cel_workers());
        int code = n == 0   ? cel_go(&coros[n], live, child)
                   : n == 1 ? cel_go_on(&coros[n], worker, live, child)
                            : cel_go_spread(&coros[n], live, child);
        CHECK_EQ(code, 0);
    }
    for (int i = 0; i < n; i++) {
        if (roll(self, 2) == 0) {
            linger(self);
            cel_cancel(coros[i]);
        }
    }
    for (int i = 0; i < n; i++) {
        (void)did(cel_join(coros[i], soon(self))); /* or the run does */
    }
}

static void
gather(struct actor *self)
{
    cel_group *group;
    struct actor *child;

    CHECK_EQ(cel_group_open(&group, roll(self, 2)), 0);
    for (int n = 0; n < 3 && (child = breed(self)) != NULL; n++) {
        int code = n == 0 ? cel_group_go(group, live_in_group, child)
                          : cel_group_go_spread(group, live_in_group, child);
        if (!did(code)) {
            atomic_fetch_sub(&self->storm->started, 1);
            free(child);
        }
        linger(self);
    }
    (void)did(cel_group_wait(group, soon(self)));
    CHECK_LE(cel_group_close(group), 0);
}

static void
act(struct actor *self)
{
    static void (*const acts[])(struct actor *) = {
        exchange, exchange,       exchange, hold,   await, read_or_write,
        count,    raise_children, gather,   linger, bound,
    };

    acts[roll(self, sizeof(acts) / sizeof(acts[0]))](self);
}

/* ---- storms */

static int
begin(void *arg)
{
    struct actor *self = arg;
    struct actor *child;

    for (int n = 0; n < FIRST && (child = breed(self)) != NULL; n++) {
        CHECK_EQ(cel_go_spread(NULL, live, child), 0);
    }
    while (atomic_load(&self->storm->left) > 0) {
        raise_children(self);
    }
    return 0;
}

static void
open_all(struct storm *storm)
{
    for (size_t i = 0; i < CHANS; i++) {
        CHECK_EQ(cel_chan_open(&storm->chans[i], sizeof(uint64_t), i), 0);
    }
    for (size_t i = 0; i < MUTEXES; i++) {
        CHECK_EQ(cel_mutex_open(&storm->mutexes[i]), 0);
    }
    CHECK_EQ(cel_mutex_open(&storm->guard), 0);
    CHECK_EQ(cel_cond_open(&storm->cond), 0);
    CHECK_EQ(cel_rwlock_open(&storm->rwlock), 0);
    CHECK_EQ(cel_sem_open(&storm->sem, SEMS), 0);
}

/* Nobody is left: what is in the objects is all that was not taken out. */
static void
settle_accounts(struct storm *storm)
{
    uint64_t value;

    CHECK_EQ(storm->ended, storm->started);
    for (size_t i = 0; i < CHANS; i++) {
        while (cel_chan_recv(storm->chans[i], &value, CEL_AT_ONCE) == 0) {
            note(storm, CEL_RECV, value);
        }
        cel_chan_close(storm->chans[i]);
    }
    CHECK_EQ(storm->received, storm->sent);
    while (cel_sem_wait(storm->sem, CEL_AT_ONCE) == 0) {
        storm->taken++;
    }
    CHECK_EQ(storm->taken, storm->posted + SEMS);
    for (size_t i = 0; i < MUTEXES; i++) {
        cel_mutex_close(storm->mutexes[i]);
    }
    cel_mutex_close(storm->guard);
    cel_cond_close(storm->cond);
    cel_rwlock_close(storm->rwlock);
    cel_sem_close(storm->sem);
}

static void
blow(int workers, uint64_t seed)
{
    struct storm storm = {.left = COROS};
    struct actor first = {.storm = &storm, .dice = seed};

    printf("seed %d\n", (int)seed);
    open_all(&storm);
    CHECK_EQ(run_on(workers, begin, &first), 0);
    settle_accounts(&storm);
}

TEST(nothing_is_lost_in_a_storm_at_one_worker)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        blow(1, seed);
    }
}

TEST(nothing_is_lost_in_a_storm_at_three_workers)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        blow(3, seed);
    }
}
