/* SPDX-License-Identifier: MIT */
/*
 * Several workers in one run: where coroutines begin, and what of them works
 * from one worker to another.
 */
#include "celadon/workers.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "celadon.h"
#include "coros.h"
#include "many.h"
#include "sched/run.h"
#include "sched/worker.h"

/* ---- the workers */

static int
count_workers(void *arg)
{
    CHECK_EQ(cel_worker_index(), 0);
    *(int *)arg = cel_workers();
    return 7;
}

TEST(a_run_has_as_many_workers_as_it_was_told)
{
    int n = 0;

    CHECK_EQ(cel_run(count_workers, &n, NULL), 7);
    CHECK_EQ(n, 1);
    CHECK_EQ(run_on(0, count_workers, &n), 7);
    CHECK_EQ(n, 1);
    CHECK_EQ(run_on(5, count_workers, &n), 7);
    CHECK_EQ(n, 5);
    CHECK_EQ(run_on(CEL_WORKERS_ALL, count_workers, &n), 7);
    CHECK_GE(n, 1);
    CHECK_LE(n, CEL_WORKERS_MAX);
    CHECK_EQ(run_on(-2, count_workers, &n), -EINVAL);
    CHECK_EQ(run_on(CEL_WORKERS_MAX + 1, count_workers, &n), -EINVAL);
}

TEST(outside_of_a_coroutine_there_are_no_workers)
{
    cel_worker_stats stats;
    cel_group *group;

    CHECK_EQ(cel_workers(), -EPERM);
    CHECK_EQ(cel_worker_index(), -EPERM);
    CHECK_EQ(cel_go_on(NULL, 0, do_nothing, NULL), -EPERM);
    CHECK_EQ(cel_go_spread(NULL, do_nothing, NULL), -EPERM);
    CHECK_EQ(cel_worker_stats_get(0, &stats, sizeof(stats)), -EPERM);
    CHECK_EQ(cel_group_open(&group, 0), 0);
    CHECK_EQ(cel_group_go_on(group, 0, NULL, NULL), -EPERM);
    CHECK_EQ(cel_group_go_spread(group, NULL, NULL), -EPERM);
    CHECK_EQ(cel_group_close(group), 0);
}

static int
name_no_worker(void *arg)
{
    cel_worker_stats stats;
    cel_group *group;
    int n = cel_workers();

    (void)arg;
    CHECK_EQ(cel_go_on(NULL, -1, do_nothing, NULL), -EINVAL);
    CHECK_EQ(cel_go_on(NULL, n, do_nothing, NULL), -EINVAL);
    CHECK_EQ(cel_worker_stats_get(-1, &stats, sizeof(stats)), -EINVAL);
    CHECK_EQ(cel_worker_stats_get(n, &stats, sizeof(stats)), -EINVAL);
    CHECK_EQ(cel_group_open(&group, 0), 0);
    CHECK_EQ(cel_group_go_on(group, -1, NULL, NULL), -EINVAL);
    CHECK_EQ(cel_group_go_on(group, n, NULL, NULL), -EINVAL);
    CHECK_EQ(cel_group_close(group), 0);
    return 0;
}

TEST(a_worker_that_is_not_there_is_refused)
{
    run(name_no_worker);
    run_many(name_no_worker);
}

/* The limit on descriptors, so that some worker can't open its loop. */
static int
run_with_files(rlim_t nfiles)
{
    struct rlimit old;
    struct rlimit limit;
    int n;

    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    limit = old;
    limit.rlim_cur = nfiles;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    int code = run_on(8, count_workers, &n);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
    return code;
}

TEST(a_worker_that_can_not_be_opened_ends_all)
{
    int fd = dup(0);
    int nfailed = 0;
    int code = -EMFILE;
    int n;

    CHECK_GE(fd, 0);
    close(fd);
    for (rlim_t i = 0; code != 7; i++) {
        CHECK_LT(i, 100);
        code = run_with_files((rlim_t)fd + i);
        CHECK(code == 7 || code == -EMFILE);
        nfailed += code < 0;
    }
    CHECK_GE(nfailed, 3);
    /* Nothing was left behind. */
    int again = dup(0);
    CHECK_EQ(again, fd);
    close(again);
    CHECK_EQ(run_on(8, count_workers, &n), 7);
    CHECK_EQ(n, 8);
}

/* ---- starting and joining */

struct place {
    int worker;
    pthread_t thread;
    uint64_t id;
};

