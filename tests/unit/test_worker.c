/* SPDX-License-Identifier: MIT */
/*
 * Workers: callbacks, timers, messages from other threads, fairness, forks,
 * and that the accessor of the thread's worker is called each time.
 */
#include "sched/worker.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "celadon/run.h"
#include "coros.h"
#include "sched/io.h"
#include "sched/wait.h"
#include "trace.h"

/*
 * Opening.
 */

TEST(a_thread_is_one_worker_at_a_time)
{
    struct cel__worker_options options = {0};
    struct cel__worker *worker = NULL;
    struct cel__worker *other = NULL;

    CHECK_PTR(cel__worker(), NULL);
    CHECK_EQ(cel__worker_open(&worker, &options), 0);
    CHECK_PTR(cel__worker(), worker);
    CHECK_EQ(cel__worker_open(&other, &options), -EALREADY);
    CHECK_PTR(other, NULL);
    CHECK_EQ(worker->nalive, 1);
    CHECK_PTR(worker->current, &worker->root);
    cel__worker_close(worker);
    CHECK_PTR(cel__worker(), NULL);
    options.backend = "telepathy";
    CHECK_EQ(cel__worker_open(&worker, &options), -EINVAL);
    CHECK_PTR(cel__worker(), NULL);
}

/*
 * Callbacks.
 */

struct call {
    struct cel__callback callback;
    struct cel__coro *next; /* to run at once */
    char name;
};

static struct cel__coro *
note_call(struct cel__callback *callback)
{
    struct call *call = cel__container(callback, struct call, callback);

    note(call->name);
    return call->next;
}

static void
note_coro(void *arg)
{
    note(*(char *)arg);
}

static int
queue_calls(void *arg)
{
    static char coro_name = 'c';
    struct cel__worker *worker = cel__worker();
    struct call calls[] = {{.name = '1'}, {.name = '2'}, {.name = '3'}};

    (void)arg;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(cel__callback_init(worker, &calls[i].callback, note_call), 0);
    }
    cel__callback_queue(worker, &calls[0].callback);
    cel__callback_queue(worker, &calls[0].callback); /* is queued already */
    CHECK_EQ(cel_go(NULL, note_coro, &coro_name), 0);
    cel__callback_queue(worker, &calls[1].callback);
    cel__callback_queue(worker, &calls[2].callback);
    cel__callback_fini(worker, &calls[2].callback); /* is in the queue */
    CHECK_EQ(cel_yield(), 0);
    cel__callback_queue(worker, &calls[0].callback);
    CHECK_EQ(cel_yield(), 0);
    cel__callback_fini(worker, &calls[0].callback);
    cel__callback_fini(worker, &calls[1].callback);
    return 0;
}

TEST(callbacks_run_in_the_order_of_the_run_queue)
{
    needs_order();
    run(queue_calls);
    CHECK_STR(trace, "1c21");
}

static void
park_and_note(void *arg)
{
    CHECK_EQ(cel__park(cel__worker(), CEL_FOREVER, "a test"), 0);
    note(*(char *)arg);
}

static int
call_names_next(void *arg)
{
    static char names[] = "pr";
    struct cel__worker *worker = cel__worker();
    struct call call = {.name = '1'};
    cel_coro *parked;

    (void)arg;
    CHECK_EQ(cel__callback_init(worker, &call.callback, note_call), 0);
    CHECK_EQ(cel_go(&parked, park_and_note, &names[0]), 0);
    CHECK_EQ(cel_yield(), 0);
    call.next = (struct cel__coro *)parked;
    cel__callback_queue(worker, &call.callback);
    CHECK_EQ(cel_go(NULL, note_coro, &names[1]), 0);
    CHECK_EQ(cel_join(parked, CEL_FOREVER), 0);
    cel__callback_fini(worker, &call.callback);
    return 0;
}

TEST(a_callback_may_name_who_runs_next)
{
    needs_order();
    run(call_names_next);
    CHECK_STR(trace, "1pr");
}

/*
 * Timers.
 */

struct alarm {
    struct cel__timer timer;
    char name;
};

static void
ring(struct cel__timer *timer)
{
    note(cel__container(timer, struct alarm, timer)->name);
}

static int
time_passes(void *arg)
{
    struct cel__worker *worker = cel__worker();
    cel_time base = cel_after(CEL_MSEC);
    struct alarm alarms[5];
    static const cel_time whens[] = {3, 1, 2, 2, 0};

    (void)arg;
    for (int i = 0; i < 5; i++) {
        alarms[i].timer.fire = ring;
        alarms[i].name = (char)('a' + i);
        cel__heap_node_init(&alarms[i].timer.node);
        cel__timer_stop(worker, &alarms[i].timer); /* is not started */
        cel_time when = i == 4 ? 0 : base + whens[i] * CEL_MSEC;
        CHECK_EQ(cel__timer_start(worker, &alarms[i].timer, when), 0);
    }
    cel__timer_stop(worker, &alarms[2].timer);
    CHECK_EQ(cel_sleep(base + 4 * CEL_MSEC), 0);
    return 0;
}

