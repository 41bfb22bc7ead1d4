/* SPDX-License-Identifier: MIT */
/*
 * The pool: one lock, one queue, threads that come and go.
 *
 * A thread is started when more jobs are queued than threads wait, up to the
 * bound; it ends when it has waited for ten seconds.  Threads are detached
 * and nothing here is ever torn down, so a process may exit while they run.
 *
 * Results: under the lock the thread sends the job's message to its worker.
 * That orders it against cel__pool_abandon(): either the job is abandoned
 * and the worker, which may be gone by then, is not touched, or the message
 * is on its way, and the worker can't close before it has come.
 *
 * Fork: the lock is held across it, so in the child the lists are whole.
 * Jobs of the forking thread's worker are sent back to it as lost; those of
 * other threads are nobody's there.
 *
 * Threads: see pool.h.
 *
 * Tests: unit/test_pool.c
 */
#include "pool/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/fork.h"
#include "base/sys_thread.h"
#include "sched/worker.h"

/* As gevent's.  Calls that block wait for others, so it is no matter of
   cores. */
#define THREADS_DEFAULT 10
#define THREADS_MOST    1024

/* How long a thread waits for more to do. */
#define IDLE_NS (CEL__HARD ? CEL_MSEC : 10 * CEL_SEC)

/* Invariants: nidle <= nthreads; the lists are of struct cel__job. */
static struct {
    pthread_mutex_t lock; /* guards all of it */
    pthread_cond_t work;  /* jobs came, or the bound fell */
    struct cel__link queue;
    struct cel__link running;
    unsigned nqueued;   /* length of queue */
    unsigned nthreads;  /* running and not about to end */
    unsigned nstarting; /* being started */
    unsigned nidle;     /* waiting for work, or called to it */
    unsigned bound;     /* nthreads + nstarting goes up to here */
} pool = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .queue = {&pool.queue, &pool.queue},
    .running = {&pool.running, &pool.running},
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
make_cond(void)
{
    pthread_condattr_t attr;

    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&pool.work, &attr);
    (void)pthread_condattr_destroy(&attr);
}

/* In the worker, or in what a fork left of it. */
static void
arrived(struct cel__message *message)
{
    struct cel__job *job = cel__container(message, struct cel__job, message);

    job->worker->nexpected--;
    job->done(job);
}

/* Under the lock: `job`, in no list, goes back to its worker. */
static void
send_back(struct cel__job *job)
{
    job->state = CEL__JOB_SENT;
    job->message.fn = arrived;
    cel__worker_post(job->worker, &job->message);
}

static void
before_fork(void)
{
    (void)pthread_mutex_lock(&pool.lock);
}

static void
in_parent(void)
{
    (void)pthread_mutex_unlock(&pool.lock);
}

static void
lose_all(struct cel__link *list)
{
    struct cel__link *link;

    while ((link = cel__list_first(list)) != NULL) {
        struct cel__job *job = cel__container(link, struct cel__job, link);

        cel__list_remove(link);
        if (job->state != CEL__JOB_ABANDONED && job->worker == cel__worker()) {
            job->lost = true;
            send_back(job);
        }
    }
}

static void
in_child(void)
{
    lose_all(&pool.queue);
    lose_all(&pool.running);
    pool.nqueued = 0;
    pool.nthreads = 0;
    pool.nstarting = 0;
    pool.nidle = 0;
    /* Threads that exist no more waited here. */
    make_cond();
    (void)pthread_mutex_unlock(&pool.lock);
}

unsigned
cel__pool_bound(const char *text)
{
    long bound = text == NULL ? 0 : strtol(text, NULL, 10);

    return bound < 1              ? THREADS_DEFAULT
           : bound > THREADS_MOST ? THREADS_MOST
                                  : (unsigned)bound;
}

static void
set_up(void)
{
    pool.bound = cel__pool_bound(getenv("CELADON_POOL_THREADS"));
    make_cond();
    cel__fork_handle(before_fork, in_parent, in_child);
}

/* Under the lock: wait for a job.  NULL: it is time to end. */
static struct cel__job *
next_job(void)
{
    struct timespec until;
    cel_time end = cel__clock_now() + IDLE_NS;

    until.tv_sec = (time_t)(end / CEL_SEC);
    until.tv_nsec = (long)(end % CEL_SEC);
    while (pool.nthreads <= pool.bound) {
        struct cel__link *link = cel__list_first(&pool.queue);
        if (link != NULL) {
            pool.nqueued--;
            cel__list_remove(link);
            return cel__container(link, struct cel__job, link);
        }
        pool.nidle++;
        int err = pthread_cond_timedwait(&pool.work, &pool.lock, &until);
        pool.nidle--;
        if (err == ETIMEDOUT && pool.nqueued == 0) {
            return NULL;
        }
    }
    return NULL;
}

