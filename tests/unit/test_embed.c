/* SPDX-License-Identifier: MIT */
/*
 * Coroutines inside a loop of somebody else's: here one around poll(2).
 */
#include "celadon/embed.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "celadon/info.h"
#include "celadon/net.h"
#include "celadon/pool.h"
#include "celadon/watch.h"
#include "coros.h"
#include "sched/worker.h"
#include "sockets.h"

/* How long poll(2) may wait by what the deadline says. */
static int
milliseconds(cel_time until)
{
    if (until == CEL_FOREVER) {
        return -1;
    }
    cel_time left = until - cel_now();
    return left <= 0 ? 0 : (int)(left / CEL_MSEC + 1);
}

/* One round of the other loop. */
static void
turn(void)
{
    struct pollfd ours = {.fd = cel_embed_fd(), .events = POLLIN};

    CHECK_GE(ours.fd, 0);
    CHECK_GE(poll(&ours, 1, milliseconds(cel_embed_deadline())), 0);
    CHECK_EQ(cel_embed_turn(), 0);
}

static int ndone;

/* Take turns until nothing is left to do; a hard build may run the caller
   ahead of others that are ready. */
static void
quieten(void)
{
    while (cel_embed_deadline() == CEL_AT_ONCE) {
        CHECK_EQ(cel_embed_turn(), 0);
    }
    CHECK_EQ(cel_embed_deadline(), CEL_FOREVER);
}

static void
sleeper(void *arg)
{
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(cel_sleep(cel_after((intptr_t)arg * (CEL_MSEC / 4))), 0);
    }
    ndone++;
}

static void
reader(void *arg)
{
    char byte;

    CHECK_EQ(cel_read((int)(intptr_t)arg, &byte, 1, CEL_FOREVER), 1);
    CHECK_EQ(byte, 'x');
    ndone++;
}

static void
writer(void *arg)
{
    CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    CHECK_EQ(cel_write((int)(intptr_t)arg, "x", 1, CEL_FOREVER), 1);
    ndone++;
}

TEST(timers_and_descriptors_wake_the_other_loop)
{
    int fds[2];

    CHECK_EQ(cel_embed_open(NULL), 0);
    CHECK_EQ(cel_pipe(fds), 0);
    for (intptr_t i = 0; i < 20; i++) {
        CHECK_EQ(cel_go(NULL, sleeper, (void *)i), 0);
    }
    CHECK_EQ(cel_go(NULL, reader, (void *)(intptr_t)fds[0]), 0);
    CHECK_EQ(cel_go(NULL, writer, (void *)(intptr_t)fds[1]), 0);
    CHECK_EQ(cel_embed_deadline(), CEL_AT_ONCE);
    while (ndone < 22) {
        turn();
    }
    quieten();
    (void)cel_close(fds[0]);
    (void)cel_close(fds[1]);
    CHECK_EQ(cel_embed_close(), 0);
}

/* Sends back what comes, until there is no more. */
static void
echoer(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char bytes[64];
    ssize_t n;

    while ((n = cel_recv(fd, bytes, sizeof(bytes), 0, CEL_FOREVER)) > 0) {
        CHECK_EQ(cel_send_all(fd, bytes, (size_t)n, CEL_FOREVER), n);
    }
    CHECK_EQ(cel_close(fd), 0);
    ndone++;
}

static void
talker(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char bytes[8];

    for (int i = 0; i < 50; i++) {
        CHECK_EQ(cel_send_all(fd, "12345678", 8, CEL_FOREVER), 8);
        CHECK_EQ(cel_recv_all(fd, bytes, 8, CEL_FOREVER), 8);
        if (i % 10 == 0) {
            CHECK_EQ(cel_sleep(cel_after(CEL_USEC)), 0);
        }
    }
    CHECK_EQ(cel_close(fd), 0);
    ndone++;
}