TEST(timers_fire_in_the_order_of_their_moments)
{
    run(time_passes);
    CHECK_STR(trace, "ebda");
}

struct repeated {
    struct cel__timer timer;
    struct cel__worker *worker;
    int nfired;
};

static void
fire_again(struct cel__timer *timer)
{
    struct repeated *self = cel__container(timer, struct repeated, timer);

    self->nfired++;
    CHECK_EQ(cel__timer_start(self->worker, timer, CEL_AT_ONCE), 0);
}

static int
repeat(void *arg)
{
    struct repeated self = {{.fire = fire_again}, cel__worker(), 0};

    (void)arg;
    cel__heap_node_init(&self.timer.node);
    CHECK_EQ(cel__timer_start(self.worker, &self.timer, CEL_AT_ONCE), 0);
    CHECK_EQ(cel_sleep(cel_after(2 * CEL_MSEC)), 0);
    CHECK_GE(self.nfired, 1);
    cel__timer_stop(self.worker, &self.timer);
    return 0;
}

TEST(a_timer_that_starts_itself_over_does_not_starve_others)
{
    run(repeat);
}

static _Atomic bool stop;

static void
yield_until_stop(void *arg)
{
    (void)arg;
    while (!stop) {
        CHECK_EQ(cel_yield(), 0);
    }
}

static int
yield_and_sleep(void *arg)
{
    cel_coro *coros[2];

    (void)arg;
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(cel_go(&coros[i], yield_until_stop, NULL), 0);
    }
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    }
    stop = true;
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(cel_join(coros[i], CEL_FOREVER), 0);
    }
    return 0;
}

TEST(coroutines_that_only_yield_do_not_starve_a_timer)
{
    run(yield_and_sleep);
}

static void
receive_until_stop(void *arg)
{
    const int *fds = arg;
    struct cel__worker *worker = cel__worker();
    char byte = 'x';

    /* Each receive finds its byte: none ever has to wait. */
    while (!stop) {
        struct cel__op op = {.code = CEL__OP_RECV, .fd = fds[0], .len = 1};
        op.buf = &byte;
        CHECK_EQ(send(fds[1], &byte, 1, 0), 1);
        CHECK_EQ(cel__op_await(worker, &op, CEL_FOREVER, "recv"), 1);
    }
}

static int
receive_and_sleep(void *arg)
{
    cel_coro *coro;

    CHECK_EQ(cel_go(&coro, receive_until_stop, arg), 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    }
    stop = true;
    CHECK_EQ(cel_join(coro, CEL_FOREVER), 0);
    return 0;
}

