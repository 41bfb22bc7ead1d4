/* SPDX-License-Identifier: MIT */
/*
 * Offloaded calls: results, leaving in every state, the bound, forks; and the
 * jobs below them.
 */
#include "pool/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "celadon/run.h"
#include "coros.h"
#include "sched/wait.h"
#include "sched/worker.h"

/* A call that stays inside until it is let go. */
struct gate {
    cel_time deadline;
    int code; /* what the coroutine got */
    int result;
    _Atomic int nreleased;
    _Atomic bool entered;
    _Atomic bool open;
    bool firm;
};

static int
pass(void *arg)
{
    struct gate *gate = arg;

    gate->entered = true;
    while (!gate->open) {
        (void)sched_yield();
    }
    return 17;
}

static void
release_gate(void *arg)
{
    struct gate *gate = arg;

    gate->nreleased++;
}

static void
offload_gate(void *arg)
{
    struct gate *gate = arg;

    gate->code = cel_offload(&gate->result, pass, gate,
                             gate->firm ? NULL : release_gate, gate->deadline);
}

/* Start a coroutine that offloads the gate; wait until a thread is in it. */
static cel_coro *
start(struct gate *gate)
{
    cel_coro *coro;

    gate->deadline = CEL_FOREVER;
    CHECK_EQ(cel_go(&coro, offload_gate, gate), 0);
    while (!gate->entered) {
        CHECK_EQ(cel_sleep(cel_after(100 * CEL_USEC)), 0);
    }
    return coro;
}

static void
until(const _Atomic int *count, int n)
{
    while (*count < n) {
        CHECK_EQ(cel_sleep(cel_after(100 * CEL_USEC)), 0);
    }
}

static int
double_it(void *arg)
{
    CHECK_PTR(cel__worker(), NULL);
    CHECK_PTR(cel_self(), NULL);
    return *(int *)arg * 2;
}

static int
get_results(void *arg)
{
    int result = 0;

    (void)arg;
    for (int i = 0; i < 200; i++) {
        CHECK_EQ(cel_offload(&result, double_it, &i, NULL, CEL_FOREVER), 0);
        CHECK_EQ(result, 2 * i);
    }
    CHECK_EQ(cel_offload(NULL, double_it, &result, NULL, CEL_FOREVER), 0);
    CHECK_EQ(cel__worker()->nexpected, 0);
    return 0;
}

TEST(what_the_function_returns_comes_back)
{
    run(get_results);
}

TEST(outside_of_a_coroutine_nothing_is_called)
{
    CHECK_EQ(cel_offload(NULL, double_it, NULL, NULL, CEL_FOREVER), -EPERM);
}

static int
run_meanwhile(void *arg)
{
    struct gate gate = {.firm = true};

    (void)arg;
    cel_coro *coro = start(&gate);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(cel_sleep(cel_after(100 * CEL_USEC)), 0);
    }
    gate.open = true;
    CHECK_EQ(cel_join(coro, CEL_FOREVER), 0);
    CHECK_EQ(gate.code, 0);
    CHECK_EQ(gate.result, 17);
    return 0;
}

TEST(others_run_while_a_call_is_away)
{
    run(run_meanwhile);
}

/*
 * Leaving.
 */

static int
leave_running(void *arg)
{
    static struct gate gates[2];

    (void)arg;
    cel_coro *first = start(&gates[0]);
    cel_cancel(first);
    CHECK_EQ(cel_join(first, CEL_FOREVER), 0);
    CHECK_EQ(gates[0].code, -ECANCELED);
    gates[1].deadline = cel_after(5 * CEL_MSEC);
    cel_coro *second;
    CHECK_EQ(cel_go(&second, offload_gate, &gates[1]), 0);
    CHECK_EQ(cel_join(second, CEL_FOREVER), 0);
    CHECK_EQ(gates[1].code, -ETIMEDOUT);
    for (int i = 0; i < 2; i++) {
        /* On a slow machine the second has not begun, and is withdrawn, or
           is just about to begin. */
        while (!gates[i].entered && gates[i].nreleased == 0) {
            CHECK_EQ(cel_sleep(cel_after(100 * CEL_USEC)), 0);
        }
        CHECK_EQ(gates[i].nreleased, gates[i].entered ? 0 : 1);
        gates[i].open = true;
        until(&gates[i].nreleased, 1);
    }
    CHECK_EQ(cel__worker()->nexpected, 0);
    return 0;
}

