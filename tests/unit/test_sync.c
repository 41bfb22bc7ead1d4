/* SPDX-License-Identifier: MIT */
/*
 * Locks and the like between coroutines of one worker.
 */
#include "celadon/sync.h"

#include <errno.h>

#include "coros.h"

/* Who waits for something; its parts are set by each test. */
struct party {
    cel_mutex *mutex;
    cel_rwlock *lock;
    cel_cond *cond;
    cel_sem *sem;
    cel_event *event;
    cel_wg *wg;
    bool writes;
    cel_time deadline;
    int code;
    int turn; /* the how-manieth to be served */
};

static int turns;

static void
served(struct party *self, int code)
{
    self->code = code;
    self->turn = ++turns;
}

static struct party
waiting(void)
{
    return (struct party){.deadline = CEL_FOREVER, .code = 1};
}

/* Wake-ups of a test that is only sure of its order without the dice. */
static void
check_turn(const struct party *party, int turn)
{
    if (!CEL__HARD) {
        CHECK_EQ(party->turn, turn);
    }
}

/*
 * Mutex.
 */

static void
lock_and_hold(void *arg)
{
    struct party *self = arg;

    served(self, cel_mutex_lock(self->mutex, self->deadline));
    if (self->code == 0) {
        (void)cel_yield();
        CHECK_EQ(cel_mutex_unlock(self->mutex), 0);
    }
}