TEST(a_coroutine_that_never_waits_does_not_starve_a_timer)
{
    int fds[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_EQ(cel_run(receive_and_sleep, fds, NULL), 0);
}

/*
 * Hooks.
 */

static int nbefore;
static int nafter;
static int nsignals;
static int nstuck;

static void
before_sleep(struct cel__loop *loop)
{
    CHECK_PTR(loop, &cel__worker()->loop);
    nbefore++;
}

static void
after_sleep(struct cel__loop *loop)
{
    CHECK_PTR(loop, &cel__worker()->loop);
    nafter++;
}

static void
signalled(struct cel__worker *worker)
{
    nsignals++;
    cel__wake(&worker->root);
}

static struct cel__coro *
stuck(struct cel__worker *worker)
{
    nstuck++;
    worker->root.code = -ENODATA;
    return &worker->root;
}

static void
on_signal(int number)
{
    (void)number;
}

TEST(hooks_are_called)
{
    struct cel__worker_options options = {
        .hooks = {.before_sleep = before_sleep,
                  .after_sleep = after_sleep,
                  .signalled = signalled,
                  .stuck = stuck}};
    struct sigaction action = {.sa_handler = on_signal};
    /* Again and again: one may come before the sleep. */
    struct itimerval interval = {{.tv_usec = 20000}, {.tv_usec = 2000}};
    struct itimerval never = {{0, 0}, {0, 0}};
    struct cel__worker *worker;

    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
    CHECK_EQ(cel__worker_open(&worker, &options), 0);
    CHECK_EQ(cel__park(worker, CEL_FOREVER, "nothing"), -ENODATA);
    CHECK_EQ(nstuck, 1);
    /* A deadline that is over before the poll needs no sleep. */
    for (cel_time nap = CEL_MSEC; nbefore == 0; nap *= 2) {
        CHECK_EQ(cel__park(worker, cel_after(nap), "time"), -ETIMEDOUT);
    }
    CHECK_EQ(nbefore, nafter);
    worker->nexpected++;
    CHECK_EQ(setitimer(ITIMER_REAL, &interval, NULL), 0);
    CHECK_EQ(cel__park(worker, CEL_FOREVER, "a signal"), 0);
    CHECK_EQ(setitimer(ITIMER_REAL, &never, NULL), 0);
    CHECK_GE(nsignals, 1);
    CHECK_EQ(nstuck, 1);
    worker->nexpected--;
    cel__worker_close(worker);
}

/*
 * Other threads.
 */

enum {
    THREADS = 4,
    MESSAGES = 10000
};

struct letter {
    struct cel__message message;
    int number;
    int sender;
};

static struct letter letters[THREADS][MESSAGES];
static int nread[THREADS];
static struct cel__coro *reader;

static void
read_letter(struct cel__message *message)
{
    struct letter *letter = cel__container(message, struct letter, message);

    /* Those of one sender come in the order they were sent. */
    CHECK_EQ(letter->number, nread[letter->sender]);
    nread[letter->sender]++;
    cel__wake(reader);
}

static void *
send_letters(void *arg)
{
    struct letter *mine = arg;

    for (int i = 0; i < MESSAGES; i++) {
        mine[i].message.fn = read_letter;
        mine[i].number = i;
        mine[i].sender = (int)((mine - letters[0]) / MESSAGES);
        cel__worker_post(reader->worker, &mine[i].message);
        if (i % 64 == 0) {
            (void)sched_yield(); /* the worker may fall asleep */
        }
    }
    return NULL;
}

static int
receive_letters(void *arg)
{
    struct cel__worker *worker = cel__worker();
    pthread_t threads[THREADS];

    (void)arg;
    reader = worker->current;
    worker->nexpected++;
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, send_letters, letters[i]),
                 0);
    }
    for (int i = 0; i < THREADS; i++) {
        while (nread[i] < MESSAGES) {
            CHECK_EQ(cel__park(worker, CEL_FOREVER, "letters"), 0);
        }
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    worker->nexpected--;
    return 0;
}

TEST(no_message_of_a_storm_is_lost)
{
    run(receive_letters);
}

static void
receive_a_byte(void *arg)
{
    const int *fds = arg;
    char byte;
    struct cel__op op = {.code = CEL__OP_RECV, .fd = fds[0], .len = 1};

    op.buf = &byte;
    CHECK_EQ(cel__op_await(cel__worker(), &op, CEL_FOREVER, "recv"), 1);
}

