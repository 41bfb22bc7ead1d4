/* SPDX-License-Identifier: MIT */
/*
 * Parking, waking and switching by hand, below the C face.
 */
#include "sched/wait.h"

#include <errno.h>
#include <string.h>

#include "celadon/run.h"
#include "coros.h"
#include "sched/worker.h"
#include "trace.h"

/* One that parks once, and what came of it. */
struct parker {
    struct cel__coro *coro;
    cel_time deadline;
    char name;
    int code;
    bool began;
    bool ended;
};

static void
park(void *arg)
{
    struct parker *self = arg;
    struct cel__worker *worker = cel__worker();

    self->coro = worker->current;
    self->began = true;
    self->code = cel__park(worker, self->deadline, "a test");
    self->ended = true;
    note(self->name);
}

/* Start `parker` and let it park. */
static cel_coro *
start(struct parker *parker)
{
    cel_coro *coro;

    CHECK_EQ(cel_go(&coro, park, parker), 0);
    while (!parker->began) {
        CHECK_EQ(cel_yield(), 0);
    }
    CHECK_EQ(parker->coro->state, CEL__PARKED);
    CHECK_STR(parker->coro->waits_for, "a test");
    return coro;
}

static int
wake_in_order(void *arg)
{
    struct parker parkers[] = {{.deadline = CEL_FOREVER, .name = 'a'},
                               {.deadline = CEL_FOREVER, .name = 'b'},
                               {.deadline = CEL_FOREVER, .name = 'c'}};
    cel_coro *coros[3];

    (void)arg;
    for (int i = 0; i < 3; i++) {
        coros[i] = start(&parkers[i]);
    }
    cel__wake(parkers[1].coro);
    cel__wake(parkers[2].coro);
    cel__wake(parkers[1].coro); /* is ready already */
    cel__wake(parkers[0].coro);
    note('r');
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(cel_join(coros[i], CEL_FOREVER), 0);
        CHECK_EQ(parkers[i].code, 0);
    }
    return 0;
}

static int
wake_ahead(void *arg)
{
    struct parker parkers[] = {{.deadline = CEL_FOREVER, .name = 'a'},
                               {.deadline = CEL_FOREVER, .name = 'b'}};
    cel_coro *coros[2];

    (void)arg;
    for (int i = 0; i < 2; i++) {
        coros[i] = start(&parkers[i]);
    }
    cel__wake(parkers[0].coro);
    cel__wake_first(parkers[1].coro);
    cel__wake_first(parkers[0].coro); /* is ready, and keeps its place */
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(cel_join(coros[i], CEL_FOREVER), 0);
        CHECK_EQ(parkers[i].code, 0);
    }
    return 0;
}

TEST(who_takes_connections_goes_first)
{
    needs_order();
    run(wake_ahead);
    CHECK_STR(trace, "ba");
}

TEST(who_is_woken_first_runs_first)
{
    needs_order();
    run(wake_in_order);
    CHECK_STR(trace, "rbca");
}

static int
wake_running(void *arg)
{
    struct cel__worker *worker = cel__worker();

    (void)arg;
    /* Waking one that runs is no credit for its next park. */
    cel__wake(worker->current);
    CHECK(!cel__interrupt(worker->current, -EIO));
    CHECK_EQ(cel__park(worker, cel_after(CEL_MSEC), "nothing"), -ETIMEDOUT);
    return 0;
}

TEST(waking_one_that_runs_changes_nothing)
{
    run(wake_running);
}

static int
deadlines(void *arg)
{
    struct cel__worker *worker = cel__worker();
    struct parker parker = {.deadline = cel_after(CEL_MSEC), .name = 't'};

    (void)arg;
    CHECK_EQ(cel__park(worker, CEL_AT_ONCE, "nothing"), -ETIMEDOUT);
    CHECK_EQ(cel__park(worker, -5, "nothing"), -ETIMEDOUT);
    cel_coro *coro = start(&parker);
    CHECK_EQ(worker->timers.count, 1);
    CHECK_EQ(cel_join(coro, CEL_FOREVER), 0);
    CHECK_EQ(parker.code, -ETIMEDOUT);
    CHECK_EQ(worker->timers.count, 0);
    return 0;
}

TEST(a_park_ends_at_its_deadline)
{
    run(deadlines);
}

static int
wake_before_deadline(void *arg)
{
    struct cel__worker *worker = cel__worker();
    struct parker parker = {.deadline = cel_after(CEL_SEC), .name = 'w'};

    (void)arg;
    cel_coro *coro = start(&parker);
    cel__wake(parker.coro);
    CHECK_EQ(cel_join(coro, CEL_FOREVER), 0);
    CHECK_EQ(parker.code, 0);
    CHECK_EQ(worker->timers.count, 0);
    return 0;
}

TEST(a_deadline_that_did_not_come_leaves_no_timer)
{
    run(wake_before_deadline);
}