TEST(who_may_leave_a_running_call_leaves_at_once)
{
    run(leave_running);
}

static int
stay(void *arg)
{
    struct gate gate = {.firm = true};

    (void)arg;
    cel_coro *coro = start(&gate);
    cel_cancel(coro);
    CHECK_EQ(cel_join(coro, cel_after(2 * CEL_MSEC)), -ETIMEDOUT);
    gate.open = true;
    CHECK_EQ(cel_join(coro, CEL_FOREVER), 0);
    CHECK_EQ(gate.code, 0); /* it had its effect */
    CHECK_EQ(gate.result, 17);
    return 0;
}

TEST(who_may_not_leave_waits_for_a_running_call)
{
    run(stay);
}

static int
withdraw(void *arg)
{
    static struct gate busy;
    static struct gate queued[4];
    cel_coro *coros[4];

    (void)arg;
    cel_pool_set_threads(1);
    cel_coro *first = start(&busy);
    for (int i = 0; i < 4; i++) {
        queued[i].firm = i < 2;
        queued[i].deadline = i % 2 == 0 ? cel_after(2 * CEL_MSEC)
                                        : CEL_FOREVER;
        CHECK_EQ(cel_go(&coros[i], offload_gate, &queued[i]), 0);
    }
    CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    cel_cancel(coros[1]);
    cel_cancel(coros[3]);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(cel_join(coros[i], CEL_FOREVER), 0);
        CHECK_EQ(queued[i].code, i % 2 == 0 ? -ETIMEDOUT : -ECANCELED);
        CHECK(!queued[i].entered);
        CHECK_EQ(queued[i].nreleased, i < 2 ? 0 : 1);
    }
    busy.open = true;
    CHECK_EQ(cel_join(first, CEL_FOREVER), 0);
    CHECK_EQ(cel__worker()->nexpected, 0);
    return 0;
}

TEST(a_queued_call_that_is_left_is_never_made)
{
    run(withdraw);
}

static int
offload_cancelled(void *arg)
{
    static struct gate gate;

    (void)arg;
    cel_cancel(cel_self());
    gate.deadline = CEL_FOREVER;
    offload_gate(&gate);
    CHECK_EQ(gate.code, -ECANCELED);
    CHECK_EQ(gate.nreleased, 1);
    gate.firm = true;
    offload_gate(&gate);
    CHECK_EQ(gate.code, -ECANCELED);
    CHECK(!gate.entered);
    return 0;
}

TEST(a_cancelled_coroutine_offloads_nothing)
{
    run(offload_cancelled);
}

static struct gate left;

static int
leave_at_the_end(void *arg)
{
    cel_coro *coro;

    (void)arg;
    left.deadline = CEL_FOREVER;
    CHECK_EQ(cel_go(&coro, offload_gate, &left), 0);
    while (!left.entered) {
        CHECK_EQ(cel_yield(), 0);
    }
    return 0;
}

TEST(a_run_may_end_while_a_call_that_was_left_goes_on)
{
    run(leave_at_the_end);
    CHECK_EQ(left.code, -ECANCELED);
    CHECK_EQ(left.nreleased, 0);
    left.open = true;
    while (left.nreleased == 0) {
        (void)sched_yield();
    }
}