static int
mutex_in_turn(void *arg)
{
    struct party parties[3];
    cel_coro *coros[3];
    cel_mutex *mutex;

    (void)arg;
    CHECK_EQ(cel_mutex_open(&mutex), 0);
    CHECK_EQ(cel_mutex_unlock(mutex), -EPERM);
    CHECK_EQ(cel_mutex_lock(mutex, CEL_AT_ONCE), 0);
    CHECK_EQ(cel_mutex_lock(mutex, CEL_FOREVER), -EDEADLK);
    for (int i = 0; i < 3; i++) {
        parties[i] = waiting();
        parties[i].mutex = mutex;
        coros[i] = go(lock_and_hold, &parties[i]);
        settle();
    }
    CHECK_EQ(cel_mutex_unlock(mutex), 0);
    /* It is the first one's, though that has not run. */
    CHECK_EQ(cel_mutex_lock(mutex, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_mutex_unlock(mutex), -EPERM);
    CHECK_EQ(cel_mutex_lock(mutex, CEL_FOREVER), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(parties[i].code, 0);
        CHECK_EQ(parties[i].turn, i + 1);
    }
    CHECK_EQ(cel_mutex_unlock(mutex), 0);
    for (int i = 0; i < 3; i++) {
        join(coros[i]);
    }
    cel_mutex_close(mutex);
    cel_mutex_close(NULL);
    return 0;
}

TEST(a_mutex_goes_to_who_waits_longest)
{
    run(mutex_in_turn);
}

static int
mutex_given_up(void *arg)
{
    struct party late = waiting();
    struct party cancelled = waiting();
    struct party lucky = waiting();

    (void)arg;
    CHECK_EQ(cel_mutex_open(&late.mutex), 0);
    cancelled.mutex = late.mutex;
    lucky.mutex = late.mutex;
    late.deadline = cel_after(CEL_MSEC);
    CHECK_EQ(cel_mutex_lock(late.mutex, CEL_FOREVER), 0);
    cel_coro *one = go(lock_and_hold, &late);
    cel_coro *two = go(lock_and_hold, &cancelled);
    cel_coro *three = go(lock_and_hold, &lucky);
    settle();
    cel_cancel(two);
    join(one);
    join(two);
    CHECK_EQ(late.code, -ETIMEDOUT);
    CHECK_EQ(cancelled.code, -ECANCELED);
    CHECK_EQ(cel_mutex_unlock(late.mutex), 0);
    cel_cancel(three); /* too late: it holds the mutex */
    join(three);
    CHECK_EQ(lucky.code, 0);
    CHECK_EQ(cel_mutex_lock(late.mutex, CEL_AT_ONCE), 0);
    CHECK_EQ(cel_mutex_unlock(late.mutex), 0);
    cel_mutex_close(late.mutex);
    return 0;
}

TEST(a_mutex_is_not_lost_to_who_gave_up)
{
    run(mutex_given_up);
}

TEST(outside_of_a_coroutine_locks_say_so)
{
    cel_once once = CEL_ONCE_INIT;
    struct party party = waiting();
    cel_rwlock *lock;

    (void)once;
    CHECK_EQ(cel_mutex_open(&party.mutex), 0);
    CHECK_EQ(cel_cond_open(&party.cond), 0);
    CHECK_EQ(cel_rwlock_open(&lock), 0);
    CHECK_EQ(cel_sem_open(&party.sem, 1), 0);
    CHECK_EQ(cel_event_open(&party.event), 0);
    CHECK_EQ(cel_wg_open(&party.wg), 0);
    CHECK_EQ(cel_mutex_lock(party.mutex, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_mutex_unlock(party.mutex), -EPERM);
    CHECK_EQ(cel_cond_wait(party.cond, party.mutex, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_rwlock_read(lock, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_rwlock_write(lock, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_rwlock_unlock(lock), -EPERM);
    CHECK_EQ(cel_sem_wait(party.sem, CEL_FOREVER), 0);
    CHECK_EQ(cel_sem_wait(party.sem, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_event_wait(party.event, CEL_FOREVER), -EPERM);
    cel_event_set(party.event);
    CHECK_EQ(cel_event_wait(party.event, CEL_FOREVER), 0);
    CHECK_EQ(cel_wg_add(party.wg, 1), 0);
    CHECK_EQ(cel_wg_wait(party.wg, CEL_FOREVER), -EPERM);
    cel_mutex_close(party.mutex);
    cel_cond_close(party.cond);
    cel_rwlock_close(lock);
    cel_sem_close(party.sem);
    cel_event_close(party.event);
    cel_wg_close(party.wg);
}

/*
 * Reader-writer lock.
 */

static void
read_or_write(void *arg)
{
    struct party *self = arg;

    served(self, self->writes ? cel_rwlock_write(self->lock, self->deadline)
                              : cel_rwlock_read(self->lock, self->deadline));
}

/* The coroutines of `parties`, each waiting; `kinds` is of r and w. */
static void
queue_up(struct party *parties, cel_coro **coros, cel_rwlock *lock,
         const char *kinds)
{
    for (int i = 0; kinds[i] != '\0'; i++) {
        parties[i] = waiting();
        parties[i].lock = lock;
        parties[i].writes = kinds[i] == 'w';
        coros[i] = go(read_or_write, &parties[i]);
        settle();
    }
}

static int
rwlock_in_turn(void *arg)
{
    struct party parties[5];
    cel_coro *coros[5];
    cel_rwlock *lock;

    (void)arg;
    CHECK_EQ(cel_rwlock_open(&lock), 0);
    CHECK_EQ(cel_rwlock_unlock(lock), -EPERM);
    CHECK_EQ(cel_rwlock_read(lock, CEL_AT_ONCE), 0);
    CHECK_EQ(cel_rwlock_read(lock, CEL_AT_ONCE), 0);
    CHECK_EQ(cel_rwlock_write(lock, CEL_AT_ONCE), -ETIMEDOUT);
    queue_up(parties, coros, lock, "wrrwr");
    /* A reader does not overtake the writer that waits. */
    CHECK_EQ(cel_rwlock_read(lock, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_rwlock_unlock(lock), 0);
    settle();
    CHECK_EQ(parties[0].code, 1);
    CHECK_EQ(cel_rwlock_unlock(lock), 0);
    settle();
    CHECK_EQ(parties[0].code, 0);
    CHECK_EQ(parties[1].code, 1);
    join(coros[0]);
    /* It has ended with the lock; who holds it is known by its stack only. */
    CHECK_EQ(cel_rwlock_unlock(lock), -EPERM);
    for (int i = 1; i < 5; i++) {
        cel_cancel(coros[i]);
        join(coros[i]);
        CHECK_EQ(parties[i].code, -ECANCELED);
    }
    cel_rwlock_close(lock);
    return 0;
}

TEST(readers_and_writers_are_served_in_turn)
{
    run(rwlock_in_turn);
}

static int
rwlock_given_up(void *arg)
{
    struct party parties[3];
    cel_coro *coros[3];
    cel_rwlock *lock;

    (void)arg;
    CHECK_EQ(cel_rwlock_open(&lock), 0);
    CHECK_EQ(cel_rwlock_read(lock, CEL_FOREVER), 0);
    queue_up(parties, coros, lock, "wrr");
    CHECK_EQ(parties[1].code, 1);
    cel_cancel(coros[0]);
    for (int i = 0; i < 3; i++) {
        join(coros[i]);
        CHECK_EQ(parties[i].code, i == 0 ? -ECANCELED : 0);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(cel_rwlock_unlock(lock), 0);
    }
    CHECK_EQ(cel_rwlock_write(lock, CEL_FOREVER), 0);
    CHECK_EQ(cel_rwlock_write(lock, CEL_FOREVER), -EDEADLK);
    CHECK_EQ(cel_rwlock_read(lock, CEL_FOREVER), -EDEADLK);
    CHECK_EQ(cel_rwlock_unlock(lock), 0);
    CHECK_EQ(cel_rwlock_unlock(lock), -EPERM);
    cel_rwlock_close(lock);
    return 0;
}

TEST(readers_go_when_the_writer_before_them_gives_up)
{
    run(rwlock_given_up);
}

/*
 * Condition.
 */

static void
wait_for_signal(void *arg)
{
    struct party *self = arg;

    CHECK_EQ(cel_mutex_lock(self->mutex, CEL_FOREVER), 0);
    served(self, cel_cond_wait(self->cond, self->mutex, self->deadline));
    CHECK_EQ(cel_mutex_unlock(self->mutex), 0);
}

static int
cond_signals(void *arg)
{
    struct party parties[4];
    cel_coro *coros[4];
    cel_mutex *mutex;
    cel_cond *cond;

    (void)arg;
    CHECK_EQ(cel_mutex_open(&mutex), 0);
    CHECK_EQ(cel_cond_open(&cond), 0);
    CHECK_EQ(cel_cond_wait(cond, mutex, CEL_FOREVER), -EPERM);
    cel_cond_signal(cond); /* nobody waits: it is forgotten */
    for (int i = 0; i < 4; i++) {
        parties[i] = waiting();
        parties[i].mutex = mutex;
        parties[i].cond = cond;
        coros[i] = go(wait_for_signal, &parties[i]);
        settle();
    }
    cel_cond_signal(cond);
    join(coros[0]);
    CHECK_EQ(parties[0].code, 0);
    CHECK_EQ(parties[1].code, 1);
    CHECK_EQ(cel_mutex_lock(mutex, CEL_FOREVER), 0); /* may suspend */
    cel_cancel(coros[1]);
    cel_cond_broadcast(cond);
    cel_cond_broadcast(cond);
    settle();
    CHECK_EQ(turns, 1); /* they are woken, and wait for the mutex */
    CHECK_EQ(cel_mutex_unlock(mutex), 0);
    for (int i = 1; i < 4; i++) {
        join(coros[i]);
        CHECK_EQ(parties[i].code, 0); /* signals beat the cancel */
        check_turn(&parties[i], i + 1);
    }
    CHECK_EQ(cel_mutex_lock(mutex, CEL_FOREVER), 0);
    CHECK_EQ(cel_cond_wait(cond, mutex, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_cond_wait(cond, mutex, cel_after(CEL_MSEC)), -ETIMEDOUT);
    CHECK_EQ(cel_mutex_unlock(mutex), 0);
    cel_cond_close(cond);
    cel_mutex_close(mutex);
    return 0;
}

TEST(a_signal_wakes_one_and_a_broadcast_all)
{
    run(cond_signals);
}

static int
cond_cancelled(void *arg)
{
    struct party party = waiting();

    (void)arg;
    CHECK_EQ(cel_mutex_open(&party.mutex), 0);
    CHECK_EQ(cel_cond_open(&party.cond), 0);
    cel_coro *coro = go(wait_for_signal, &party);
    settle();
    CHECK_EQ(cel_mutex_lock(party.mutex, CEL_FOREVER), 0);
    cel_cancel(coro);
    settle();
    CHECK_EQ(party.code, 1); /* for the mutex it waits all the same */
    CHECK_EQ(cel_mutex_unlock(party.mutex), 0);
    join(coro);
    CHECK_EQ(party.code, -ECANCELED);
    cel_cond_close(party.cond);
    cel_mutex_close(party.mutex);
    return 0;
}

TEST(a_cancelled_wait_for_a_condition_holds_the_mutex)
{
    run(cond_cancelled);
}

/*
 * Semaphore, event, wait group.
 */

static void
wait_for_any(void *arg)
{
    struct party *self = arg;
    int code;

    if (self->sem != NULL) {
        code = cel_sem_wait(self->sem, self->deadline);
    }
    else if (self->event != NULL) {
        code = cel_event_wait(self->event, self->deadline);
    }
    else {
        code = cel_wg_wait(self->wg, self->deadline);
    }
    served(self, code);
}

static int
sem_counts(void *arg)
{
    struct party parties[3];
    cel_coro *coros[3];
    cel_sem *sem;

    (void)arg;
    CHECK_EQ(cel_sem_open(&sem, 2), 0);
    CHECK_EQ(cel_sem_wait(sem, CEL_FOREVER), 0);
    CHECK_EQ(cel_sem_wait(sem, CEL_AT_ONCE), 0);
    CHECK_EQ(cel_sem_wait(sem, CEL_AT_ONCE), -ETIMEDOUT);
    for (int i = 0; i < 3; i++) {
        parties[i] = waiting();
        parties[i].sem = sem;
        coros[i] = go(wait_for_any, &parties[i]);
        settle();
    }
    cel_cancel(coros[1]);
    cel_sem_post(sem);
    CHECK_EQ(cel_sem_wait(sem, CEL_AT_ONCE), -ETIMEDOUT);
    cel_cancel(coros[0]);
    join(coros[0]);
    join(coros[1]);
    CHECK_EQ(parties[0].code, 0);
    CHECK_EQ(parties[1].code, -ECANCELED);
    cel_sem_post(sem);
    join(coros[2]);
    CHECK_EQ(parties[2].code, 0);
    cel_sem_post(sem);
    CHECK_EQ(cel_sem_wait(sem, CEL_FOREVER), 0);
    CHECK_EQ(cel_sem_wait(sem, cel_after(CEL_MSEC)), -ETIMEDOUT);
    cel_sem_close(sem);
    return 0;
}

TEST(a_semaphore_counts_and_loses_nothing)
{
    run(sem_counts);
}

static int
event_happens(void *arg)
{
    struct party parties[3];
    cel_coro *coros[3];
    cel_event *event;

    (void)arg;
    CHECK_EQ(cel_event_open(&event), 0);
    CHECK_EQ(cel_event_is_set(event), 0);
    CHECK_EQ(cel_event_wait(event, CEL_AT_ONCE), -ETIMEDOUT);
    for (int i = 0; i < 3; i++) {
        parties[i] = waiting();
        parties[i].event = event;
        coros[i] = go(wait_for_any, &parties[i]);
    }
    settle();
    cel_cancel(coros[1]);
    settle();
    cel_event_set(event);
    CHECK_EQ(cel_event_is_set(event), 1);
    CHECK_EQ(cel_event_wait(event, CEL_FOREVER), 0);
    cel_event_clear(event);
    for (int i = 0; i < 3; i++) {
        join(coros[i]);
        CHECK_EQ(parties[i].code, i == 1 ? -ECANCELED : 0);
    }
    CHECK_EQ(cel_event_wait(event, cel_after(CEL_MSEC)), -ETIMEDOUT);
    cel_event_close(event);
    return 0;
}

TEST(an_event_wakes_all_even_if_it_is_cleared)
{
    run(event_happens);
}

static int
wg_counts(void *arg)
{
    struct party party = waiting();

    (void)arg;
    CHECK_EQ(cel_wg_open(&party.wg), 0);
    CHECK_EQ(cel_wg_wait(party.wg, CEL_FOREVER), 0);
    CHECK_EQ(cel_wg_done(party.wg), -EINVAL);
    CHECK_EQ(cel_wg_add(party.wg, 3), 0);
    CHECK_EQ(cel_wg_add(party.wg, -4), -EINVAL);
    cel_coro *coro = go(wait_for_any, &party);
    settle();
    CHECK_EQ(cel_wg_done(party.wg), 0);
    CHECK_EQ(cel_wg_add(party.wg, -1), 0);
    settle();
    CHECK_EQ(party.code, 1);
    CHECK_EQ(cel_wg_wait(party.wg, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_wg_done(party.wg), 0);
    join(coro);
    CHECK_EQ(party.code, 0);
    CHECK_EQ(cel_wg_add(party.wg, PTRDIFF_MAX), 0);
    CHECK_EQ(cel_wg_add(party.wg, PTRDIFF_MIN), -EINVAL);
    CHECK_EQ(cel_wg_add(party.wg, PTRDIFF_MAX), 0);
    CHECK_EQ(cel_wg_add(party.wg, PTRDIFF_MAX), -EINVAL);
    cel_wg_close(party.wg);
    return 0;
}

TEST(a_wait_group_ends_at_none)
{
    run(wg_counts);
}

/*
 * Once.
 */

static cel_once once;

struct doing {
    int ncalls;
    int code; /* what it is to return */
    int got;
};

static int
do_it(void *arg)
{
    struct doing *doing = arg;

    doing->ncalls++;
    int code = cel_sleep(cel_after(CEL_MSEC));
    return code < 0 ? code : doing->code;
}

static void
do_once(void *arg)
{
    struct doing *doing = arg;

    doing->got = cel_once_run(&once, do_it, doing, CEL_FOREVER);
}

static int
once_only(void *arg)
{
    struct doing doings[5] = {{.code = -EIO}, {.code = -EBADF}};
    cel_coro *coros[5];

    (void)arg;
    for (int i = 0; i < 5; i++) {
        coros[i] = go(do_once, &doings[i]);
        settle();
    }
    CHECK_EQ(cel_once_run(&once, do_it, &doings[0], CEL_AT_ONCE), -ETIMEDOUT);
    cel_cancel(coros[4]);
    for (int i = 0; i < 5; i++) {
        join(coros[i]);
    }
    CHECK_EQ(doings[0].got, -EIO);
    CHECK_EQ(doings[1].got, -EBADF);
    CHECK_EQ(doings[2].got, 0);
    CHECK_EQ(doings[3].got, 0);
    CHECK_EQ(doings[4].got, -ECANCELED);
    CHECK_EQ(doings[0].ncalls + doings[1].ncalls + doings[2].ncalls, 3);
    CHECK_EQ(doings[3].ncalls + doings[4].ncalls, 0);
    CHECK_EQ(cel_once_run(&once, do_it, &doings[0], CEL_AT_ONCE), 0);
    return 0;
}

TEST(once_is_once_unless_it_fails)
{
    run(once_only);
}

static int
once_given_up(void *arg)
{
    struct doing alone = {.code = -EIO};

    (void)arg;
    join(go(do_once, &alone));
    CHECK_EQ(alone.got, -EIO);
    alone.code = 7;
    join(go(do_once, &alone));
    CHECK_EQ(alone.got, 0);
    CHECK_EQ(alone.ncalls, 2);
    return 0;
}

TEST(once_failed_is_tried_by_who_comes_next)
{
    run(once_given_up);
}