static int
interrupt(void *arg)
{
    struct parker parker = {.deadline = CEL_FOREVER, .name = 'i'};

    (void)arg;
    cel_coro *coro = start(&parker);
    CHECK(cel__interrupt(parker.coro, -EIO));
    CHECK(!cel__interrupt(parker.coro, -EBADF)); /* ready: the first counts */
    cel__wake(parker.coro);
    CHECK_EQ(cel_join(coro, CEL_FOREVER), 0);
    CHECK_EQ(parker.code, -EIO);
    return 0;
}

TEST(an_interrupted_park_returns_the_code)
{
    run(interrupt);
}

static void
park_firmly(void *arg)
{
    struct parker *self = arg;
    struct cel__worker *worker = cel__worker();

    self->coro = worker->current;
    self->began = true;
    cel__park_firmly(worker, "a test");
    self->ended = true;
    CHECK_EQ(cel__park(worker, CEL_FOREVER, "nothing"), -ECANCELED);
}

static int
be_firm(void *arg)
{
    struct parker parker = {.name = 'f'};
    cel_coro *coro;

    (void)arg;
    CHECK_EQ(cel_go(&coro, park_firmly, &parker), 0);
    CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    cel_cancel(coro);
    CHECK(!cel__interrupt(parker.coro, -EIO));
    CHECK_EQ(cel_join(coro, cel_after(CEL_MSEC)), -ETIMEDOUT);
    CHECK(!parker.ended);
    cel__wake(parker.coro);
    CHECK_EQ(cel_join(coro, CEL_FOREVER), 0);
    CHECK(parker.ended);
    return 0;
}

TEST(only_a_wake_ends_a_firm_park)
{
    run(be_firm);
}

/*
 * A queue of waits, as the protocol in wait.h has it.
 */

struct thing {
    struct cel__link waiters;
};

struct waiter {
    struct thing *thing;
    cel_time deadline;
    int result;
};

static int
await(struct thing *thing, cel_time deadline)
{
    struct cel__worker *worker = cel__worker();
    struct cel__wait wait;

    cel__wait_init(&wait, worker->current);
    cel__list_append(&thing->waiters, &wait.link);
    while (!wait.done) {
        int code = cel__park(worker, deadline, "thing");
        if (code < 0) {
            cel__list_remove(&wait.link);
            return wait.done ? wait.result : code;
        }
    }
    return wait.result;
}

static void
await_thing(void *arg)
{
    struct waiter *self = arg;

    self->result = await(self->thing, self->deadline);
}

static void
finish_first(struct thing *thing, int result)
{
    struct cel__link *link = cel__list_first(&thing->waiters);

    CHECK(link != NULL);
    cel__wait_finish(cel__container(link, struct cel__wait, link), result);
}

static int
wait_in_queue(void *arg)
{
    struct thing thing;
    struct waiter waiters[4];
    cel_coro *coros[4];

    (void)arg;
    cel__list_init(&thing.waiters);
    for (int i = 0; i < 4; i++) {
        waiters[i] = (struct waiter){&thing, CEL_FOREVER, -1};
        if (i == 1) {
            waiters[i].deadline = cel_after(CEL_MSEC);
        }
        CHECK_EQ(cel_go(&coros[i], await_thing, &waiters[i]), 0);
    }
    CHECK_EQ(cel_join(coros[1], CEL_FOREVER), 0);
    CHECK_EQ(waiters[1].result, -ETIMEDOUT);
    cel_cancel(coros[3]);
    CHECK_EQ(cel_join(coros[3], CEL_FOREVER), 0);
    CHECK_EQ(waiters[3].result, -ECANCELED);
    struct cel__link *first = thing.waiters.next;
    cel__wake(cel__container(first, struct cel__wait, link)->coro);
    CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0); /* woken for nothing */
    finish_first(&thing, 10);
    finish_first(&thing, 20);
    CHECK(cel__list_empty(&thing.waiters));
    CHECK_EQ(cel_join(coros[0], CEL_FOREVER), 0);
    CHECK_EQ(cel_join(coros[2], CEL_FOREVER), 0);
    CHECK_EQ(waiters[0].result + waiters[2].result, 30);
    return 0;
}

TEST(waits_end_by_result_deadline_or_cancelling)
{
    run(wait_in_queue);
}

static int
finish_and_cancel(void *arg)
{
    struct thing thing;
    struct waiter waiter = {&thing, CEL_FOREVER, -1};
    cel_coro *coro;

    (void)arg;
    cel__list_init(&thing.waiters);
    CHECK_EQ(cel_go(&coro, await_thing, &waiter), 0);
    CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    /* Both before it runs: what happened is what it is told. */
    cel_cancel(coro);
    finish_first(&thing, 7);
    CHECK_EQ(cel_join(coro, CEL_FOREVER), 0);
    CHECK_EQ(waiter.result, 7);
    return 0;
}

TEST(what_happened_counts_more_than_being_cancelled)
{
    run(finish_and_cancel);
}

/*
 * Switching by hand.
 */