TEST(a_process_may_exit_while_a_call_goes_on)
{
    pid_t child = fork();

    CHECK_GE(child, 0);
    if (child == 0) {
        run(leave_at_the_end);
        exit(0);
    }
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

/*
 * Threads.
 */

static _Atomic int ninside;
static _Atomic int most;

static int
count_inside(void *arg)
{
    int now = ++ninside;

    while (most < now) {
        most = now;
    }
    (void)usleep(2000);
    ninside--;
    (void)arg;
    return 0;
}

static void
offload_count(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_offload(NULL, count_inside, NULL, NULL, CEL_FOREVER), 0);
}

static int
fill_pool(void *arg)
{
    cel_coro *coros[30];

    for (int i = 0; i < 30; i++) {
        CHECK_EQ(cel_go(&coros[i], offload_count, NULL), 0);
    }
    for (int i = 0; i < 30; i++) {
        CHECK_EQ(cel_join(coros[i], CEL_FOREVER), 0);
    }
    CHECK_LE(most, *(int *)arg);
    CHECK_GE(most, 1);
    return 0;
}

TEST(the_pool_keeps_to_its_bound)
{
    int bound = 10;

    CHECK_EQ(cel_run(fill_pool, &bound, NULL), 0);
    cel_pool_set_threads(2);
    bound = 3; /* one that is above the bound may be inside already */
    most = 0;
    CHECK_EQ(cel_run(fill_pool, &bound, NULL), 0);
}

TEST(the_environment_sets_the_bound)
{
    int bound = 3;

    CHECK_EQ(setenv("CELADON_POOL_THREADS", "3", 1), 0);
    CHECK_EQ(cel_run(fill_pool, &bound, NULL), 0);
}

/* Calls that each need the other one to have begun. */
static int
meet(void *arg)
{
    ninside++;
    while (ninside < 4) {
        (void)sched_yield();
    }
    (void)arg;
    return 0;
}

static void
offload_meet(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_offload(NULL, meet, NULL, NULL, CEL_FOREVER), 0);
}

static int
raise_bound(void *arg)
{
    cel_coro *coros[4];

    (void)arg;
    cel_pool_set_threads(1);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(cel_go(&coros[i], offload_meet, NULL), 0);
    }
    until(&ninside, 1);
    CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    CHECK_EQ(ninside, 1);
    cel_pool_set_threads(4);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(cel_join(coros[i], CEL_FOREVER), 0);
    }
    return 0;
}

TEST(a_higher_bound_starts_threads_for_what_is_queued)
{
    run(raise_bound);
}

static char order[16];
static _Atomic int norder;

static int
note_order(void *arg)
{
    order[norder++] = *(char *)arg;
    return 0;
}

static void
offload_note(void *arg)
{
    CHECK_EQ(cel_offload(NULL, note_order, arg, NULL, CEL_FOREVER), 0);
}

static int
queue_in_order(void *arg)
{
    static struct gate busy;
    static char names[] = "abcdef";
    cel_coro *coros[6];

    (void)arg;
    cel_pool_set_threads(1);
    cel_coro *first = start(&busy);
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(cel_go(&coros[i], offload_note, &names[i]), 0);
        CHECK_EQ(cel_sleep(cel_after(100 * CEL_USEC)), 0);
    }
    busy.open = true;
    CHECK_EQ(cel_join(first, CEL_FOREVER), 0);
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(cel_join(coros[i], CEL_FOREVER), 0);
    }
    return 0;
}

TEST(calls_are_made_in_the_order_they_came)
{
    run(queue_in_order);
    CHECK_STR(order, "abcdef");
}

static int
no_signals(void *arg)
{
    sigset_t mask;

    (void)arg;
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    return sigismember(&mask, SIGINT) && sigismember(&mask, SIGCHLD);
}

static int
look_at_mask(void *arg)
{
    int result = 0;

    (void)arg;
    CHECK_EQ(cel_offload(&result, no_signals, NULL, NULL, CEL_FOREVER), 0);
    CHECK_EQ(result, 1);
    return 0;
}

