/* SPDX-License-Identifier: MIT */
/*
 * Several workers in one run: groups, channels and trees of coroutines across
 * them, forks, and all of it at once by a seed.
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

#include "celadon.h"
#include "coros.h"
#include "many.h"

/* ---- groups */

static atomic_int nmembers;
static atomic_int ncancelled;

static int
count_me(void *arg)
{
    int *at = arg;

    *at = cel_worker_index();
    atomic_fetch_add(&nmembers, 1);
    return 0;
}

static int
spread_group(void *arg)
{
    enum {
        N = 200
    };
    cel_group *group;
    int at[N];
    int n = 0;

    (void)arg;
    CHECK_EQ(cel_group_open(&group, 0), 0);
    for (int i = 0; i < N; i++) {
        at[i] = -1;
        int err = i % 2 == 0
                      ? cel_group_go_spread(group, count_me, &at[i])
                      : cel_group_go_on(group, i % NWORKERS, count_me, &at[i]);
        CHECK_EQ(err, 0);
    }
    CHECK_EQ(cel_group_wait(group, CEL_FOREVER), 0);
    CHECK_EQ(atomic_load(&nmembers), N);
    for (int i = 0; i < N; i++) {
        CHECK(i % 2 == 0 ? at[i] >= 0 && at[i] < NWORKERS
                         : at[i] == i % NWORKERS);
        n += at[i] != 0;
    }
    CHECK_GE(n, N / 3);
    CHECK_EQ(cel_group_close(group), 0);
    return 0;
}

TEST(members_of_a_group_run_at_all_workers)
{
    run_many(spread_group);
}

static int
wait_and_count(void *arg)
{
    (void)arg;
    int code = cel_sleep(CEL_FOREVER);
    CHECK_EQ(code, -ECANCELED);
    atomic_fetch_add(&ncancelled, 1);
    return code;
}

static int
fail(void *arg)
{
    return *(int *)arg;
}

static int
fail_in_a_group(void *arg)
{
    (void)arg;
    for (int i = 0; i < 40; i++) {
        int code = -EIO;
        int nstarted = 0;
        cel_group *group;
        atomic_store(&ncancelled, 0);
        CHECK_EQ(cel_group_open(&group, 0), 0);
        for (int k = 0; k < 9; k++) {
            int at = (k + i) % NWORKERS;
            int err = k == 5
                          ? cel_group_go_on(group, at, fail, &code)
                          : cel_group_go_on(group, at, wait_and_count, NULL);
            /* The one that fails may have failed already. */
            CHECK(err == 0 || (err == -ECANCELED && k > 5));
            nstarted += err == 0;
        }
        CHECK_EQ(cel_group_wait(group, CEL_FOREVER), 0);
        CHECK_EQ(atomic_load(&ncancelled), nstarted - 1);
        CHECK_EQ(cel_group_go_spread(group, fail, &code), -ECANCELED);
        CHECK_EQ(cel_group_go_on(group, 1, fail, &code), -ECANCELED);
        CHECK_EQ(cel_group_close(group), -EIO);
    }
    return 0;
}

TEST(a_member_that_fails_cancels_those_of_other_workers)
{
    run_many(fail_in_a_group);
}

static int
close_group(void *arg)
{
    (void)arg;
    for (int i = 0; i < 40; i++) {
        cel_group *group;
        atomic_store(&ncancelled, 0);
        CHECK_EQ(cel_group_open(&group, 0), 0);
        for (int k = 0; k < 7; k++) {
            CHECK_EQ(
                cel_group_go_on(group, k % NWORKERS, wait_and_count, NULL), 0);
        }
        if (i % 2 == 0) {
            (void)cel_yield();
        }
        CHECK_EQ(cel_group_close(group), 0);
        CHECK_EQ(atomic_load(&ncancelled), 7);
    }
    return 0;
}

TEST(closing_a_group_ends_its_members_everywhere)
{
    run_many(close_group);
}

static int
sleep_in_scope(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ETIMEDOUT);
    return 0;
}

static int
bound_a_group(void *arg)
{
    cel_scope scope;
    cel_group *group;

    (void)arg;
    CHECK_EQ(cel_scope_enter(&scope, cel_after(5 * CEL_MSEC)), 0);
    CHECK_EQ(cel_group_open(&group, 0), 0);
    (void)cel_scope_leave(&scope);
    for (int i = 0; i < NWORKERS; i++) {
        CHECK_EQ(cel_group_go_on(group, i, sleep_in_scope, NULL), 0);
    }
    CHECK_EQ(cel_group_wait(group, CEL_FOREVER), 0);
    CHECK_EQ(cel_group_close(group), 0);
    return 0;
}