/* Who awaits nothing else sleeps in another way. */
static int
receive_letters_beside_io(void *arg)
{
    int fds[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    cel_coro *coro = go(receive_a_byte, fds);
    CHECK_EQ(cel_yield(), 0);
    receive_letters(arg);
    CHECK_EQ(send(fds[1], "x", 1, 0), 1);
    join(coro);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(no_message_of_a_storm_is_lost_beside_io)
{
    run(receive_letters_beside_io);
}

static _Atomic int balance[THREADS];
static _Atomic int nfinished;
static struct cel__coro *guards[THREADS];

static void *
deposit(void *arg)
{
    int account = *(int *)arg;

    for (int i = 0; i < MESSAGES; i++) {
        /* Relaxed: cel__wake() itself has to carry it over. */
        atomic_fetch_add_explicit(&balance[account], 1, memory_order_relaxed);
        cel__wake(guards[account]);
        if (i % 64 == 0) {
            (void)sched_yield();
        }
    }
    nfinished++;
    return NULL;
}

static void
guard_account(void *arg)
{
    int account = *(int *)arg;
    struct cel__worker *worker = cel__worker();

    guards[account] = worker->current;
    /* A handle, so the block stays until the join: late wake-ups may come. */
    while (atomic_load_explicit(&balance[account], memory_order_relaxed) !=
           MESSAGES) {
        CHECK_EQ(cel__park(worker, CEL_FOREVER, "deposits"), 0);
    }
}

static int
guard_accounts(void *arg)
{
    static int numbers[THREADS];
    struct cel__worker *worker = cel__worker();
    pthread_t threads[THREADS];
    cel_coro *coros[THREADS];

    (void)arg;
    worker->nexpected++;
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        CHECK_EQ(cel_go(&coros[i], guard_account, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        while (guards[i] == NULL) {
            CHECK_EQ(cel_yield(), 0);
        }
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, deposit, &numbers[i]), 0);
    }
    while (nfinished < THREADS) {
        CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
        CHECK_EQ(cel_join(coros[i], CEL_FOREVER), 0);
    }
    worker->nexpected--;
    return 0;
}

TEST(no_wake_up_of_a_storm_is_lost)
{
    run(guard_accounts);
}

static struct cel__coro *sleeper;
static _Atomic int round_number;
static _Atomic bool may_wake;

static void *
wake_each_round(void *arg)
{
    int rounds = *(int *)arg;

    for (int i = 1; i <= rounds; i++) {
        while (!atomic_exchange(&may_wake, false)) {
            (void)sched_yield();
        }
        atomic_store(&round_number, i);
        cel__wake(sleeper);
    }
    nfinished++;
    return NULL;
}

static int
sleep_each_round(void *arg)
{
    struct cel__worker *worker = cel__worker();
    int rounds = *(int *)arg;

    sleeper = worker->current;
    worker->nexpected++;
    for (int i = 1; i <= rounds; i++) {
        atomic_store(&may_wake, true);
        while (atomic_load(&round_number) < i) {
            CHECK_EQ(cel__park(worker, CEL_FOREVER, "the next round"), 0);
        }
    }
    while (nfinished == 0) { /* the last wake-up may be on its way */
        CHECK_EQ(cel_sleep(cel_after(100 * CEL_USEC)), 0);
    }
    worker->nexpected--;
    return 0;
}

static void
note_last(struct cel__message *message)
{
    stop = true;
    cel__wake(reader);
    (void)message;
}

static void *
send_last(void *arg)
{
    static struct cel__message last = {NULL, note_last};

    cel__worker_post(arg, &last);
    return NULL;
}

static int
end_with_last(void *arg)
{
    struct cel__worker *worker = cel__worker();

    reader = worker->current;
    stop = false;
    worker->nexpected++;
    CHECK_EQ(pthread_create(arg, NULL, send_last, worker), 0);
    while (!stop) {
        CHECK_EQ(cel__park(worker, CEL_FOREVER, "the last message"), 0);
    }
    worker->nexpected--;
    return 0;
}

/* The worker ends as soon as the message is there: whoever sent it must be
   done with the worker by then. */
TEST(a_worker_may_close_when_its_last_message_came)
{
    for (int i = 0; i < 300; i++) {
        pthread_t thread;

        CHECK_EQ(cel_run(end_with_last, &thread, NULL), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
}

TEST(a_sleeping_worker_is_woken_each_time)
{
    int rounds = 5000;
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, wake_each_round, &rounds), 0);
    CHECK_EQ(cel_run(sleep_each_round, &rounds, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* One that is woken from elsewhere may end before the message comes. */
static void
count_turns(void *arg)
{
    (void)arg;
    guards[0] = cel__worker()->current;
    while (!stop) {
        (void)cel_yield();
    }
}

static void *
wake_and_stop(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) {
        cel__wake(guards[0]);
    }
    stop = true;
    return NULL;
}

static int
die_while_woken(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) {
        pthread_t thread;

        stop = false;
        guards[0] = NULL;
        cel_coro *coro;
        CHECK_EQ(cel_go(&coro, count_turns, NULL), 0);
        while (guards[0] == NULL) {
            CHECK_EQ(cel_yield(), 0);
        }
        CHECK_EQ(pthread_create(&thread, NULL, wake_and_stop, NULL), 0);
        CHECK_EQ(cel_join(coro, CEL_FOREVER), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
    return 0;
}

TEST(a_late_wake_up_of_a_dead_coroutine_is_harmless)
{
    run(die_while_woken);
}

/*
 * The accessor.
 */

static struct cel__worker *seen[2];

void probe_worker_calls(void);

/* What STYLE forbids compilers to merge: two looks, a suspension between. */
__attribute__((noinline)) void
probe_worker_calls(void)
{
    seen[0] = cel__worker();
    (void)cel_yield();
    seen[1] = cel__worker();
}

TEST(the_accessor_is_called_each_time)
{
    char self[256];
    char command[512];
    char line[512];
    int ncalls = 0;
    int nlines = 0;

    probe_worker_calls();
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    CHECK_GT(len, 0);
    self[len] = '\0';
    /* NOLINTNEXTLINE(cert-env33-c): our own words, here and below */
    if (system("objdump --version >/dev/null 2>&1") != 0) {
        SKIP("there is no objdump");
    }
    (void)snprintf(command, sizeof(command),
                   "objdump -d --disassemble=probe_worker_calls '%s'", self);
    FILE *pipe = popen(command, "r"); /* NOLINT(cert-env33-c) */
    CHECK(pipe != NULL);
    while (fgets(line, sizeof(line), pipe) != NULL) {
        bool call = strstr(line, "call") != NULL ||
                    strstr(line, "bl\t") != NULL ||
                    strstr(line, "jmp") != NULL;
        nlines++;
        ncalls += call && strstr(line, "<cel__worker>") != NULL;
    }
    (void)pclose(pipe);
    if (nlines < 8) {
        SKIP("objdump does not know --disassemble");
    }
    CHECK_EQ(ncalls, 2);
}