TEST(threads_of_the_pool_take_no_signals)
{
    run(look_at_mask);
}

static int
idle_away(void *arg)
{
    int n = 4;

    (void)arg;
    /* In a hard build a thread ends when it has been idle for 1 ms. */
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(cel_offload(NULL, double_it, &n, NULL, CEL_FOREVER), 0);
        CHECK_EQ(cel_sleep(cel_after((i % 4) * CEL_MSEC / 2)), 0);
    }
    return 0;
}

TEST(threads_that_ended_are_started_again)
{
    run(idle_away);
}

/* Many workers at once, calls of no length. */
static int
hammer(void *arg)
{
    int n = 21;
    int result = 0;

    for (int i = 0; i < 300; i++) {
        cel_time deadline = i % 3 == 0 ? cel_after(20 * CEL_USEC)
                                       : CEL_FOREVER;
        int err = cel_offload(&result, double_it, &n, NULL, deadline);
        CHECK(err == 0 || err == -ETIMEDOUT);
        CHECK(err < 0 || result == 42);
    }
    (void)arg;
    return 0;
}

static void *
run_hammer(void *arg)
{
    (void)arg;
    run(hammer);
    return NULL;
}

TEST(several_workers_share_the_pool)
{
    pthread_t threads[4];

    for (int i = 0; i < 4; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, run_hammer, NULL), 0);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
}

/*
 * Forks.
 */

/* In a child ThreadSanitizer ignores what orders a switch, and sees races;
   qemu (7.2) can't start threads there.  Meson says that it is used. */
static void
needs_fork(void)
{
    if (CEL__TSAN || getenv("MESON_EXE_WRAPPER") != NULL) {
        SKIP("neither ThreadSanitizer nor qemu follows threads into a child");
    }
}

static int
fork_with_calls_away(void *arg)
{
    static struct gate running[2];
    static struct gate queued;
    cel_coro *coros[3];
    cel_coro *waiting;
    int n = 21;
    int result = 0;

    (void)arg;
    cel_pool_set_threads(2);
    for (int i = 0; i < 2; i++) {
        running[i].firm = i == 0;
        coros[i] = start(&running[i]);
    }
    queued.deadline = CEL_FOREVER;
    CHECK_EQ(cel_go(&waiting, offload_gate, &queued), 0);
    CHECK_EQ(cel_yield(), 0);
    coros[2] = waiting;
    (void)fflush(NULL);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child > 0) {
        running[0].open = running[1].open = queued.open = true;
    }
    for (int i = 0; i < 3; i++) {
        struct gate *gate = i == 2 ? &queued : &running[i];
        CHECK_EQ(cel_join(coros[i], CEL_FOREVER), 0);
        CHECK_EQ(gate->code, child > 0 ? 0 : -ECANCELED);
        CHECK_EQ(gate->nreleased, 0);
    }
    /* And the pool works in both. */
    CHECK_EQ(cel_offload(&result, double_it, &n, NULL, CEL_FOREVER), 0);
    CHECK_EQ(result, 42);
    CHECK_EQ(cel__worker()->nexpected, 0);
    if (child > 0) {
        int status = -1;
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK_EQ(status, 0);
    }
    else {
        _exit(0); /* LeakSanitizer would find what the threads had */
    }
    return 0;
}

TEST(in_the_child_of_a_fork_calls_that_were_away_are_lost)
{
    needs_fork();
    run(fork_with_calls_away);
}