TEST(a_scope_bounds_members_at_other_workers)
{
    run_many(bound_a_group);
}

/* ---- channels */

struct stream {
    cel_chan *chan;
    uint64_t from; /* first of the numbers to be sent */
    uint64_t n;
    uint64_t sum;  /* of what has come */
    uint64_t last; /* what came last; of one sender numbers rise */
};

static void
send_numbers(void *arg)
{
    struct stream *stream = arg;

    for (uint64_t i = 0; i < stream->n; i++) {
        uint64_t value = stream->from + i;
        CHECK_EQ(cel_chan_send(stream->chan, &value, CEL_FOREVER), 0);
    }
}

static void
receive_numbers(void *arg)
{
    struct stream *stream = arg;
    uint64_t value;

    while (cel_chan_recv(stream->chan, &value, CEL_FOREVER) == 0) {
        stream->sum += value;
        stream->n++;
    }
}

static int
stream_across(void *arg)
{
    enum {
        N = 4
    };
    const uint64_t each = 3000;
    size_t capacity = *(size_t *)arg;
    struct stream out[N];
    struct stream in[N] = {0};
    cel_coro *senders[N];
    cel_coro *receivers[N];
    cel_chan *chan;
    uint64_t sum = 0;
    uint64_t n = 0;

    CHECK_EQ(cel_chan_open(&chan, sizeof(uint64_t), capacity), 0);
    for (int i = 0; i < N; i++) {
        in[i].chan = chan;
        receivers[i] = go_on((i + 1) % NWORKERS, receive_numbers, &in[i]);
        out[i] = (struct stream){chan, (uint64_t)i * each, each, 0, 0};
        senders[i] = go_on(i % NWORKERS, send_numbers, &out[i]);
    }
    for (int i = 0; i < N; i++) {
        join(senders[i]);
    }
    cel_chan_shutdown(chan);
    for (int i = 0; i < N; i++) {
        join(receivers[i]);
        sum += in[i].sum;
        n += in[i].n;
    }
    CHECK(n == N * each);
    CHECK(sum == N * each * (N * each - 1) / 2);
    cel_chan_close(chan);
    return 0;
}

TEST(what_is_sent_across_workers_arrives_once)
{
    for (size_t capacity = 0; capacity < 100; capacity += 33) {
        CHECK_EQ(run_on(NWORKERS, stream_across, &capacity), 0);
    }
}

/* ---- trees */

enum {
    /* What ends costs AddressSanitizer a mapping of most of a megabyte. */
    DEPTH = CEL__ASAN ? 6 : 8,
    LEAVES = CEL__ASAN ? 729 : 6561
};

struct tree {
    int depth;
    uint64_t leaves; /* below */
};

static void
grow(void *arg)
{
    struct tree *tree = arg;
    struct tree kids[3];
    cel_coro *coros[3];

    if (tree->depth == 0) {
        tree->leaves = 1;
        return;
    }
    for (int i = 0; i < 3; i++) {
        kids[i] = (struct tree){tree->depth - 1, 0};
        CHECK_EQ(cel_go_spread(&coros[i], grow, &kids[i]), 0);
    }
    tree->leaves = 0;
    for (int i = 0; i < 3; i++) {
        join(coros[i]);
        tree->leaves += kids[i].leaves;
    }
}

static int
grow_tree(void *arg)
{
    struct tree tree = {DEPTH, 0};

    (void)arg;
    grow(&tree);
    CHECK_EQ(tree.leaves, LEAVES);
    return 0;
}

TEST(a_tree_grows_over_all_workers)
{
    for (int n = 1; n <= 4; n++) {
        CHECK_EQ(run_on(n, grow_tree, NULL), 0);
    }
}

/* ---- waiting for one another */

static void
wait_for_token(void *arg)
{
    cel_chan **chans = arg;
    char byte;

    CHECK_EQ(cel_chan_recv(chans[0], &byte, CEL_FOREVER), 0);
    (void)cel_sleep(cel_after(CEL_MSEC));
    CHECK_EQ(cel_chan_send(chans[1], &byte, CEL_FOREVER), 0);
}

