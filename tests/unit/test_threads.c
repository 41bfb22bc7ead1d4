/* SPDX-License-Identifier: MIT */
/*
 * Channels and locks between the workers of several threads: seeded stress.
 *
 * Each thread runs coroutines of its own; all meet at the same objects, with
 * random deadlines and cancels.  What was sent must have arrived, once; what
 * was locked must have been locked by one.  CELADON_SEED plays a run again;
 * CELADON_TEST_SECONDS makes it longer than the half second it has.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "celadon.h"
#include "coros.h"

enum {
    NTHREADS = 3,
    NCOROS = 8, /* of a thread, in each role */
    NCHANS = 3,
    NOUTSIDE = 200 /* values that a thread without a worker sends */
};

/* A generator of random numbers, one a coroutine. */
struct dice {
    uint64_t state;
};

static uint32_t
roll(struct dice *dice, uint32_t n)
{
    dice->state = dice->state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(((dice->state >> 32) * n) >> 32);
}

static uint64_t seed;
static cel_time end; /* of the stress */

/* A deadline that passes often enough. */
static cel_time
some_deadline(struct dice *dice)
{
    switch (roll(dice, 4)) {
    case 0:
        return CEL_AT_ONCE;
    case 1:
        return cel_after(roll(dice, 200) * CEL_USEC);
    default:
        return CEL_FOREVER;
    }
}

static bool
is_expected(int code)
{
    return code == 0 || code == -ETIMEDOUT || code == -ECANCELED;
}

static void
begin(void)
{
    const char *given = getenv("CELADON_SEED");
    const char *seconds = getenv("CELADON_TEST_SECONDS");

    seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)cel_now();
    printf("CELADON_SEED=%llu\n", (unsigned long long)seed);
    end = cel_after(
        (cel_time)((seconds != NULL ? strtod(seconds, NULL) : 0.5) * 1e9));
}

/* Run `fn` in a worker of its own in each of NTHREADS threads. */
static void
in_threads(void *(*thread)(void *arg))
{
    pthread_t threads[NTHREADS];

    begin();
    for (uintptr_t i = 0; i < NTHREADS; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, thread, (void *)i), 0);
    }
    for (int i = 0; i < NTHREADS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
}

/*
 * Channels.
 */

static cel_chan *chans[NCHANS];
static atomic_ullong sum_sent;
static atomic_ullong sum_received;
static atomic_ulong nsent;
static atomic_ulong nreceived;
static atomic_int nsenders; /* that have not ended */

struct actor {
    struct dice dice;
    cel_coro *coro;
};

static void
count_in(atomic_ullong *sum, atomic_ulong *n, uint64_t value)
{
    atomic_fetch_add(sum, value);
    atomic_fetch_add(n, 1);
}

static void
set_cases(cel_case *cases, uint64_t *values, int op)
{
    for (int i = 0; i < NCHANS; i++) {
        cases[i].chan = chans[i];
        cases[i].value = &values[i];
        cases[i].op = op;
    }
}

static void
keep_sending(void *arg)
{
    struct actor *self = arg;
    uint64_t values[NCHANS];
    cel_case cases[NCHANS];

    set_cases(cases, values, CEL_SEND);
    while (cel_now() < end && !cel_cancelled()) {
        for (int i = 0; i < NCHANS; i++) {
            values[i] = roll(&self->dice, 1000000);
        }
        cel_time deadline = some_deadline(&self->dice);
        int at = (int)roll(&self->dice, NCHANS);
        int code;
        if (roll(&self->dice, 2) == 0) {
            code = cel_select(cases, NCHANS, deadline);
            at = code < 0 ? at : code;
            code = code < 0 ? code : cases[at].result;
        }
        else {
            code = cel_chan_send(chans[at], &values[at], deadline);
        }
        CHECK(is_expected(code));
        if (code == 0) {
            count_in(&sum_sent, &nsent, values[at]);
        }
        else if (deadline == CEL_AT_ONCE) {
            (void)cel_yield();
        }
    }
    if (atomic_fetch_sub(&nsenders, 1) == 1) {
        for (int i = 0; i < NCHANS; i++) {
            cel_chan_shutdown(chans[i]);
        }
    }
}

static void
keep_receiving(void *arg)
{
    struct actor *self = arg;
    uint64_t values[NCHANS];
    cel_case cases[NCHANS];
    unsigned open = (1U << NCHANS) - 1; /* channels that may bring more */

    set_cases(cases, values, CEL_RECV);
    while (open != 0) {
        cel_time deadline = some_deadline(&self->dice);
        int at = (int)roll(&self->dice, NCHANS);
        int code;
        if (roll(&self->dice, 2) == 0) {
            code = cel_select(cases, NCHANS, deadline);
            at = code < 0 ? at : code;
            code = code < 0 ? code : cases[at].result;
        }
        else {
            code = cel_chan_recv(chans[at], &values[at], deadline);
        }
        CHECK(is_expected(code) || code == -EPIPE);
        if (code == 0) {
            count_in(&sum_received, &nreceived, values[at]);
        }
        else if (code == -EPIPE) {
            open &= ~(1U << at);
            cases[at].chan = NULL;
        }
        else {
            (void)cel_yield();
        }
    }
}