static int
fork_there(void *arg)
{
    pid_t child = fork();

    (void)arg;
    if (child == 0) {
        _exit(7);
    }
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

static int
offload_fork(void *arg)
{
    int result = 0;

    (void)arg;
    CHECK_EQ(cel_offload(&result, fork_there, NULL, NULL, CEL_FOREVER), 0);
    CHECK_EQ(result, 7);
    return 0;
}

TEST(an_offloaded_call_may_fork)
{
    run(offload_fork);
}

/*
 * Where no thread can be had.
 */

static int
offload_without_threads(void *arg)
{
    static struct gate gate;
    struct rlimit limit;

    (void)arg;
    /* Root has no limit of processes. */
    CHECK(geteuid() != 0 || setuid(65534) == 0);
    CHECK_EQ(getrlimit(RLIMIT_NPROC, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 0;
    CHECK_EQ(setrlimit(RLIMIT_NPROC, &limit), 0);
    gate.deadline = CEL_FOREVER;
    offload_gate(&gate);
    CHECK_EQ(gate.code, -EAGAIN);
    CHECK_EQ(gate.nreleased, 0);
    CHECK_EQ(cel__worker()->nexpected, 0);
    limit.rlim_cur = before;
    CHECK_EQ(setrlimit(RLIMIT_NPROC, &limit), 0);
    gate.open = true;
    gate.firm = true;
    offload_gate(&gate);
    CHECK_EQ(gate.code, 0);
    return 0;
}

TEST(without_any_thread_a_call_is_refused)
{
    run(offload_without_threads);
}

/*
 * Jobs, as an embedder submits them.
 */

struct task {
    struct cel__job job;
    struct cel__coro *coro;
    _Atomic bool go_on;
    _Atomic int nrun;
    int ndone;
    _Atomic int ndropped;
};

static void
task_run(struct cel__job *job)
{
    struct task *task = (struct task *)job;

    while (!task->go_on) {
        (void)sched_yield();
    }
    task->nrun++;
}

static void
task_done(struct cel__job *job)
{
    struct task *task = (struct task *)job;

    CHECK_PTR(cel__worker(), job->worker);
    CHECK(!job->lost);
    task->ndone++;
    cel__wake(task->coro);
}

static void
task_drop(struct cel__job *job)
{
    struct task *task = (struct task *)job;

    CHECK_PTR(cel__worker(), NULL);
    task->ndropped++;
}

static void
submit(struct task *task)
{
    struct cel__worker *worker = cel__worker();

    task->job.run = task_run;
    task->job.done = task_done;
    task->job.drop = task_drop;
    task->coro = worker->current;
    CHECK_EQ(cel__pool_submit(worker, &task->job), 0);
}

static int
handle_jobs(void *arg)
{
    static struct task tasks[3];
    struct cel__worker *worker = cel__worker();

    (void)arg;
    cel_pool_set_threads(1);
    submit(&tasks[0]);
    submit(&tasks[1]);
    CHECK_EQ(worker->nexpected, 2);
    CHECK(!cel__pool_abandon(&tasks[1].job)); /* has not begun */
    CHECK(cel__pool_withdraw(&tasks[1].job));
    CHECK_EQ(worker->nexpected, 1);
    tasks[0].go_on = true;
    while (tasks[0].ndone == 0) {
        CHECK_EQ(cel__park(worker, CEL_FOREVER, "a job"), 0);
    }
    CHECK_EQ(tasks[0].nrun, 1);
    submit(&tasks[0]); /* a job may be used again */
    submit(&tasks[2]);
    while (tasks[0].ndone == 1) {
        CHECK_EQ(cel__park(worker, CEL_FOREVER, "a job"), 0);
    }
    while (!cel__pool_abandon(&tasks[2].job)) {
        (void)sched_yield();
    }
    CHECK(!cel__pool_withdraw(&tasks[2].job));
    CHECK_EQ(worker->nexpected, 0);
    tasks[2].go_on = true;
    while (tasks[2].ndropped == 0) {
        (void)sched_yield();
    }
    CHECK_EQ(tasks[2].ndone, 0);
    CHECK_EQ(tasks[1].nrun + tasks[1].ndone + tasks[1].ndropped, 0);
    return 0;
}

TEST(jobs_are_done_withdrawn_or_dropped)
{
    run(handle_jobs);
}