static void
note_place(void *arg)
{
    struct place *place = arg;

    place->worker = cel_worker_index();
    place->thread = pthread_self();
    place->id = cel_id(cel_self());
    CHECK_EQ(cel_workers(), NWORKERS);
    (void)cel_yield();
    CHECK(pthread_equal(place->thread, pthread_self()));
}

static int
visit_all(void *arg)
{
    struct place places[NWORKERS * 10];

    (void)arg;
    for (int i = 0; i < NWORKERS * 10; i++) {
        cel_coro *coro = go_on(i % NWORKERS, note_place, &places[i]);
        uint64_t id = cel_id(coro);
        join(coro);
        CHECK_EQ(places[i].worker, i % NWORKERS);
        CHECK(places[i].id == id);
        CHECK_EQ(pthread_equal(places[i].thread, pthread_self()) != 0,
                 i % NWORKERS == 0);
        for (int k = 0; k < i; k++) {
            CHECK(places[i].id != places[k].id);
        }
    }
    return 0;
}

TEST(a_coroutine_begins_where_it_was_put_and_stays_there)
{
    run_many(visit_all);
}

static void
sleep_until_cancelled(void *arg)
{
    int code = cel_sleep(CEL_FOREVER);

    if (arg != NULL) {
        *(int *)arg = code;
    }
}

static void
sleep_a_little(void *arg)
{
    (void)arg;
    (void)cel_sleep(cel_after(CEL_MSEC));
}

static int
join_in_time(void *arg)
{
    int code = 0;

    (void)arg;
    for (int i = 0; i < NWORKERS; i++) {
        cel_coro *coro = go_on(i, sleep_until_cancelled, &code);
        CHECK_EQ(cel_join(coro, CEL_AT_ONCE), -ETIMEDOUT);
        CHECK_EQ(cel_join(coro, cel_after(2 * CEL_MSEC)), -ETIMEDOUT);
        cel_cancel(coro);
        join(coro);
        CHECK_EQ(code, -ECANCELED);
        join(go_on(i, sleep_a_little, NULL));
    }
    return 0;
}

TEST(a_join_across_workers_minds_its_deadline)
{
    run_many(join_in_time);
}

static void
join_other(void *arg)
{
    cel_coro *other = *(cel_coro **)arg;

    CHECK_EQ(cel_join(other, CEL_FOREVER), -ECANCELED);
}

static int
cancel_joiner(void *arg)
{
    int code = 0;

    (void)arg;
    for (int i = 0; i < NWORKERS * NWORKERS; i++) {
        cel_coro *other = go_on(i % NWORKERS, sleep_until_cancelled, &code);
        cel_coro *joiner = go_on(i / NWORKERS, join_other, &other);
        (void)cel_sleep(cel_after((cel_time)i * 100 * CEL_USEC));
        cel_cancel(joiner);
        join(joiner);
        cel_cancel(other);
        join(other);
    }
    return 0;
}

TEST(a_join_across_workers_can_be_cancelled)
{
    run_many(cancel_joiner);
}

/* Joins with deadlines that pass, or not, when it ends. */
struct impatient {
    cel_coro *coro;
    uint64_t random;
};

static void
sleep_and_end(void *arg)
{
    (void)cel_sleep(cel_after((cel_time)(uintptr_t)arg));
}

static void
join_impatiently(void *arg)
{
    struct impatient *self = arg;
    int code;

    do {
        self->random = self->random * 6364136223846793005U + 1;
        cel_time patience = (cel_time)((self->random >> 40) % 60000);
        code = cel_join(self->coro, cel_after(patience));
    } while (code == -ETIMEDOUT);
    CHECK_EQ(code, 0);
}

static int
join_many_impatiently(void *arg)
{
    enum {
        N = 200
    };
    static struct impatient all[N];
    static cel_coro *joiners[N];

    (void)arg;
    for (int i = 0; i < N; i++) {
        void *nap = (void *)(uintptr_t)(i * 2000);
        all[i] = (struct impatient){NULL, (uint64_t)i};
        if (i % 3 == 0) {
            CHECK_EQ(cel_go_spread(&all[i].coro, sleep_and_end, nap), 0);
        }
        else {
            all[i].coro = go_on(i % NWORKERS, sleep_and_end, nap);
        }
        joiners[i] = go_on(i / NWORKERS % NWORKERS, join_impatiently, &all[i]);
    }
    for (int i = 0; i < N; i++) {
        join(joiners[i]);
    }
    return 0;
}

TEST(who_gives_up_a_join_across_workers_may_join_again)
{
    for (int i = 0; i < 5; i++) {
        run_many(join_many_impatiently);
    }
}