static int
wait_in_turn(void *arg)
{
    cel_chan *chans[NWORKERS + 1];
    cel_coro *coros[NWORKERS];
    char byte = 'x';

    (void)arg;
    for (int i = 0; i <= NWORKERS; i++) {
        CHECK_EQ(cel_chan_open(&chans[i], 1, 0), 0);
    }
    for (int i = 0; i < NWORKERS; i++) {
        coros[i] = go_on(i, wait_for_token, &chans[i]);
    }
    /* All workers sleep now, all but for one another. */
    (void)cel_sleep(cel_after(5 * CEL_MSEC));
    CHECK_EQ(cel_chan_send(chans[0], &byte, CEL_FOREVER), 0);
    CHECK_EQ(cel_chan_recv(chans[NWORKERS], &byte, CEL_FOREVER), 0);
    for (int i = 0; i < NWORKERS; i++) {
        join(coros[i]);
    }
    for (int i = 0; i <= NWORKERS; i++) {
        cel_chan_close(chans[i]);
    }
    return 0;
}

static void
cancel_other(void *arg)
{
    (void)cel_sleep(cel_after(5 * CEL_MSEC));
    cel_cancel(arg);
}

/* Nothing but another worker can end this sleep: that is no deadlock. */
static int
sleep_for_another(void *arg)
{
    cel_coro *other = go_on(1, cancel_other, cel_self());

    (void)arg;
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ECANCELED);
    (void)other;
    return 0;
}

TEST(to_wait_for_another_worker_is_no_deadlock)
{
    run_many(wait_in_turn);
    run_many(sleep_for_another);
}

/* ---- forks */

/* In a child ThreadSanitizer ignores what orders a switch, and sees races;
   qemu (7.2) can't start threads there. */
static void
needs_fork(void)
{
    if (CEL__TSAN || getenv("MESON_EXE_WRAPPER") != NULL) {
        SKIP("neither ThreadSanitizer nor qemu follows threads into a child");
    }
    if (CEL__ASAN || tap_valgrind()) {
        SKIP("at its end a child is asked for its parent's threads' memory");
    }
}

static void
sleep_on(void *arg)
{
    (void)arg;
    (void)cel_sleep(CEL_FOREVER);
}

static int
return_zero(void *arg)
{
    (void)arg;
    return 0;
}

/* What a child can do: all that is its own worker's. */
static void
live_alone(void)
{
    int me = cel_worker_index();
    cel_group *group;
    cel_coro *coro;

    CHECK_EQ(cel_go_on(NULL, (me + 1) % NWORKERS, do_nothing, NULL), -ESRCH);
    CHECK_EQ(cel_group_open(&group, 0), 0);
    CHECK_EQ(cel_group_go_on(group, (me + 1) % NWORKERS, return_zero, NULL),
             -ESRCH);
    CHECK_EQ(cel_group_close(group), 0);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(cel_go_spread(&coro, do_nothing, NULL), 0);
        join(coro);
        join(go_on(me, do_nothing, NULL));
    }
    CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
}

static pid_t child = -1;

static void
expect_child(int status)
{
    int got;

    CHECK_GE(child, 0);
    CHECK_EQ(waitpid(child, &got, 0), child);
    CHECK_EQ(got, status);
}

static void
fork_here(void *arg)
{
    cel_coro *idle;

    (void)arg;
    CHECK_EQ(cel_go(&idle, sleep_on, NULL), 0);
    (void)cel_yield();
    (void)fflush(NULL);
    child = fork();
    if (child == 0) {
        live_alone();
    }
    cel_cancel(idle);
    join(idle);
}

static int
fork_at_worker_1(void *arg)
{
    cel_coro *others[NWORKERS];

    (void)arg;
    for (int i = 0; i < NWORKERS; i++) {
        others[i] = go_on(i, sleep_on, NULL);
    }
    join(go_on(1, fork_here, NULL));
    expect_child(0);
    for (int i = 0; i < NWORKERS; i++) {
        cel_cancel(others[i]);
        join(others[i]);
    }
    return 0;
}

TEST(a_child_that_another_worker_forks_ends_with_its_coroutines)
{
    needs_fork();
    run_many(fork_at_worker_1);
}

static int
fork_at_worker_0(void *arg)
{
    for (int i = 0; i < NWORKERS; i++) {
        CHECK_EQ(cel_go_on(NULL, i, sleep_on, NULL), 0);
    }
    fork_here(arg);
    return 0;
}

TEST(a_run_that_forks_ends_in_the_child_as_well)
{
    needs_fork();
    run_many(fork_at_worker_0);
    if (child == 0) {
        /* And again, with threads of its own. */
        run_many(wait_in_turn);
        return;
    }
    expect_child(0);
}

/* ---- all at once */

struct dice {
    uint64_t state;
};

