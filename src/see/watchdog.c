/* SPDX-License-Identifier: MIT */
/*
 * The watchdog: a thread that looks at every worker's counters now and then.
 *
 * A worker that is awake and has neither switched nor looked at its backend
 * for the limit is asked what it does: by a signal, for only the thread itself
 * can tell where it is.  The handler takes a backtrace and nothing else; the
 * watchdog waits for it a moment, and puts it into words.
 *
 * One request is under way at a time.  Each has a number, and a handler that
 * comes late, for one that was given up, finds another number and leaves.
 *
 * Threads: see celadon/see.h.
 *
 * Tests: unit/test_watchdog.c, unit/test_see_fork.c
 */
#include "see/watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/sys_memory.h"
#include "base/sys_thread.h"
#include "celadon/see.h"
#include "sched/worker.h"
#include "see/awaited.h"
#include "see/names.h"
#include "see/sys_trace.h"
#include "see/text.h"
#include "see/trace.h"

/* The signal that asks; ignored by default, and so harmless where it comes
   late, and hardly used for what it is meant for (Go chose it as well). */
#define ASK SIGURG

/* How long an answer is waited for: a thread that computes is interrupted at
   once, one in the kernel may be out of reach. */
#define ANSWER (100 * CEL_MSEC)

/* At least between two reports; those in between are counted. */
#define BETWEEN CEL_SEC

/* Frames that are told. */
#define TOLD 16

/* The least limit.  The kernel's own turns take milliseconds. */
#define LEAST CEL_MSEC

/* What the handler has seen.  Guarded by `state`. */
static struct {
    atomic_int thread; /* whose handler may answer; 0: nobody's */
    atomic_int state;  /* enum state */
    bool holds_others; /* a coroutine ran, and it was not alone */
    struct cel__trace trace;
    char who[64]; /* the coroutine's number and name */
} answer;

enum state {
    IDLE,     /* the watchdog's */
    ASKED,    /* the handler's */
    ANSWERING /* it is at it */
};

/* Starting and stopping, one at a time; then, in that order, what follows. */
static pthread_mutex_t control = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static bool runs;     /* the thread does */
static bool lost;     /* it did, and stayed behind at a fork; not `runs` */
static bool stops;    /* it shall end */
static int64_t limit; /* nanoseconds */
static pthread_t thread;
static struct sigaction before; /* whose signal it was */

/* The watchdog's own. */
static cel_time last;    /* report */
static uint64_t nunsaid; /* reports since that were one too many */

static void
say(struct cel__text *text)
{
    if (cel__log_wanted()) {
        cel__log("%s", cel__text_string(text));
    }
    else {
        struct cel__text out;
        cel__text_init(&out, STDERR_FILENO);
        cel__text_put(&out, "celadon: ");
        cel__text_put(&out, cel__text_string(text));
        cel__text_line(&out);
    }
    cel__text_init(text, -1);
}

/* In the thread that was asked, wherever it is. */
static void
take_sample(void *context)
{
    const struct cel__worker *me = cel__worker();

    answer.holds_others = me != NULL && me->nalive > 1 &&
                          me->current->state == CEL__RUNNING;
    if (answer.holds_others) {
        struct cel__text text;
        cel__text_init(&text, -1);
        cel__awaited_put_who(&text, me->current);
        strncpy(answer.who, cel__text_string(&text), sizeof(answer.who) - 1);
        cel__trace_interrupted(&answer.trace, cel__sys_interrupted(context));
    }
}

static void
on_signal(int signo, siginfo_t *info, void *context)
{
    int kept = cel__errno_keep();
    int asked = ASKED;

    /* Acquire and release: pairs with ask(). */
    if (atomic_load_explicit(&answer.thread, memory_order_acquire) ==
            cel__sys_thread_id() &&
        atomic_compare_exchange_strong_explicit(
            &answer.state, &asked, ANSWERING, memory_order_acquire,
            memory_order_relaxed)) {
        take_sample(context);
        atomic_store_explicit(&answer.state, IDLE, memory_order_release);
    }
    else if ((before.sa_flags & SA_SIGINFO) != 0) {
        before.sa_sigaction(signo, info, context);
    }
    else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(signo);
    }
    cel__errno_restore(kept);
}

