/* SPDX-License-Identifier: MIT */
/*
 * The workers of one cel_run().
 *
 * Threads: see team.h.
 *
 * Tests: unit/test_workers.c
 */
#include "sched/team.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/fork.h"
#include "base/sys_thread.h"
#include "celadon/workers.h"
#include "sched/latch.h"
#include "sched/wait.h"
#include "sched/worker.h"

bool
cel__team_is_whole(const struct cel__team *team)
{
    return team->forks == cel__fork_count();
}

/* ---- the end */

static void
over_arrived(struct cel__message *message)
{
    struct cel__run *run = cel__container(message, struct cel__run, word);

    run->over = true;
    cel__wake(&run->worker->root);
}

static void
end_arrived(struct cel__message *message)
{
    struct cel__run *run = cel__container(message, struct cel__run, word);

    run->ending = true;
    cel__wake(&run->worker->root);
}

/* Give one token away; with the last one the run is over. */
static void
give_token(struct cel__team *team)
{
    /* Acq_rel: what was done before any token was given away has happened
       before the run is over. */
    if (atomic_fetch_sub_explicit(&team->tokens, 1, memory_order_acq_rel) !=
        1) {
        return;
    }
    for (size_t i = 0; i < team->n; i++) {
        struct cel__run *run = team->runs[i];
        if (run->worker != NULL) {
            run->word.fn = over_arrived;
            cel__worker_post(run->worker, &run->word);
        }
    }
}

bool
cel__team_is_over(struct cel__run *run)
{
    if (run->team == NULL || !cel__team_is_whole(run->team)) {
        return true;
    }
    if (run->token) {
        run->token = false;
        give_token(run->team);
    }
    return run->over;
}

void
cel__team_end(struct cel__team *team)
{
    if (team == NULL || !cel__team_is_whole(team)) {
        return;
    }
    for (size_t i = 1; i < team->n; i++) {
        struct cel__run *run = team->runs[i];
        if (run->worker != NULL) {
            run->word.fn = end_arrived;
            cel__worker_post(run->worker, &run->word);
        }
    }
}

/* ---- the threads */

/* Nothing is ready at a worker, nor can its own doing make anything so. */
static struct cel__coro *
stuck(struct cel__worker *worker)
{
    if (cel__team_is_whole(worker->run->team)) {
        return NULL; /* who knows what the others will do */
    }
    worker->hooks.patient = false;
    if (worker->root.state != CEL__PARKED || worker->root.firm) {
        return NULL;
    }
    worker->root.code = -EDEADLK;
    return &worker->root;
}

/* `run`, whose worker is open, is number `index` of `team`.  Returns 0 or
   -ENOMEM. */
static int
join_team(struct cel__run *run, struct cel__team *team, unsigned index)
{
    run->barriers = cel__latch_may_bias();
    run->index = index;
    run->token = true;
    run->worker->hooks.stuck = stuck;
    run->worker->hooks.patient = true;
    run->team = team;
    return cel__spread_open(run);
}

static void
report(struct cel__team *team, int err)
{
    (void)pthread_mutex_lock(&team->lock);
    team->nreported++;
    if (team->error == 0) {
        team->error = err;
    }
    (void)pthread_cond_signal(&team->reported);
    (void)pthread_mutex_unlock(&team->lock);
}

/* The thread of one of the workers. */
static void *
work(void *arg)
{
    struct cel__run *run = arg;
    struct cel__team *team = run->team;
    unsigned index = run->index;
    char name[16];

    (void)snprintf(name, sizeof(name), "celadon-%u", index);
    (void)pthread_setname_np(pthread_self(), name);
    int err = cel__run_open(run, &team->options, NULL);
    if (err < 0) {
        report(team, err);
        return NULL;
    }
    report(team, join_team(run, team, index));
    while (!run->ending && cel__team_is_whole(team)) {
        /* Not firmly: where it is the only one in a child after fork, and has
           nothing left to do, it ends. */
        int code = cel__park(run->worker, CEL_FOREVER, "work");
        cel__assert(code == 0 || code == -EDEADLK);
        (void)code;
    }
    cel__run_close(run);
    return NULL;
}