static int
send_and_receive(void *arg)
{
    struct actor actors[2 * NCOROS];
    struct dice dice = {seed + (uintptr_t)arg};

    for (int i = 0; i < 2 * NCOROS; i++) {
        actors[i].dice.state = seed * 31 + (uintptr_t)arg * 100 + (unsigned)i;
        actors[i].coro = go(i < NCOROS ? keep_sending : keep_receiving,
                            &actors[i]);
    }
    /* Cancel senders as time goes by; one must stay. */
    for (int i = 1; i < NCOROS; i++) {
        CHECK_EQ(cel_sleep(cel_after(roll(&dice, 100) * CEL_MSEC)), 0);
        cel_cancel(actors[i].coro);
    }
    for (int i = 0; i < 2 * NCOROS; i++) {
        join(actors[i].coro);
    }
    return 0;
}

static void *
thread_of_actors(void *arg)
{
    CHECK_EQ(cel_run(send_and_receive, arg, NULL), 0);
    return NULL;
}

TEST(what_is_sent_to_other_threads_arrives_once)
{
    for (int i = 0; i < NCHANS; i++) {
        CHECK_EQ(cel_chan_open(&chans[i], sizeof(uint64_t), (size_t)i * 2), 0);
    }
    atomic_store(&nsenders, NTHREADS * NCOROS);
    in_threads(thread_of_actors);
    CHECK_EQ(nsent, nreceived);
    CHECK_EQ(sum_sent, sum_received);
    CHECK_GT(nsent, 0);
    for (int i = 0; i < NCHANS; i++) {
        cel_chan_close(chans[i]);
    }
}

/*
 * Locks.
 */

static cel_mutex *mutex;
static cel_rwlock *rwlock;
static cel_cond *cond;
static cel_sem *sem;
static cel_event *event;
static long nlocked; /* guarded by mutex */
static long locked;  /* the same, by those who count for themselves */
static long nwritten;
static atomic_long written;
static atomic_int inside; /* how many hold the semaphore */

static void
use_mutex(struct dice *dice)
{
    if (cel_mutex_lock(mutex, some_deadline(dice)) == 0) {
        long before = nlocked++;
        if (roll(dice, 4) == 0) {
            (void)cel_yield();
        }
        if (roll(dice, 8) == 0) {
            cel_time deadline = cel_after(roll(dice, 300) * CEL_USEC);
            int code = cel_cond_wait(cond, mutex, deadline);
            CHECK(is_expected(code));
            before = nlocked - 1;
        }
        CHECK_EQ(nlocked, before + 1);
        locked++;
        CHECK_EQ(cel_mutex_unlock(mutex), 0);
    }
    if (roll(dice, 4) == 0) {
        cel_cond_signal(cond);
    }
    else if (roll(dice, 16) == 0) {
        cel_cond_broadcast(cond);
    }
}

static void
use_rwlock(struct dice *dice)
{
    if (roll(dice, 3) == 0) {
        if (cel_rwlock_write(rwlock, some_deadline(dice)) == 0) {
            long before = nwritten;
            (void)cel_yield();
            nwritten = before + 1;
            atomic_fetch_add(&written, 1);
            CHECK_EQ(cel_rwlock_unlock(rwlock), 0);
        }
    }
    else if (cel_rwlock_read(rwlock, some_deadline(dice)) == 0) {
        long before = nwritten;
        (void)cel_yield();
        CHECK_EQ(nwritten, before);
        CHECK_EQ(cel_rwlock_unlock(rwlock), 0);
    }
}

static void
use_sem(struct dice *dice)
{
    if (cel_sem_wait(sem, some_deadline(dice)) == 0) {
        CHECK_LE(atomic_fetch_add(&inside, 1), 1);
        (void)cel_yield();
        atomic_fetch_sub(&inside, 1);
        cel_sem_post(sem);
    }
    if (roll(dice, 8) == 0) {
        cel_event_set(event);
    }
    else if (roll(dice, 8) == 0) {
        cel_event_clear(event);
    }
    int code = cel_event_wait(event, cel_after(roll(dice, 300) * CEL_USEC));
    CHECK(is_expected(code));
}

static void
lock_and_unlock(void *arg)
{
    struct actor *self = arg;

    while (cel_now() < end && !cel_cancelled()) {
        switch (roll(&self->dice, 3)) {
        case 0:
            use_mutex(&self->dice);
            break;
        case 1:
            use_rwlock(&self->dice);
            break;
        default:
            use_sem(&self->dice);
            break;
        }
        (void)cel_yield();
    }
}