static void
nap(void)
{
    static const struct timespec millisecond = {0, 1000000};

    (void)nanosleep(&millisecond, NULL);
}

/* Ask the thread of number `whom`; whether it has answered. */
static bool
ask(pid_t whom)
{
    cel_time until = cel__clock_now() + ANSWER;
    int asked = ASKED;

    atomic_store_explicit(&answer.state, ASKED, memory_order_relaxed);
    atomic_store_explicit(&answer.thread, whom, memory_order_release);
    if (cel__sys_thread_kill(whom, ASK) < 0) {
        until = 0;
    }
    while (atomic_load_explicit(&answer.state, memory_order_acquire) != IDLE) {
        if (cel__clock_now() >= until &&
            atomic_compare_exchange_strong_explicit(&answer.state, &asked,
                                                    IDLE, memory_order_acquire,
                                                    memory_order_relaxed)) {
            return false;
        }
        asked = ASKED;
        nap();
    }
    return true;
}

static void
put_thread(struct cel__text *text, pid_t whom, cel_time since)
{
    cel__text_put(text, "watchdog: thread ");
    cel__text_number(text, (uint64_t)whom);
    cel__text_put(text, " has not switched for ");
    cel__text_span(text, since);
}

/* One that stands still, to be asked when nobody's list is held. */
struct suspect {
    pid_t thread; /* 0: none */
    cel_time since;
    bool told;  /* that it stands still */
    bool named; /* and whose fault that is */
};

/* Ask `suspect` and say where it stands still, if there is anything to it. */
static void
report(struct suspect *suspect)
{
    struct cel__text text;
    bool answered = ask(suspect->thread);

    suspect->named = answered && answer.holds_others;
    if (!suspect->named && (answered || suspect->told)) {
        suspect->told = !answered;
        return;
    }
    suspect->told = true;
    last = cel__clock_now();
    cel__text_init(&text, -1);
    put_thread(&text, suspect->thread, suspect->since);
    cel__text_put(&text, answered ? ": in " : ", nor does it answer");
    cel__text_put(&text, answered ? answer.who : "");
    if (nunsaid > 0) {
        cel__text_put(&text, " (and ");
        cel__text_number(&text, nunsaid);
        cel__text_put(&text, " times before that were not told)");
        nunsaid = 0;
    }
    say(&text);
    for (size_t i = 0; answered && i < answer.trace.n && i < TOLD; i++) {
        cel__text_put(&text, "watchdog:     ");
        cel__trace_put_frame(&text, &answer.trace, i);
        say(&text);
    }
    cel__names_forget();
}

static int
look_at(struct cel__worker *worker, void *arg)
{
    struct suspect *suspect = arg;
    struct cel__watched *seen = &worker->see.watched;
    cel_time now = cel__clock_now();
    uint64_t steps = cel__count_read(&worker->nswitch) +
                     cel__count_read(&worker->nturn);

    if (steps != seen->steps || seen->since == 0 ||
        atomic_load_explicit(&worker->asleep, memory_order_relaxed)) {
        nunsaid += seen->late && !seen->told;
        *seen = (struct cel__watched){.steps = steps, .since = now};
    }
    else if (now - seen->since >= limit && now >= seen->again) {
        seen->late = true;
        if (seen->named || (last != 0 && now - last < BETWEEN)) {
            return 0;
        }
        seen->again = now + BETWEEN;
        *suspect = (struct suspect){.thread = worker->see.thread,
                                    .since = now - seen->since,
                                    .told = seen->told};
        return 1;
    }
    return 0;
}

/* After report().  Who was not named is asked again: it may have held nobody
   up, looked at the backend or been kept from answering, and all that may
   change without a switch. */
static int
settle(struct cel__worker *worker, void *arg)
{
    const struct suspect *suspect = arg;
    struct cel__watched *seen = &worker->see.watched;

    if (worker->see.thread == suspect->thread) {
        seen->late = suspect->told;
        seen->told = suspect->told;
        seen->named = suspect->named;
    }
    return 0;
}