/* Resumes `back` and notes what its own park came to. */
struct partner {
    struct cel__coro *coro;
    struct cel__coro *back;
    int code;
};

static void
resume_back(void *arg)
{
    struct partner *self = arg;
    struct cel__worker *worker = cel__worker();

    self->coro = worker->current;
    note('b');
    self->code = cel__resume(worker, self->back);
    note('d');
}

static int
switch_by_hand(void *arg)
{
    struct cel__worker *worker = cel__worker();
    struct partner partner = {.back = worker->current};
    cel_coro *coro;
    cel_coro *other;

    (void)arg;
    struct parker parker = {.deadline = CEL_FOREVER, .name = 'o'};
    CHECK_EQ(cel_go(&coro, resume_back, &partner), 0);
    CHECK_EQ(cel_go(&other, park, &parker), 0);
    note('a');
    /* It is in the run queue behind nobody, and yet is resumed now. */
    CHECK_EQ(cel__resume(worker, (struct cel__coro *)coro), CEL__RESUMED);
    note('c');
    CHECK(!parker.began);
    CHECK_EQ(partner.coro->state, CEL__PARKED);
    CHECK_EQ(cel__ring_count(&worker->ready), 1);
    cel__wake(partner.coro);
    CHECK_EQ(cel_join(coro, CEL_FOREVER), 0);
    CHECK_EQ(partner.code, 0);
    while (!parker.began) {
        CHECK_EQ(cel_yield(), 0);
    }
    cel_cancel(other);
    CHECK_EQ(cel_join(other, CEL_FOREVER), 0);
    return 0;
}

TEST(resuming_by_hand_passes_the_run_queue)
{
    run(switch_by_hand);
    trace[4] = '\0';
    CHECK_STR(trace, "abcd");
}

/* Parks with a deadline; the one that resumed it is told the code. */
static void
park_and_return(void *arg)
{
    struct partner *self = arg;
    struct cel__worker *worker = cel__worker();

    self->coro = worker->current;
    self->code = cel__park(worker, cel_after(CEL_SEC), "a test");
    CHECK_EQ(worker->timers.count, 0);
    CHECK_EQ(cel__resume(worker, self->back), 0);
}

static int
resume_parked(void *arg)
{
    struct cel__worker *worker = cel__worker();
    struct partner partner = {.back = worker->current};
    cel_coro *coro;

    (void)arg;
    CHECK_EQ(cel_go(&coro, park_and_return, &partner), 0);
    while (partner.coro == NULL) {
        CHECK_EQ(cel_yield(), 0);
    }
    CHECK_EQ(cel__resume(worker, partner.coro), CEL__RESUMED);
    CHECK_EQ(partner.code, CEL__RESUMED);
    cel__wake(partner.coro);
    CHECK_EQ(cel_join(coro, CEL_FOREVER), 0);
    return 0;
}

TEST(one_resumed_by_hand_forgets_its_deadline)
{
    run(resume_parked);
}

/*
 * An embedder's coroutines: not started by the run, ending in favour of one.
 */

static int nreleased;

static void
release(struct cel__coro *coro)
{
    (void)coro;
    nreleased++;
}

static struct cel__coro *
exit_to_root(struct cel__coro *coro)
{
    note('x');
    return &coro->worker->root;
}

static void
make(struct cel__coro *coro)
{
    struct cel__worker *worker = cel__worker();

    cel__coro_number(coro, worker);
    CHECK_EQ(
        cel__coro_init(coro, worker, &worker->stacks, exit_to_root, release),
        0);
}

static int
embed(void *arg)
{
    static struct cel__coro one;
    static struct cel__coro two;
    struct cel__worker *worker = cel__worker();

    (void)arg;
    make(&one);
    make(&two);
    CHECK_EQ(worker->nalive, 3);
    CHECK_EQ(cel__resume(worker, &one), CEL__RESUMED);
    CHECK_EQ(one.state, CEL__DEAD);
    CHECK_EQ(nreleased, 1);
    cel__wake(&one); /* the dead stay dead */
    cel__coro_discard(&two);
    CHECK_EQ(nreleased, 1);
    CHECK_EQ(worker->nalive, 1);
    CHECK_EQ(cel__ring_count(&worker->ready), 0);
    return 0;
}

TEST(a_coroutine_may_end_in_favour_of_another)
{
    run(embed);
    CHECK_STR(trace, "x");
}

static int
exit_to_ready(void *arg)
{
    static struct cel__coro one;
    struct cel__worker *worker = cel__worker();

    (void)arg;
    make(&one);
    cel__coro_start(&one);
    /* The root is in the run queue when it becomes the heir, and must leave
       it. */
    CHECK_EQ(cel__yield(worker), CEL__RESUMED);
    CHECK_EQ(cel__ring_count(&worker->ready), 0);
    CHECK_EQ(nreleased, 1);
    return 0;
}

TEST(an_heir_in_the_run_queue_leaves_it)
{
    needs_order();
    run(exit_to_ready);
}