static int
lock_all(void *arg)
{
    struct actor actors[NCOROS];
    struct dice dice = {seed + (uintptr_t)arg};

    for (int i = 0; i < NCOROS; i++) {
        actors[i].dice.state = seed * 37 + (uintptr_t)arg * 100 + (unsigned)i;
        actors[i].coro = go(lock_and_unlock, &actors[i]);
    }
    for (int i = 1; i < NCOROS; i++) {
        CHECK_EQ(cel_sleep(cel_after(roll(&dice, 100) * CEL_MSEC)), 0);
        cel_cancel(actors[i].coro);
    }
    for (int i = 0; i < NCOROS; i++) {
        join(actors[i].coro);
    }
    return 0;
}

static void *
thread_of_lockers(void *arg)
{
    CHECK_EQ(cel_run(lock_all, arg, NULL), 0);
    return NULL;
}

TEST(locks_exclude_coroutines_of_other_threads)
{
    CHECK_EQ(cel_mutex_open(&mutex), 0);
    CHECK_EQ(cel_rwlock_open(&rwlock), 0);
    CHECK_EQ(cel_cond_open(&cond), 0);
    CHECK_EQ(cel_sem_open(&sem, 2), 0);
    CHECK_EQ(cel_event_open(&event), 0);
    in_threads(thread_of_lockers);
    CHECK_EQ(nlocked, locked);
    CHECK_EQ(nwritten, written);
    cel_mutex_close(mutex);
    cel_rwlock_close(rwlock);
    cel_cond_close(cond);
    cel_sem_close(sem);
    cel_event_close(event);
}

/*
 * A channel that was its maker's alone until others came; threads without a
 * worker; once.
 */

static cel_chan *queue;

static void *
send_from_outside(void *arg)
{
    for (int i = 0; i < NOUTSIDE;) {
        int value = 1;
        int code = cel_chan_send(queue, &value, CEL_AT_ONCE);
        CHECK(is_expected(code));
        i += code == 0;
        if (code != 0) {
            sched_yield();
        }
    }
    return arg;
}

static int
receive_from_outside(void *arg)
{
    pthread_t threads[NTHREADS];
    int value;

    (void)arg;
    CHECK_EQ(cel_chan_open(&queue, sizeof(int), 10), 0);
    value = 0;
    CHECK_EQ(cel_chan_send(queue, &value, CEL_FOREVER), 0);
    for (int i = 0; i < NTHREADS; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, send_from_outside, NULL),
                 0);
    }
    CHECK_EQ(cel_chan_recv(queue, &value, CEL_FOREVER), 0);
    CHECK_EQ(value, 0);
    for (int i = 0; i < NTHREADS * NOUTSIDE; i++) {
        CHECK_EQ(cel_chan_recv(queue, &value, CEL_FOREVER), 0);
        CHECK_EQ(value, 1);
    }
    for (int i = 0; i < NTHREADS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    CHECK_EQ(cel_chan_recv(queue, &value, CEL_AT_ONCE), -ETIMEDOUT);
    cel_chan_close(queue);
    return 0;
}

TEST(threads_without_a_worker_may_send)
{
    run(receive_from_outside);
}

static cel_once once;
static atomic_int ntimes;

static int
do_it(void *arg)
{
    (void)arg;
    int code = cel_sleep(cel_after(10 * CEL_MSEC));
    return code < 0 ? code : atomic_fetch_add(&ntimes, 1);
}

static int
do_once(void *arg)
{
    return cel_once_run(&once, do_it, arg, CEL_FOREVER);
}

static void *
thread_of_once(void *arg)
{
    CHECK_EQ(cel_run(do_once, arg, NULL), 0);
    return NULL;
}

TEST(once_is_once_for_all_threads)
{
    in_threads(thread_of_once);
    CHECK_EQ(ntimes, 1);
}

/*
 * Cancelling from another thread.
 */

static cel_coro *victim;

static void
wait_for_cancel(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ECANCELED);
    CHECK(cel_cancelled());
}

static void *
cancel_from_outside(void *arg)
{
    cel_cancel(victim);
    return arg;
}

static int
be_cancelled(void *arg)
{
    pthread_t thread;

    (void)arg;
    for (int i = 0; i < 100; i++) {
        victim = go(wait_for_cancel, NULL);
        if (i % 2 == 0) {
            settle();
        }
        CHECK_EQ(pthread_create(&thread, NULL, cancel_from_outside, NULL), 0);
        /* The thread is nobody's event: keep the worker from despairing. */
        while (cel_join(victim, cel_after(CEL_MSEC)) == -ETIMEDOUT) {}
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
    /* One that ended before the cancel came. */
    victim = go(do_nothing, NULL);
    settle();
    CHECK_EQ(pthread_create(&thread, NULL, cancel_from_outside, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    join(victim);
    return 0;
}

TEST(another_thread_may_cancel)
{
    run(be_cancelled);
}