struct many_joiners {
    cel_coro *coro;
    cel_event *go;
    atomic_int njoined;
};

/* Wait until `n` coroutines wait for the end of `coro`, whose home this is. */
static void
await_joiners(const cel_coro *coro, unsigned n)
{
    /* Its stack has one, its handle another. */
    while (coro->refs < 2 + n) {
        (void)cel_sleep(cel_after(CEL_MSEC));
    }
}

static void
wait_for_go(void *arg)
{
    struct many_joiners *all = arg;

    CHECK_EQ(cel_event_wait(all->go, CEL_FOREVER), 0);
}

static void
join_with_others(void *arg)
{
    struct many_joiners *all = arg;

    CHECK_EQ(cel_join(all->coro, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_join(all->coro, CEL_FOREVER), 0);
    atomic_fetch_add(&all->njoined, 1);
}

static int
join_from_everywhere(void *arg)
{
    enum {
        N = 12
    };
    struct many_joiners all = {0};
    cel_coro *joiners[N];

    (void)arg;
    CHECK_EQ(cel_event_open(&all.go), 0);
    for (int at = 0; at < NWORKERS; at++) {
        all.coro = go_on(at, wait_for_go, &all);
        for (int i = 0; i < N; i++) {
            joiners[i] = go_on(i % NWORKERS, join_with_others, &all);
        }
        await_joiners(all.coro, N);
        cel_event_set(all.go);
        for (int i = 0; i < N; i++) {
            join(joiners[i]);
        }
        cel_event_clear(all.go);
    }
    CHECK_EQ(atomic_load(&all.njoined), N * NWORKERS);
    cel_event_close(all.go);
    return 0;
}

TEST(coroutines_of_several_workers_may_join_one)
{
    run_many(join_from_everywhere);
}

static void
join_handle(void *arg)
{
    join(*(cel_coro **)arg);
}

static int
join_local_from_afar(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++) {
        cel_coro *coro = go(i % 2 == 0 ? do_nothing : sleep_a_little, NULL);
        join(go_on(1 + i % 2, join_handle, &coro));
    }
    return 0;
}

TEST(another_worker_may_join_what_cel_go_has_started)
{
    run_many(join_local_from_afar);
}

static int
join_the_root(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_join(cel_self(), CEL_FOREVER), -EDEADLK);
    return 0;
}

TEST(nobody_joins_itself)
{
    run_many(join_the_root);
}

static void *
join_outside(void *arg)
{
    CHECK_EQ(cel_join(arg, CEL_FOREVER), -EPERM);
    return NULL;
}

static int
join_from_a_thread(void *arg)
{
    pthread_t thread;
    cel_coro *coro = go_on(1, do_nothing, NULL);

    (void)arg;
    CHECK_EQ(pthread_create(&thread, NULL, join_outside, coro), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    join(coro);
    return 0;
}

TEST(only_a_coroutine_can_join)
{
    run_many(join_from_a_thread);
}

static size_t
blocks_of(const struct cel__slab *slab)
{
    size_t n = 0;

    for (void *const *block = slab->blocks; block != NULL; block = *block) {
        n++;
    }
    return n;
}

/* Blocks go back to the slab they came from. */
static int
start_and_join_often(void *arg)
{
    struct cel__run *run = cel__run_current();

    (void)arg;
    for (int i = 0; i < 20000; i++) {
        join(go_on(1 + i % 2, do_nothing, NULL));
    }
    CHECK_LT(blocks_of(&run->coros), 5000 / run->coros.nblock);
    return 0;
}

TEST(what_was_started_elsewhere_leaves_no_memory_behind)
{
    run_many(start_and_join_often);
}

static atomic_int ndetached;

static void
count_detached(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ndetached, 1);
}

static int
start_detached(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3000; i++) {
        CHECK_EQ(cel_go_on(NULL, i % NWORKERS, count_detached, NULL), 0);
    }
    while (atomic_load(&ndetached) < 3000) {
        (void)cel_sleep(cel_after(CEL_MSEC));
    }
    return 0;
}

TEST(coroutines_without_a_handle_run_elsewhere_too)
{
    run_many(start_detached);
}

/* ---- cancelling */

static void
expect_cancel(void *arg)
{
    atomic_int *n = arg;

    CHECK_EQ(cel_sleep(CEL_FOREVER), -ECANCELED);
    CHECK(cel_cancelled());
    atomic_fetch_add(n, 1);
}