TEST(what_the_kernel_ends_wakes_the_other_loop)
{
    int fds[2];

    CHECK_EQ(cel_embed_open(NULL), 0);
    for (int i = 0; i < 8; i++) {
        unix_pair(fds);
        CHECK_EQ(cel_own(fds[0]), 0);
        CHECK_EQ(cel_own(fds[1]), 0);
        CHECK_EQ(cel_go(NULL, echoer, (void *)(intptr_t)fds[0]), 0);
        CHECK_EQ(cel_go(NULL, talker, (void *)(intptr_t)fds[1]), 0);
    }
    while (ndone < 16) {
        turn();
    }
    quieten();
    struct pollfd ours = {.fd = cel_embed_fd(), .events = POLLIN};
    CHECK_EQ(poll(&ours, 1, 0), 0);
    CHECK_EQ(cel_embed_close(), 0);
}

TEST(a_call_that_is_given_up_wakes_nobody_later)
{
    int fds[2];
    char byte;

    CHECK_EQ(cel_embed_open(NULL), 0);
    unix_pair(fds);
    CHECK_EQ(cel_own(fds[0]), 0);
    CHECK_EQ(cel_recv(fds[0], &byte, 1, 0, cel_after(CEL_MSEC)), -ETIMEDOUT);
    CHECK_EQ(cel_go(NULL, echoer, (void *)(intptr_t)fds[0]), 0);
    CHECK_EQ(cel_embed_turn(), 0);
    quieten();
    CHECK_EQ(close(fds[1]), 0);
    while (ndone < 1) {
        turn();
    }
    CHECK_EQ(cel_embed_close(), 0);
}

static void
count_calls(cel_watch *watch, int what, void *arg)
{
    (void)what;
    if (++*(int *)arg == 3) {
        cel_watch_stop(watch);
    }
}

TEST(idle_watchers_keep_the_other_loop_from_sleeping)
{
    cel_watch *idle;
    cel_watch *prepare;
    cel_watch *check;
    int ncalls[3] = {0};

    CHECK_EQ(cel_embed_open(NULL), 0);
    CHECK_EQ(cel_watch_idle(&idle, count_calls, &ncalls[0]), 0);
    CHECK_EQ(cel_watch_prepare(&prepare, count_calls, &ncalls[1]), 0);
    CHECK_EQ(cel_watch_check(&check, count_calls, &ncalls[2]), 0);
    CHECK_EQ(cel_watch_start(idle), 0);
    CHECK_EQ(cel_watch_start(prepare), 0);
    CHECK_EQ(cel_watch_start(check), 0);
    quieten(); /* now the other loop would sleep */
    CHECK_EQ(ncalls[0], 3);
    int before = ncalls[1];
    /* Where others are shuffled in between it is called again. */
    CHECK(before == 1 || (CEL__HARD && before > 1));
    CHECK_EQ(ncalls[2], 0);
    quieten();
    CHECK_EQ(ncalls[1], before);
    CHECK_EQ(cel_embed_turn(), 0); /* it has slept */
    quieten();
    CHECK_EQ(ncalls[2], 1);
    CHECK(ncalls[1] == 2 || CEL__HARD);
    cel_watch_close(idle);
    cel_watch_close(prepare);
    cel_watch_close(check);
    CHECK_EQ(cel_embed_close(), 0);
}

static int
blocking_call(void *arg)
{
    (void)arg;
    (void)usleep(2000);
    return 7;
}

static void
offloader(void *arg)
{
    int result = 0;

    (void)arg;
    CHECK_EQ(cel_offload(&result, blocking_call, NULL, NULL, CEL_FOREVER), 0);
    CHECK_EQ(result, 7);
    ndone++;
}

TEST(messages_of_other_threads_wake_the_other_loop_once)
{
    CHECK_EQ(cel_embed_open(NULL), 0);
    for (int i = 1; i <= 10; i++) {
        CHECK_EQ(cel_go(NULL, offloader, NULL), 0);
        while (ndone < i) {
            turn();
        }
        /* It is served, and does not wake for ever. */
        struct pollfd ours = {.fd = cel_embed_fd(), .events = POLLIN};
        CHECK_EQ(cel_embed_turn(), 0);
        quieten();
        CHECK_EQ(poll(&ours, 1, 0), 0);
    }
    CHECK_EQ(cel_embed_close(), 0);
}

static void
busy(void *arg)
{
    while (cel_yield() == 0) {
        ++*(int *)arg;
    }
}