/* The signals that are for the thread which caused them stay open; all others
   are for threads that know what to do with them. */
static void
block_signals(sigset_t *old)
{
    static const int own[] = {SIGSEGV, SIGBUS,  SIGFPE,
                              SIGILL,  SIGTRAP, SIGSYS};
    sigset_t set;

    (void)sigfillset(&set);
    for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
        (void)sigdelset(&set, own[i]);
    }
    (void)pthread_sigmask(SIG_BLOCK, &set, old);
}

static int
start_threads(struct cel__team *team)
{
    sigset_t old;
    int err = 0;

    block_signals(&old);
    for (size_t i = 0; i + 1 < team->n && err == 0; i++) {
        struct cel__mate *mate = &team->mates[i];
        err = cel__sys_thread(&mate->thread, NULL, work, &mate->run);
        team->nthreads += err == 0;
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return err;
}

/* Wait until each thread has opened its worker, or failed to. */
static int
await_reports(struct cel__team *team)
{
    (void)pthread_mutex_lock(&team->lock);
    while (team->nreported < team->nthreads) {
        (void)pthread_cond_wait(&team->reported, &team->lock);
    }
    int err = team->error;
    (void)pthread_mutex_unlock(&team->lock);
    return err;
}

static void
release_team(struct cel__team *team)
{
    free(team->spreads);
    free(team->mates);
    free((void *)team->runs);
    free(team);
}

static struct cel__team *
make_team(size_t n)
{
    size_t size = (n - 1) * sizeof(struct cel__mate);
    struct cel__team *team = cel__alloc_zeroed(1, sizeof(*team));

    if (team == NULL) {
        return NULL;
    }
    team->runs = cel__alloc_zeroed(n, sizeof(struct cel__run *));
    team->mates = cel__alloc_aligned(_Alignof(struct cel__mate), size);
    team->spreads = cel__alloc_aligned(_Alignof(struct cel__spread),
                                       n * sizeof(struct cel__spread));
    if (team->runs == NULL || team->mates == NULL || team->spreads == NULL) {
        release_team(team);
        return NULL;
    }
    memset(team->mates, 0, size);
    memset(team->spreads, 0, n * sizeof(struct cel__spread));
    team->n = n;
    team->forks = cel__fork_count();
    (void)pthread_mutex_init(&team->lock, NULL);
    (void)pthread_cond_init(&team->reported, NULL);
    return team;
}

int
cel__team_open(struct cel__run *run, const cel_options *options)
{
    struct cel__team *team = make_team((size_t)options->workers);

    if (team == NULL) {
        return -ENOMEM;
    }
    team->options = *options;
    team->runs[0] = run;
    run->spread = &team->spreads[0];
    for (unsigned i = 1; i < team->n; i++) {
        struct cel__run *mate = &team->mates[i - 1].run;
        mate->team = team;
        mate->index = i;
        mate->spread = &team->spreads[i];
        team->runs[i] = mate;
    }
    int err = join_team(run, team, 0);
    if (err == 0) {
        err = start_threads(team);
    }
    int reported = await_reports(team);
    err = err < 0 ? err : reported;
    size_t tokens = 0;
    for (size_t i = 0; i < team->n; i++) {
        tokens += team->runs[i]->worker != NULL;
    }
    /* Relaxed: nobody looks at them before a message has come. */
    atomic_store_explicit(&team->tokens, tokens, memory_order_relaxed);
    return err;
}

void
cel__team_close(struct cel__team *team)
{
    if (team == NULL) {
        return;
    }
    /* A child after fork has not got them. */
    for (size_t i = 0; i < team->nthreads && cel__team_is_whole(team); i++) {
        (void)pthread_join(team->mates[i].thread, NULL);
    }
    /* Now, and not one by one: until its end each may give blocks back to the
       slabs of all. */
    for (size_t i = 0; i < team->nthreads; i++) {
        if (team->mates[i].run.worker != NULL) {
            cel__run_fini(&team->mates[i].run);
        }
    }
    (void)pthread_cond_destroy(&team->reported);
    (void)pthread_mutex_destroy(&team->lock);
    release_team(team);
}

/* ---- placing coroutines */

unsigned
cel__team_anywhere(const struct cel__run *run)
{
    return run->team == NULL || !cel__team_is_whole(run->team) ? run->index
                                                               : CEL__ANYWHERE;
}

/* At its worker: a coroutine that another one has made. */
static void
birth_arrived(struct cel__message *message)
{
    struct cel__coro *coro = cel__container(message, struct cel__coro, wake);
    struct cel__worker *worker = coro->worker;
    struct cel__run *run = worker->run;

    int err = cel__coro_init(coro, worker, &worker->stacks, coro->entry,
                             cel__run_release_away);
    if (err < 0) {
        /* Memory is short: again after the next turn.  Whoever ends leaves a
           place in the queue and a stack. */
        cel__worker_post(worker, message);
        return;
    }
    cel__sys_add(&worker->business.narrived, 1);
    /* Acq_rel: as in remote_wake_arrived(); whoever has cancelled it meanwhile
       has left that to us. */
    (void)atomic_fetch_and_explicit(
        &coro->remote, (unsigned char)~CEL__REMOTE_SENT, memory_order_acq_rel);
    coro->cancelled = coro->cancelled || run->ending ||
                      atomic_load_explicit(&coro->cancel,
                                           memory_order_relaxed);
    if (run->token) {
        give_token(run->team);
    }
    run->token = true;
    cel__coro_start(coro);
}

int
cel__team_new(struct cel__run *run, unsigned index, struct cel_coro **out,
              struct cel__coro *(*entry)(struct cel__coro *),
              struct cel__coro *(*end)(struct cel_coro *))
{
    if (index == run->index) {
        struct cel_coro *here = cel__run_new(run, entry, end);
        if (here == NULL) {
            return -ENOMEM;
        }
        *out = here;
        return 0;
    }
    if (!cel__team_is_whole(run->team)) {
        return -ESRCH;
    }
    struct cel_coro *coro = cel__run_new_elsewhere(run, entry, end);
    if (coro == NULL) {
        return -ENOMEM;
    }
    *out = coro;
    if (index == CEL__ANYWHERE) {
        return 0;
    }
    coro->coro.worker = run->team->runs[index]->worker;
    coro->coro.wake.fn = birth_arrived;
    /* Whoever cancels it before it has arrived sends no other message. */
    atomic_store_explicit(&coro->coro.remote, CEL__REMOTE_SENT,
                          memory_order_relaxed);
    return 0;
}

void
cel__team_start(struct cel__run *run, struct cel_coro *coro)
{
    struct cel__worker *worker = coro->coro.worker;

    if (worker == NULL) {
        cel__spread_put(run, coro);
        return;
    }
    if (worker == run->worker) {
        cel__coro_start(&coro->coro);
        return;
    }
    /* Relaxed: our own worker's token keeps the run from being over, and the
       message orders it before the coroutine's. */
    atomic_fetch_add_explicit(&run->team->tokens, 1, memory_order_relaxed);
    cel__worker_post(worker, &coro->coro.wake);
}

void
cel__team_discard(struct cel__run *run, struct cel_coro *coro)
{
    if (coro->coro.worker == run->worker) {
        cel__coro_discard(&coro->coro);
        cel__run_unref(coro);
    }
    else {
        cel__slab_give(&run->coros, coro);
    }
}

/* ---- celadon/workers.h */

int
cel_workers(void)
{
    struct cel__worker *worker = cel__worker();

    if (worker == NULL || worker->run == NULL) {
        return -EPERM;
    }
    return worker->run->team == NULL ? 1 : (int)worker->run->team->n;
}

int
cel_worker_index(void)
{
    struct cel__worker *worker = cel__worker();

    return worker == NULL || worker->run == NULL ? -EPERM
                                                 : (int)worker->run->index;
}
