/* SPDX-License-Identifier: MIT */
/*
 * Coroutines that begin wherever there is time: at home in their turn, at
 * whoever steals them, and cancelled, joined, forked and ended meanwhile.
 *
 * CELADON_SEED plays a run again; CELADON_TEST_SECONDS makes the stress longer
 * than the half second it has.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "celadon.h"
#include "many.h"

enum {
    MANY = 600 /* more than a ring has room for */
};

static cel_coro *
spread(void (*fn)(void *arg), void *arg)
{
    cel_coro *coro;

    CHECK_EQ(cel_go_spread(&coro, fn, arg), 0);
    return coro;
}

static uint64_t
total(uint64_t (*of)(const cel_worker_stats *stats))
{
    cel_worker_stats stats;
    uint64_t sum = 0;

    for (int i = 0; i < cel_workers(); i++) {
        CHECK_EQ(cel_worker_stats_get(i, &stats, sizeof(stats)), 0);
        sum += of(&stats);
    }
    return sum;
}

static uint64_t
stolen(const cel_worker_stats *stats)
{
    return stats->stolen;
}

static uint64_t
arrived(const cel_worker_stats *stats)
{
    return stats->arrived;
}

static atomic_int ndone;
static atomic_int naway;
static atomic_bool stop;

static void
note_where(void *arg)
{
    atomic_fetch_add(&naway, cel_worker_index() != *(int *)arg);
    atomic_fetch_add(&ndone, 1);
}

/* ---- who lets them begin */

/* Nobody but the others can: this worker does not suspend. */
static int
leave_all_to_others(void *arg)
{
    int me = cel_worker_index();
    int n = 0;

    (void)arg;
    atomic_store(&ndone, 0);
    atomic_store(&naway, 0);
    while (atomic_load(&ndone) < MANY) {
        /* One may be missed by a worker that goes to sleep, and none is woken
           for little: hence always one more, and slowly. */
        CHECK_EQ(cel_go_spread(NULL, note_where, &me), 0);
        n++;
        for (int i = 0; i < 1000 && n > MANY; i++) {
            (void)cel_now();
        }
    }
    CHECK_EQ(atomic_load(&naway), atomic_load(&ndone));
    while (atomic_load(&ndone) < n) {
        CHECK_EQ(cel_yield(), 0);
    }
    CHECK_GE(total(stolen), MANY);
    CHECK_EQ(total(arrived), atomic_load(&naway));
    return 0;
}

TEST(who_has_time_takes_what_lies_at_a_busy_worker)
{
    CHECK_EQ(run_on(2, leave_all_to_others, NULL), 0);
    CHECK_EQ(run_on(NWORKERS, leave_all_to_others, NULL), 0);
}

/* Its maker does not suspend, and all others sleep. */
static int
leave_one_to_others(void *arg)
{
    int me = cel_worker_index();

    (void)arg;
    for (int i = 0; i < 20; i++) {
        atomic_store(&ndone, 0);
        atomic_store(&naway, 0);
        CHECK_EQ(cel_sleep(cel_now() + CEL_MSEC), 0);
        while (atomic_load(&ndone) == 0) {
            /* One may be missed by a worker that goes to sleep. */
            CHECK_EQ(cel_go_spread(NULL, note_where, &me), 0);
            cel_time end = cel_now() + 100 * CEL_MSEC;
            while (atomic_load(&ndone) == 0 && cel_now() < end) {}
        }
        CHECK_GE(atomic_load(&naway), 1);
    }
    return 0;
}

TEST(who_sleeps_is_woken_for_one_alone_at_a_busy_worker)
{
    CHECK_EQ(run_on(2, leave_one_to_others, NULL), 0);
    CHECK_EQ(run_on(NWORKERS, leave_one_to_others, NULL), 0);
}

static void
keep_busy(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ndone, 1);
    while (!atomic_load(&stop)) {}
}

static void
set_stop(void *arg)
{
    (void)arg;
    atomic_store(&stop, true);
}

static int
begin_behind_others(void *arg)
{
    (void)arg;
    atomic_store(&stop, false);
    atomic_store(&ndone, 0);
    for (int i = 1; i < NWORKERS; i++) {
        CHECK_EQ(cel_go_on(NULL, i, keep_busy, NULL), 0);
    }
    while (atomic_load(&ndone) < NWORKERS - 1) {
        CHECK_EQ(cel_yield(), 0);
    }
    CHECK_EQ(cel_go_spread(NULL, set_stop, NULL), 0);
    while (!atomic_load(&stop)) {
        /* This worker always has something ready. */
        CHECK_EQ(cel_yield(), 0);
    }
    CHECK_EQ(total(stolen), 0);
    return 0;
}

TEST(what_nobody_takes_begins_at_home_though_others_are_ready)
{
    CHECK_EQ(run_on(NWORKERS, begin_behind_others, NULL), 0);
}

enum {
    FEW = CEL__HARD ? 3 : 50 /* a ring has room for them */
};
static int order[FEW];
static int norder;

static void
note_order(void *arg)
{
    order[norder++] = (int)(intptr_t)arg;
}