TEST(a_turn_lets_each_run_and_comes_back)
{
    int nturns = 0;

    CHECK_EQ(cel_embed_open(NULL), 0);
    CHECK_EQ(cel_go(NULL, busy, &nturns), 0);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(cel_embed_deadline(), CEL_AT_ONCE);
        CHECK_EQ(cel_embed_turn(), 0);
    }
    CHECK_GE(nturns, CEL__HARD ? 5 : 99);
    CHECK_EQ(cel_embed_close(), 0);
}

static void
waits_to_be_cancelled(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ECANCELED);
    CHECK_EQ(cel_embed_turn(), -EPERM);
    CHECK_EQ(cel_embed_fd(), -EPERM);
    CHECK_EQ(cel_embed_close(), -EPERM);
    CHECK_EQ(cel_embed_deadline(), CEL_FOREVER);
    ndone++;
}

TEST(closing_cancels_what_is_there)
{
    for (int i = 1; i <= 3; i++) {
        CHECK_EQ(cel_embed_open(NULL), 0);
        CHECK_EQ(cel_embed_open(NULL), -EALREADY);
        CHECK_EQ(cel_go(NULL, waits_to_be_cancelled, NULL), 0);
        CHECK_EQ(cel_embed_turn(), 0);
        CHECK_EQ(cel_embed_close(), 0);
        CHECK_EQ(ndone, i);
    }
}

static int
inside_a_run(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_embed_open(NULL), -EALREADY);
    CHECK_EQ(cel_embed_turn(), -EPERM);
    CHECK_EQ(cel_embed_close(), -EPERM);
    return 0;
}

TEST(what_was_not_opened_is_refused)
{
    cel_options options;

    CHECK_EQ(cel_embed_fd(), -EPERM);
    CHECK_EQ(cel_embed_turn(), -EPERM);
    CHECK_EQ(cel_embed_close(), -EPERM);
    CHECK_EQ(cel_embed_deadline(), CEL_FOREVER);
    run(inside_a_run);
    cel_options_init(&options);
    options.backend = "kqueue";
    CHECK_EQ(cel_embed_open(&options), -EINVAL);
    options.backend = "epoll";
    options.size = 1;
    CHECK_EQ(cel_embed_open(&options), -EINVAL);
    options.size = sizeof(options);
    CHECK_EQ(cel_embed_open(&options), 0);
    CHECK_EQ(cel_embed_close(), 0);
}

TEST(the_backend_is_the_one_that_is_asked_for)
{
    static const char *const asked[] = {"uring", "epoll", "poll"};
    static const char *const taken[] = {"uring", "epoll", "epoll"};
    cel_options options;

    for (int i = 0; i < 3; i++) {
        cel_options_init(&options);
        options.backend = asked[i];
        int err = cel_embed_open(&options);
        if (err < 0) {
            CHECK_EQ(err, -ENOSYS);
            CHECK(cel_info_refusal(asked[i]) != NULL);
            continue;
        }
        CHECK_STR(cel__worker()->loop.backend->name, taken[i]);
        CHECK_EQ(cel_embed_close(), 0);
    }
}

TEST(a_fork_goes_on)
{
    int fds[2];
    int status;

    if (CEL__TSAN) {
        SKIP("ThreadSanitizer can't follow coroutines into a child");
    }
    CHECK_EQ(cel_embed_open(NULL), 0);
    CHECK_EQ(cel_pipe(fds), 0);
    CHECK_EQ(cel_go(NULL, reader, (void *)(intptr_t)fds[0]), 0);
    CHECK_EQ(cel_embed_turn(), 0);
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0) {
        CHECK_EQ(cel_embed_turn(), 0);
        CHECK_EQ(cel_go(NULL, writer, (void *)(intptr_t)fds[1]), 0);
        while (ndone < 2) {
            turn();
        }
        CHECK_EQ(cel_embed_close(), 0);
        _exit(42);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WEXITSTATUS(status), 42);
    CHECK_EQ(cel_go(NULL, writer, (void *)(intptr_t)fds[1]), 0);
    while (ndone < 2) {
        turn();
    }
    (void)cel_close(fds[0]);
    (void)cel_close(fds[1]);
    CHECK_EQ(cel_embed_close(), 0);
}