static void
run_job(struct cel__job *job)
{
    job->state = CEL__JOB_RUNNING;
    cel__list_append(&pool.running, &job->link);
    (void)pthread_mutex_unlock(&pool.lock);
    job->run(job);
    (void)pthread_mutex_lock(&pool.lock);
    cel__list_remove(&job->link);
    if (job->state != CEL__JOB_ABANDONED) {
        send_back(job);
        return;
    }
    (void)pthread_mutex_unlock(&pool.lock);
    job->drop(job);
    (void)pthread_mutex_lock(&pool.lock);
}

static void *
serve(void *unused)
{
    struct cel__job *job;

    (void)unused;
    (void)pthread_setname_np(pthread_self(), "celadon-pool");
    (void)pthread_mutex_lock(&pool.lock);
    pool.nstarting--;
    pool.nthreads++;
    while ((job = next_job()) != NULL) {
        run_job(job);
    }
    pool.nthreads--;
    (void)pthread_mutex_unlock(&pool.lock);
    return NULL;
}

/* It takes no signals: they are for threads that know what to do with
   them. */
static int
start_thread(void)
{
    sigset_t all;
    sigset_t old;
    pthread_t thread;
    pthread_attr_t attr;

    int err = pthread_attr_init(&attr);
    if (err != 0) {
        return -err;
    }
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    err = cel__sys_thread(&thread, &attr, serve, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    return err;
}

/* Under the lock, which is let go meanwhile: see that those who wait suffice
   for what is queued. */
static void
call_threads(void)
{
    if (pool.nqueued <= pool.nidle) {
        (void)pthread_cond_signal(&pool.work);
        return;
    }
    unsigned missing = pool.nqueued - pool.nidle;
    while (missing > 0 && pool.nthreads + pool.nstarting < pool.bound) {
        missing--;
        pool.nstarting++;
        (void)pthread_mutex_unlock(&pool.lock);
        int err = start_thread();
        (void)pthread_mutex_lock(&pool.lock);
        if (err < 0) {
            pool.nstarting--;
            return;
        }
    }
}

int
cel__pool_submit(struct cel__worker *worker, struct cel__job *job)
{
    int err = 0;

    (void)pthread_once(&once, set_up);
    job->worker = worker;
    job->state = CEL__JOB_QUEUED;
    job->lost = false;
    worker->nexpected++;
    (void)pthread_mutex_lock(&pool.lock);
    cel__list_append(&pool.queue, &job->link);
    pool.nqueued++;
    call_threads();
    /* Where none could be started the others come to it, if there are any. */
    if (pool.nthreads + pool.nstarting == 0 && job->state == CEL__JOB_QUEUED) {
        cel__list_remove(&job->link);
        pool.nqueued--;
        err = -EAGAIN;
    }
    (void)pthread_mutex_unlock(&pool.lock);
    if (err < 0) {
        worker->nexpected--;
    }
    return err;
}

bool
cel__pool_withdraw(struct cel__job *job)
{
    (void)pthread_mutex_lock(&pool.lock);
    bool queued = job->state == CEL__JOB_QUEUED;
    if (queued) {
        cel__list_remove(&job->link);
        pool.nqueued--;
        job->worker->nexpected--;
    }
    (void)pthread_mutex_unlock(&pool.lock);
    return queued;
}

bool
cel__pool_abandon(struct cel__job *job)
{
    (void)pthread_mutex_lock(&pool.lock);
    bool running = job->state == CEL__JOB_RUNNING;
    if (running) {
        job->state = CEL__JOB_ABANDONED;
        job->worker->nexpected--;
    }
    (void)pthread_mutex_unlock(&pool.lock);
    return running;
}

void
cel_pool_set_threads(unsigned nthreads)
{
    (void)pthread_once(&once, set_up);
    (void)pthread_mutex_lock(&pool.lock);
    pool.bound = nthreads < 1              ? 1
                 : nthreads > THREADS_MOST ? THREADS_MOST
                                           : nthreads;
    (void)pthread_cond_broadcast(&pool.work);
    call_threads();
    (void)pthread_mutex_unlock(&pool.lock);
}