/* The others are busy, so all begin here: oldest first. */
static int
begin_in_order(void *arg)
{
    cel_coro *coros[FEW];

    (void)arg;
    atomic_store(&stop, false);
    atomic_store(&ndone, 0);
    norder = 0;
    CHECK_EQ(cel_go_on(NULL, 1, keep_busy, NULL), 0);
    while (atomic_load(&ndone) < 1) {
        CHECK_EQ(cel_yield(), 0);
    }
    for (intptr_t i = 0; i < FEW; i++) {
        coros[i] = spread(note_order, (void *)i);
    }
    for (int i = 0; i < FEW; i++) {
        CHECK_EQ(cel_join(coros[i], CEL_FOREVER), 0);
    }
    atomic_store(&stop, true);
    CHECK_EQ(norder, FEW);
    for (int i = 0; i < FEW && !CEL__HARD; i++) {
        CHECK_EQ(order[i], i);
    }
    return 0;
}

TEST(a_few_that_begin_at_home_begin_in_order)
{
    CHECK_EQ(run_on(2, begin_in_order, NULL), 0);
}

/* While its first ones lie there, each starts another one. */
static void
chain(void *arg)
{
    (void)arg;
    if (!atomic_load(&stop)) {
        CHECK_EQ(cel_go_spread(NULL, chain, NULL), 0);
    }
}

static int
begin_though_younger_come(void *arg)
{
    (void)arg;
    atomic_store(&stop, false);
    atomic_store(&ndone, 0);
    CHECK_EQ(cel_go_on(NULL, 1, keep_busy, NULL), 0);
    while (atomic_load(&ndone) < 1) {
        CHECK_EQ(cel_yield(), 0);
    }
    int me = 0;
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(cel_go_spread(NULL, note_where, &me), 0);
    }
    CHECK_EQ(cel_go_spread(NULL, chain, NULL), 0);
    while (atomic_load(&ndone) < 1 + MANY) {
        CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    }
    atomic_store(&stop, true);
    return 0;
}

TEST(the_oldest_begin_though_younger_ones_come_all_the_time)
{
    CHECK_EQ(run_on(2, begin_though_younger_come, NULL), 0);
}

/* ---- cancelled, joined and left before they began */

static void
expect_cancel(void *arg)
{
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ECANCELED);
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void
cancel_it(void *arg)
{
    cel_cancel(arg);
}

static int
cancel_early(void *arg)
{
    enum {
        N = 100
    };
    cel_coro *coros[N];
    cel_coro *others[N];
    atomic_int n = 0;

    (void)arg;
    for (int i = 0; i < N; i++) {
        coros[i] = spread(expect_cancel, &n);
        others[i] = NULL;
        if (i % 2 == 0) {
            cel_cancel(coros[i]);
        }
        else {
            CHECK_EQ(cel_go_on(&others[i], i % NWORKERS, cancel_it, coros[i]),
                     0);
        }
    }
    for (int i = 0; i < N; i++) {
        if (others[i] != NULL) {
            CHECK_EQ(cel_join(others[i], CEL_FOREVER), 0);
        }
        CHECK_EQ(cel_join(coros[i], CEL_FOREVER), 0);
    }
    CHECK_EQ(atomic_load(&n), N);
    return 0;
}

TEST(who_is_cancelled_before_it_has_begun_anywhere_knows)
{
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(run_on(NWORKERS, cancel_early, NULL), 0);
    }
}

static void
join_it(void *arg)
{
    CHECK_EQ(cel_join(arg, CEL_FOREVER), 0);
}

static int
join_early(void *arg)
{
    cel_coro *joiners[100];
    int me = 0;
    int n = 0;

    (void)arg;
    atomic_store(&ndone, 0);
    for (int i = 0; i < 100; i++) {
        cel_coro *coro = spread(note_where, &me);
        int err = cel_join(coro, CEL_AT_ONCE);
        CHECK(err == 0 || err == -ETIMEDOUT);
        if (err == 0) {
            /* It was fast. */
        }
        else if (i % 2 == 0) {
            CHECK_EQ(cel_go_on(&joiners[n++], i % NWORKERS, join_it, coro), 0);
        }
        else {
            joiners[n++] = spread(join_it, coro);
        }
    }
    for (int i = 0; i < n; i++) {
        CHECK_EQ(cel_join(joiners[i], CEL_FOREVER), 0);
    }
    CHECK_EQ(atomic_load(&ndone), 100);
    return 0;
}

TEST(who_has_not_begun_may_be_joined_by_all)
{
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(run_on(NWORKERS, join_early, NULL), 0);
    }
}

static void
spread_at_the_end(void *arg)
{
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ECANCELED);
    CHECK_EQ(cel_go_spread(NULL, expect_cancel, arg), 0);
    CHECK_EQ(cel_go_spread(NULL, expect_cancel, arg), 0);
}

static int
leave_early(void *arg)
{
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(cel_go_spread(NULL, expect_cancel, arg), 0);
        CHECK_EQ(cel_go_spread(NULL, spread_at_the_end, arg), 0);
    }
    return 0;
}