static int
cancel_at_once(void *arg)
{
    static atomic_int n;
    cel_coro *coros[100];

    (void)arg;
    for (int i = 0; i < 100; i++) {
        coros[i] = go_on(i % NWORKERS, expect_cancel, &n);
        cel_cancel(coros[i]); /* perhaps before it has arrived */
        if (i % 3 == 0) {
            cel_cancel(coros[i]);
        }
    }
    for (int i = 0; i < 100; i++) {
        join(coros[i]);
    }
    CHECK_EQ(atomic_load(&n), 100);
    return 0;
}

TEST(a_coroutine_may_be_cancelled_before_it_has_begun_elsewhere)
{
    run_many(cancel_at_once);
}

/* ---- the end of the run */

static atomic_int nended;
static cel_chan *never;

static void
stay(void *arg)
{
    char byte;

    switch ((intptr_t)arg % 4) {
    case 0:
        CHECK_EQ(cel_sleep(CEL_FOREVER), -ECANCELED);
        break;
    case 1:
        CHECK_EQ(cel_chan_recv(never, &byte, CEL_FOREVER), -ECANCELED);
        break;
    case 2:
        while (cel_yield() == 0) {}
        break;
    default:
        CHECK_EQ(cel_sleep(cel_after(3600 * CEL_SEC)), -ECANCELED);
        break;
    }
    /* Cleaning up may start what must end too, here or elsewhere. */
    if ((intptr_t)arg >= 100) {
        int at = (cel_worker_index() + 1) % cel_workers();
        CHECK_EQ(cel_go_on(NULL, at, stay, (void *)((intptr_t)arg - 100)), 0);
    }
    atomic_fetch_add(&nended, 1);
}

static int
leave_many_behind(void *arg)
{
    (void)arg;
    for (intptr_t i = 0; i < 60; i++) {
        CHECK_EQ(cel_go_on(NULL, (int)i % NWORKERS, stay,
                           (void *)(i % 10 + 100 * (i % 4))),
                 0);
    }
    (void)cel_sleep(cel_after(CEL_MSEC));
    return 0;
}

TEST(the_end_of_a_run_cancels_what_runs_at_every_worker)
{
    for (int i = 0; i < 5; i++) {
        atomic_store(&nended, 0);
        CHECK_EQ(cel_chan_open(&never, 1, 0), 0);
        run_many(leave_many_behind);
        /* 15 each that start 0, 1, 2 or 3 more. */
        CHECK_EQ(atomic_load(&nended), 15 * (1 + 2 + 3 + 4));
        cel_chan_close(never);
    }
}

static int
leave_at_once(void *arg)
{
    int n = *(int *)arg;

    for (int i = 0; i < n; i++) {
        CHECK_EQ(cel_go_on(NULL, i % cel_workers(), do_nothing, NULL), 0);
    }
    return 0;
}

TEST(a_run_may_end_before_what_it_started_has_arrived)
{
    for (int i = 0; i < 60; i++) {
        int n = i % 6;
        CHECK_EQ(run_on(1 + i % 4, leave_at_once, &n), 0);
    }
}

static void
never_asked(cel_gen *gen, void *arg)
{
    (void)gen;
    (void)arg;
}

static void
open_generator(void *arg)
{
    cel_gen *gen;

    (void)arg;
    CHECK_EQ(cel_gen_open(&gen, never_asked, NULL), 0);
}

static int
leave_generators(void *arg)
{
    (void)arg;
    for (int i = 0; i < NWORKERS; i++) {
        join(go_on(i, open_generator, NULL));
    }
    return 0;
}

TEST(generators_that_nobody_asked_do_not_keep_a_run_from_its_end)
{
    run_many(leave_generators);
}

/* ---- placing */

static void
note_index(void *arg)
{
    *(int *)arg = cel_worker_index();
}

static int
go_on_alone(void *arg)
{
    cel_worker_stats stats = {.coros = 99};
    int index = -1;
    cel_coro *coro;

    (void)arg;
    join(go_on(0, note_index, &index));
    CHECK_EQ(index, 0);
    index = -1;
    CHECK_EQ(cel_go_spread(&coro, note_index, &index), 0);
    join(coro);
    CHECK_EQ(index, 0);
    /* Beyond the size that is asked for nothing is written. */
    CHECK_EQ(cel_worker_stats_get(0, &stats, 2 * sizeof(uint64_t)), 0);
    CHECK_EQ(stats.coros, 99);
    return 0;
}

TEST(with_one_worker_all_begins_there)
{
    run(go_on_alone);
}