static uint32_t
roll(struct dice *dice, uint32_t n)
{
    dice->state = dice->state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(((dice->state >> 32) * n) >> 32);
}

static cel_time finish;
static atomic_ullong nstarted;
static atomic_ullong nfinished;

static void live(void *arg);

/* A child's seed is its argument: nothing of the parent's is needed. */
static void *
next_seed(struct dice *dice)
{
    return (void *)(uintptr_t)((dice->state >> 16) | 1);
}

static int
live_in_group(void *arg)
{
    live(arg);
    return (uintptr_t)arg % 7 == 0 ? -EIO : 0;
}

static int
start_somewhere(struct dice *dice, cel_coro **out)
{
    void *arg = next_seed(dice);

    atomic_fetch_add(&nstarted, 1);
    int err = roll(dice, 3) == 0 ? cel_go(out, live, arg)
              : roll(dice, 2) == 0
                  ? cel_go_spread(out, live, arg)
                  : cel_go_on(out, (int)roll(dice, NWORKERS), live, arg);
    CHECK_EQ(err, 0);
    return err;
}

static void
rear(struct dice *dice)
{
    cel_coro *kids[3];
    uint32_t n = roll(dice, 4);

    for (uint32_t i = 0; i < n; i++) {
        (void)start_somewhere(dice, &kids[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (roll(dice, 3) == 0) {
            cel_cancel(kids[i]);
        }
        /* Ours may come to an end meanwhile: theirs is waited for anyway. */
        while (cel_join(kids[i], roll(dice, 2) == 0
                                     ? CEL_FOREVER
                                     : cel_after(roll(dice, 100000))) < 0) {
            cel_cancel(kids[i]);
            if (cel_cancelled()) {
                /* No call waits for us any more: let the others run. */
                (void)cel_yield();
            }
        }
    }
}

static void
raise_group(struct dice *dice)
{
    cel_group *group;

    CHECK_EQ(cel_group_open(&group, roll(dice, 2)), 0);
    for (uint32_t n = roll(dice, 4); n > 0; n--) {
        void *arg = next_seed(dice);
        atomic_fetch_add(&nstarted, 1);
        int err = roll(dice, 2) == 0
                      ? cel_group_go_spread(group, live_in_group, arg)
                      : cel_group_go_on(group, (int)roll(dice, NWORKERS),
                                        live_in_group, arg);
        if (err == -ECANCELED) {
            atomic_fetch_sub(&nstarted, 1);
        }
        else {
            CHECK_EQ(err, 0);
        }
        (void)roll(dice, 2);
    }
    if (roll(dice, 2) == 0) {
        (void)!cel_group_wait(group, cel_after(roll(dice, 200000)));
    }
    (void)cel_group_close(group);
}

static void
live(void *arg)
{
    struct dice dice = {(uintptr_t)arg * 0x9E3779B97F4A7C15U};

    (void)roll(&dice, 2);
    switch (cel_now() < finish ? roll(&dice, 8) : 7) {
    case 0:
    case 1:
        rear(&dice);
        break;
    case 2:
        raise_group(&dice);
        break;
    case 3:
        (void)!cel_sleep(cel_after(roll(&dice, 300000)));
        break;
    case 4:
        (void)!start_somewhere(&dice, NULL);
        break;
    case 5:
        (void)!cel_yield();
        break;
    default:
        break;
    }
    atomic_fetch_add(&nfinished, 1);
}

static int
live_for_a_while(void *arg)
{
    struct dice dice = {*(uint64_t *)arg};

    while (cel_now() < finish) {
        rear(&dice);
        raise_group(&dice);
    }
    /* Some are left behind for the end. */
    for (int i = 0; i < 20; i++) {
        (void)start_somewhere(&dice, NULL);
    }
    return 0;
}

TEST(what_was_started_at_random_has_ended_when_the_run_has)
{
    const char *given = getenv("CELADON_SEED");
    const char *seconds = getenv("CELADON_TEST_SECONDS");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0)
                                  : (uint64_t)cel_now();
    double left = seconds != NULL ? strtod(seconds, NULL) : 0.5;

    printf("CELADON_SEED=%llu\n", (unsigned long long)seed);
    while (left > 0) {
        /* A new run now and then, to have more beginnings and ends. */
        double part = left < 0.1 ? left : 0.1;
        finish = cel_after((cel_time)(part * 1e9));
        CHECK_EQ(run_on(NWORKERS, live_for_a_while, &seed), 0);
        CHECK(atomic_load(&nstarted) == atomic_load(&nfinished));
        left -= part;
        seed = seed * 6364136223846793005U + 1;
    }
}
