/* SPDX-License-Identifier: MIT */
/*
 * The lock inside channels and locks: biased, then shared.
 */
#include "sched/latch.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "coros.h"
#include "sched/worker.h"

enum {
    ROUNDS = 20000,
    NTHREADS = 3
};

static struct cel__latch latch;
static long counted; /* guarded by `latch`, deliberately not atomic */

static void
count(struct cel__worker *me, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        cel__latch_take(&latch, me);
        counted++;
        cel__latch_give(&latch, me);
    }
}

static void *
count_outside(void *arg)
{
    (void)arg;
    count(NULL, ROUNDS);
    return NULL;
}

static int
own_it(void *arg)
{
    struct cel__worker *me = cel__worker();

    (void)arg;
    cel__latch_init(&latch);
    count(me, 10);
    CHECK_EQ(counted, 10);
    bool biased = latch.owner == me;
    CHECK_EQ(latch.shared, !biased);
    CHECK(!biased || !CEL__TSAN);
    return 0;
}

TEST(the_owner_has_it_for_nothing)
{
    run(own_it);
}

static int
share_it(void *arg)
{
    struct cel__worker *me = cel__worker();
    pthread_t threads[NTHREADS];

    (void)arg;
    /* Anew each time, so that the bias is taken away in mid-flight often. */
    for (int round = 0; round < 20; round++) {
        cel__latch_init(&latch);
        counted = 0;
        for (int i = 0; i < NTHREADS; i++) {
            CHECK_EQ(pthread_create(&threads[i], NULL, count_outside, NULL),
                     0);
        }
        count(me, 5 * ROUNDS);
        for (int i = 0; i < NTHREADS; i++) {
            CHECK_EQ(pthread_join(threads[i], NULL), 0);
        }
        CHECK_EQ(counted, (NTHREADS + 5) * ROUNDS);
        CHECK(latch.shared);
        CHECK(!latch.word && !latch.inside);
    }
    return 0;
}

TEST(the_owner_and_others_exclude_each_other)
{
    run(share_it);
}

TEST(a_latch_of_zeroes_is_shared)
{
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, count_outside, NULL), 0);
    count(NULL, ROUNDS);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(counted, 2 * ROUNDS);
}

/* The owner is stopped inside while another comes. */
static atomic_bool is_inside;
static atomic_bool entered;

static void *
enter(void *arg)
{
    (void)arg;
    while (!atomic_load(&is_inside)) {
        sched_yield();
    }
    cel__latch_take(&latch, NULL);
    atomic_store(&entered, true);
    cel__latch_give(&latch, NULL);
    return NULL;
}

static int
stay_inside(void *arg)
{
    struct cel__worker *me = cel__worker();
    pthread_t thread;

    (void)arg;
    cel__latch_init(&latch);
    CHECK_EQ(pthread_create(&thread, NULL, enter, NULL), 0);
    cel__latch_take(&latch, me);
    atomic_store(&is_inside, true);
    while (!latch.shared) {
        sched_yield();
    }
    for (int i = 0; i < 100; i++) {
        sched_yield();
        CHECK(!atomic_load(&entered));
    }
    cel__latch_give(&latch, me);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(atomic_load(&entered));
    return 0;
}

TEST(who_takes_the_bias_away_waits_for_the_owner)
{
    run(stay_inside);
}

/* ---- forks */

enum {
    NFORKS = 200
};

static struct cel__latch theirs; /* biased to a worker that is never here */
static atomic_bool has_theirs;
static atomic_bool enough;

static int
use_both(void *arg)
{
    struct cel__worker *me = cel__worker();

    (void)arg;
    cel__latch_init(&theirs);
    atomic_store(&has_theirs, true);
    while (!atomic_load(&enough)) {
        for (int i = 0; i < 100; i++) {
            cel__latch_take(&theirs, me);
            cel__latch_give(&theirs, me);
            count(me, 1);
        }
    }
    return 0;
}

static void *
use_both_here(void *arg)
{
    (void)arg;
    run(use_both);
    return NULL;
}

static void *
use_outside(void *arg)
{
    (void)arg;
    while (!atomic_load(&enough)) {
        count(NULL, 100);
    }
    return NULL;
}

/* Both can be had at once, and nothing is half done. */
static void
be_a_child(struct cel__worker *me)
{
    long before = counted;

    count(me, 10);
    cel__latch_take(&theirs, me);
    cel__latch_give(&theirs, me);
    _exit(counted == before + 10 ? 0 : 1);
}

static int
fork_often(void *arg)
{
    struct cel__worker *me = arg == NULL ? NULL : cel__worker();
    pthread_t threads[2];

    cel__latch_init(&latch);
    counted = 0;
    atomic_store(&has_theirs, false);
    atomic_store(&enough, false);
    CHECK_EQ(pthread_create(&threads[0], NULL, use_both_here, NULL), 0);
    CHECK_EQ(pthread_create(&threads[1], NULL, use_outside, NULL), 0);
    while (!atomic_load(&has_theirs)) {
        sched_yield();
    }
    /* Beside much else a fork takes a tenth of a second. */
    cel_time end = cel_after(CEL_SEC);
    for (int i = 0; i < NFORKS && (i < 20 || cel_now() < end); i++) {
        int status;
        pid_t child = fork();
        CHECK_GE(child, 0);
        if (child == 0) {
            be_a_child(me);
        }
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK_EQ(status, 0);
        count(me, 10);
    }
    atomic_store(&enough, true);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    return 0;
}

static int
fork_in_a_worker(void *arg)
{
    return fork_often(&arg);
}

TEST(nobody_is_inside_one_when_a_thread_forks)
{
    if (CEL__TSAN || getenv("MESON_EXE_WRAPPER") != NULL) {
        SKIP("neither ThreadSanitizer nor qemu follows threads into a child");
    }
    CHECK_EQ(fork_often(NULL), 0);
    run(fork_in_a_worker);
}