TEST(a_run_ends_with_all_that_has_not_begun)
{
    for (int i = 0; i < 40; i++) {
        atomic_int n = 0;
        CHECK_EQ(run_on(1 + i % 4, leave_early, &n), 0);
        CHECK_EQ(atomic_load(&n), 150);
    }
}

/* ---- all at once, and forks */

struct dice {
    uint64_t state;
};

static uint32_t
roll(struct dice *dice, uint32_t n)
{
    dice->state = dice->state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(((dice->state >> 32) * n) >> 32);
}

static atomic_ullong nstarted;
static atomic_ullong nfinished;
static pid_t parent;

/* Spreads, cancels and joins below it, three levels deep. */
static void
live(void *arg)
{
    uint64_t seed = (uintptr_t)arg;
    struct dice dice = {seed * 0x9E3779B97F4A7C15U};
    cel_coro *kids[4];
    uint32_t n = (seed & 3) == 0 ? 0 : roll(&dice, 5);

    for (uint32_t i = 0; i < n; i++) {
        uint64_t next = (dice.state >> 8 & ~UINT64_C(3)) | ((seed & 3) - 1);
        atomic_fetch_add(&nstarted, 1);
        kids[i] = spread(live, (void *)(uintptr_t)next);
        if (roll(&dice, 8) == 0) {
            cel_cancel(kids[i]);
        }
    }
    if (roll(&dice, 4) == 0) {
        (void)!cel_yield();
    }
    for (uint32_t i = 0; i < n; i++) {
        if (roll(&dice, 4) == 0) {
            cel_cancel(kids[i]);
        }
        if (roll(&dice, 6) != 0) {
            /* Cancelled it leaves it alone: it ends by itself. */
            (void)!cel_join(kids[i], CEL_FOREVER);
        }
    }
    atomic_fetch_add(&nfinished, 1);
}

struct job {
    uint64_t seed;
    cel_time finish;
    bool forks; /* at the end, with all under way */
    pid_t child;
};

static int
live_for_a_while(void *arg)
{
    struct job *job = arg;
    struct dice dice = {job->seed};

    do {
        for (int i = 0; i < 8; i++) {
            uint64_t seed = (uint64_t)roll(&dice, UINT32_MAX) << 2 | 3;
            atomic_fetch_add(&nstarted, 1);
            CHECK_EQ(cel_go_spread(NULL, live, (void *)(uintptr_t)seed), 0);
        }
        for (uint32_t i = roll(&dice, 20); i > 0; i--) {
            (void)cel_yield();
        }
        if (roll(&dice, 4) == 0) {
            (void)cel_sleep(cel_after(roll(&dice, 50000)));
        }
    } while (cel_now() < job->finish);
    if (job->forks) {
        (void)fflush(NULL);
        job->child = fork();
        if (job->child == 0) {
            /* A child has what lies here. */
            live((void *)(uintptr_t)(job->seed << 2 | 3));
        }
    }
    return 0;
}

static uint64_t
given(const char *name, uint64_t other)
{
    const char *text = getenv(name);

    return text == NULL ? other : strtoull(text, NULL, 10);
}

TEST(what_was_spread_at_random_has_ended_when_the_run_has)
{
    uint64_t seconds = given("CELADON_TEST_SECONDS", 0);
    cel_time finish = cel_after(seconds == 0 ? CEL_SEC / 2
                                             : (cel_time)seconds * CEL_SEC);
    uint64_t seed = given("CELADON_SEED", (uint64_t)cel_now());

    printf("# CELADON_SEED=%llu\n", (unsigned long long)seed);
    for (int i = 0; i == 0 || cel_now() < finish; i++) {
        /* Short ones, too: the end is where things meet. */
        struct job job = {seed + (uint64_t)i * 7919,
                          cel_after((cel_time)(i % 4) * 3 * CEL_MSEC), false,
                          0};
        atomic_store(&nstarted, 0);
        atomic_store(&nfinished, 0);
        CHECK_EQ(run_on(2 + i % 3, live_for_a_while, &job), 0);
        CHECK_EQ(atomic_load(&nfinished), atomic_load(&nstarted));
    }
}

TEST(a_child_ends_whatever_was_being_stolen_when_it_was_forked)
{
    uint64_t seed = given("CELADON_SEED", (uint64_t)cel_now());

    if (CEL__TSAN || getenv("MESON_EXE_WRAPPER") != NULL) {
        SKIP("neither ThreadSanitizer nor qemu follows threads into a child");
    }
    if (CEL__ASAN || tap_valgrind()) {
        SKIP("at its end a child is asked for its parent's threads' memory");
    }
    parent = getpid();
    for (int i = 0; i < 30; i++) {
        struct job job = {seed + (uint64_t)i * 104729,
                          cel_after((i % 3) * CEL_MSEC), true, -1};
        int status;
        CHECK_EQ(run_on(2 + i % 2, live_for_a_while, &job), 0);
        if (getpid() != parent) {
            _exit(0);
        }
        CHECK_GE(job.child, 0);
        CHECK_EQ(waitpid(job.child, &status, 0), job.child);
        CHECK_EQ(status, 0);
    }
}