static void *
watch(void *arg)
{
    struct timespec until;

    (void)pthread_mutex_lock(&lock);
    while (!stops) {
        struct suspect suspect;
        int64_t tick = limit / 4 < LEAST ? LEAST : limit / 4;
        while (cel__see_each(look_at, &suspect) != 0) {
            report(&suspect);
            (void)cel__see_each(settle, &suspect);
        }
        cel_time next = cel__clock_now() + tick;
        until.tv_sec = (time_t)(next / CEL_SEC);
        until.tv_nsec = (long)(next % CEL_SEC);
        (void)pthread_cond_timedwait(&changed, &lock, &until);
    }
    (void)pthread_mutex_unlock(&lock);
    return arg;
}

/* Called with `lock` held. */
static int
handle_signal(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    (void)sigemptyset(&action.sa_mask);
    struct sigaction now;
    int err = cel__sys_sigaction(ASK, NULL, &now);
    if (err < 0 || now.sa_sigaction == on_signal) {
        return err;
    }
    before = now;
    return cel__sys_sigaction(ASK, &action, NULL);
}

/* Called with `lock` held. */
static int
start_thread(void)
{
    pthread_condattr_t monotonic;
    sigset_t all;
    sigset_t old;

    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int err = cel__sys_thread(&thread, NULL, watch, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    runs = err == 0;
    lost = false;
    stops = false;
    return err;
}

int
cel_watchdog_start(int64_t limit_ns)
{
    if (limit_ns < LEAST) {
        return -EINVAL;
    }
    cel__see_prepare();
    cel__trace_prepare();
    (void)pthread_mutex_lock(&control);
    (void)pthread_mutex_lock(&lock);
    limit = limit_ns;
    int err = 0;
    if (!runs) {
        err = handle_signal();
        if (err == 0) {
            err = start_thread();
        }
    }
    (void)pthread_mutex_unlock(&lock);
    (void)pthread_mutex_unlock(&control);
    return err;
}

void
cel_watchdog_stop(void)
{
    (void)pthread_mutex_lock(&control);
    lost = false;
    if (runs) {
        (void)pthread_mutex_lock(&lock);
        stops = true;
        runs = false;
        (void)pthread_cond_signal(&changed);
        (void)pthread_mutex_unlock(&lock);
        (void)pthread_join(thread, NULL);
        (void)pthread_cond_destroy(&changed);
    }
    (void)pthread_mutex_unlock(&control);
}

void
cel__watchdog_in_child(void)
{
    /* Threads that exist no more may have held them, and the watchdog one of
       them for as long as it asks: too long for a fork to wait. */
    (void)pthread_mutex_init(&control, NULL);
    (void)pthread_mutex_init(&lock, NULL);
    atomic_store_explicit(&answer.state, IDLE, memory_order_relaxed);
    lost = lost || runs;
    runs = false;
}

void
cel__watchdog_forked(void)
{
    (void)pthread_mutex_lock(&control);
    (void)pthread_mutex_lock(&lock);
    if (lost) {
        (void)start_thread();
    }
    (void)pthread_mutex_unlock(&lock);
    (void)pthread_mutex_unlock(&control);
}

void
cel__watchdog_from_environment(void)
{
    const char *value = getenv("CELADON_WATCHDOG");
    char *unit;

    if (value == NULL || *value == '\0') {
        return;
    }
    int64_t n = strtol(value, &unit, 10);
    cel_time scale = strcmp(unit, "s") == 0    ? CEL_SEC
                     : strcmp(unit, "ms") == 0 ? CEL_MSEC
                                               : 0;
    int err = n > 0 && n < 1000000 ? cel_watchdog_start(n * scale) : -EINVAL;
    if (err < 0) {
        struct cel__text text;
        cel__text_init(&text, -1);
        cel__text_put(&text, err == -EINVAL
                                 ? "CELADON_WATCHDOG: write 100ms or 2s"
                                 : "the watchdog can't be started");
        say(&text);
    }
}
