/* SPDX-License-Identifier: MIT */
/*
 * What calls return where the system refuses them something: descriptors,
 * threads, processes, io_uring, memory.
 *
 * A process has one fault, and how many calls of that kind come before the one
 * that is meant is nobody's business: each is tried in a child of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "celadon.h"
#include "coros.h"

/* More points of a kind than any of these comes by. */
#define MOST 80

/* A moment that needs memory to wait for. */
static cel_time
soon(void)
{
    return cel_after(20 * CEL_MSEC);
}

static char bytes[8];
static char much[1 << 20]; /* more than fits */
static int pair[2];

/* ---- descriptors */

static int
make_socketpair(void *arg)
{
    (void)arg;
    return cel_socketpair(pair);
}

static int
own(void *arg)
{
    (void)arg;
    int fd = fcntl(0, F_DUPFD, 1023); /* of which nothing is known here */
    return fd < 0 ? 0 : cel_own(fd);
}

static int
accept_one(void *arg)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);

    (void)arg;
    int listener = cel_listen_at("127.0.0.1:0", 0, 0, CEL_FOREVER);
    if (listener < 0 ||
        getsockname(listener, (struct sockaddr *)&addr, &len) != 0 ||
        cel_connect((struct sockaddr *)&addr, len, CEL_FOREVER) < 0) {
        return 0;
    }
    /* One attempt, and no waiting for better times. */
    return cel_accept(listener, NULL, NULL, CEL_AT_ONCE);
}

static int
send_fd(void *arg)
{
    (void)arg;
    return cel_socketpair(pair) < 0
               ? 0
               : (int)cel_send_fds(pair[0], bytes, 1, pair, 1, CEL_FOREVER);
}

static int
open_signals(void *arg)
{
    cel_signals *signals;
    int signal = SIGUSR1;

    (void)arg;
    return cel_signals_open(&signals, &signal, 1);
}

/* Another thread is there, so the descriptor is duplicated for it. */
static void
linger(void *arg)
{
    (void)arg;
    (void)cel_sleep(CEL_FOREVER);
}

static int
dump(void *arg)
{
    (void)arg;
    (void)!cel_go_on(NULL, 1, linger, NULL);
    settle();
    return cel_dump(STDERR_FILENO, CEL_DUMP_BRIEF);
}

/* ---- threads and processes */

static int
read_file(void *arg)
{
    (void)arg;
    int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    return (int)cel_file_read(fd, bytes, 1, CEL_FOREVER);
}

static int
stat_file(void *arg)
{
    struct stat status;

    (void)arg;
    return cel_file_stat("/", &status, CEL_FOREVER);
}

static int
sync_file(void *arg)
{
    (void)arg;
    int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    return cel_file_sync(fd, CEL_FOREVER);
}

static int
watch_dogs(void *arg)
{
    (void)arg;
    return cel_watchdog_start(CEL_SEC);
}

static int
spawn(void *arg)
{
    static const char *const argv[] = {"/bin/true", NULL};
    cel_process_options options;
    cel_process *process;

    (void)arg;
    cel_process_options_init(&options);
    options.stdio[0] = CEL_STDIO_PIPE;
    return cel_process_spawn(&process, argv, &options);
}

/* ---- memory */

static void
hold(void *arg)
{
    (void)!cel_mutex_lock(arg, CEL_FOREVER);
    (void)cel_sleep(CEL_FOREVER);
}

static int
lock_mutex(void *arg)
{
    cel_mutex *mutex;

    (void)arg;
    if (cel_mutex_open(&mutex) < 0 || cel_go(NULL, hold, mutex) < 0) {
        return 0;
    }
    settle();
    return cel_mutex_lock(mutex, soon());
}

static int
wait_cond(void *arg)
{
    cel_mutex *mutex;
    cel_cond *cond;

    (void)arg;
    if (cel_mutex_open(&mutex) < 0 || cel_cond_open(&cond) < 0 ||
        cel_mutex_lock(mutex, CEL_FOREVER) < 0) {
        return 0;
    }
    return cel_cond_wait(cond, mutex, soon());
}

static void
hold_lock(void *arg)
{
    (void)!cel_rwlock_write(arg, CEL_FOREVER);
    (void)cel_sleep(CEL_FOREVER);
}

static int
take_lock(int (*take)(cel_rwlock *lock, cel_time deadline))
{
    cel_rwlock *lock;

    if (cel_rwlock_open(&lock) < 0 || cel_go(NULL, hold_lock, lock) < 0) {
        return 0;
    }
    settle();
    return take(lock, soon());
}

static int
read_locked(cel_rwlock *lock, cel_time deadline)
{
    return cel_rwlock_read(lock, deadline);
}

static int
write_locked(cel_rwlock *lock, cel_time deadline)
{
    return cel_rwlock_write(lock, deadline);
}

static int
lock_reading(void *arg)
{
    (void)arg;
    return take_lock(read_locked);
}

static int
lock_writing(void *arg)
{
    (void)arg;
    return take_lock(write_locked);
}

static int
wait_sem(void *arg)
{
    cel_sem *sem;

    (void)arg;
    return cel_sem_open(&sem, 0) < 0 ? 0 : cel_sem_wait(sem, soon());
}

static int
wait_event(void *arg)
{
    cel_event *event;

    (void)arg;
    return cel_event_open(&event) < 0 ? 0 : cel_event_wait(event, soon());
}

static int
wait_wg(void *arg)
{
    cel_wg *wg;

    (void)arg;
    if (cel_wg_open(&wg) < 0 || cel_wg_add(wg, 1) < 0) {
        return 0;
    }
    return cel_wg_wait(wg, soon());
}

/* Generators that wait, and that yield, within a scope's deadline. */
static void
wait_for_ever(cel_gen *gen, void *arg)
{
    (void)gen;
    (void)arg;
    (void)cel_sleep(CEL_FOREVER);
}

static void
yield_soon(cel_gen *gen, void *arg)
{
    cel_scope scope;

    if (cel_scope_enter(&scope, soon()) == 0) {
        *(int *)arg = cel_gen_yield(gen, NULL, NULL);
        (void)cel_scope_leave(&scope);
    }
}

static int
ask_generator(void *arg)
{
    cel_gen *gen;
    cel_scope scope;

    if (cel_gen_open(&gen, wait_for_ever, arg) < 0 ||
        cel_scope_enter(&scope, soon()) < 0) {
        return 0;
    }
    return cel_gen_send(gen, NULL, NULL);
}

static int
be_asked(void *arg)
{
    cel_gen *gen;
    int code = 0;

    (void)arg;
    if (cel_gen_open(&gen, yield_soon, &code) < 0 ||
        cel_gen_send(gen, NULL, NULL) != 1) {
        return 0;
    }
    (void)!cel_gen_send(gen, NULL, NULL);
    return code;
}

/* A channel that nobody sends to or receives from, for the three below. */
static cel_chan *
open_chan(void)
{
    cel_chan *chan = NULL;

    return cel_chan_open(&chan, 1, 0) < 0 ? NULL : chan;
}

static int
send_value(void *arg)
{
    cel_chan *chan = open_chan();

    (void)arg;
    return chan == NULL ? 0 : cel_chan_send(chan, bytes, soon());
}

static int
recv_value(void *arg)
{
    cel_chan *chan = open_chan();

    (void)arg;
    return chan == NULL ? 0 : cel_chan_recv(chan, bytes, soon());
}

static int
select_one(void *arg)
{
    cel_case one = {.chan = open_chan(), .value = bytes, .op = CEL_RECV};

    (void)arg;
    return one.chan == NULL ? 0 : cel_select(&one, 1, soon());
}

/* A stream over a socket that says nothing, for the three below. */
static cel_stream *
open_stream(void)
{
    cel_stream *stream = NULL;

    if (cel_socketpair(pair) < 0 || cel_stream_open(&stream, pair[0]) < 0) {
        return NULL;
    }
    return stream;
}

static int
peek(void *arg)
{
    cel_stream *stream = open_stream();
    const void *data;

    (void)arg;
    return stream == NULL ? 0 : (int)cel_stream_peek(stream, &data, 1, soon());
}

static int
read_until(void *arg)
{
    cel_stream *stream = open_stream();

    (void)arg;
    return stream == NULL
               ? 0
               : (int)cel_stream_read_until(stream, bytes, 8, "--", 2, soon());
}

static int
write_some(void *arg)
{
    cel_stream *stream = open_stream();

    (void)arg;
    while (stream != NULL && send(pair[0], much, sizeof(much), 0) > 0) {}
    return stream == NULL
               ? 0
               : (int)cel_stream_write(stream, much, sizeof(much), soon());
}

/* ---- runs */

static int
run_uring(void *arg)
{
    cel_options options;

    cel_options_init(&options);
    options.backend = "uring";
    return cel_run(dump, arg, &options);
}

static int
embed_uring(void *arg)
{
    cel_options options;

    (void)arg;
    cel_options_init(&options);
    options.backend = "uring";
    return cel_embed_open(&options);
}

static int
embed(void *arg)
{
    (void)arg;
    return cel_embed_open(NULL);
}

/* ---- all of them */

struct refusal {
    const char *point;
    const char *error;
    int (*fn)(void *arg);
    int code;    /* what it must return, once */
    int workers; /* of the run it is called in; 0: none */
};

static const struct refusal refusals[] = {
    {"socketpair", "EMFILE", make_socketpair, -EMFILE, 1},
    {"socketpair", "ENFILE", make_socketpair, -ENFILE, 1},
    {"malloc", "ENOMEM", own, -ENOMEM, 1},
    {"accept4", "EMFILE", accept_one, -EMFILE, 1},
    {"accept4", "ENFILE", accept_one, -ENFILE, 1},
    {"accept4", "ENOBUFS", accept_one, -ENOBUFS, 1},
    {"accept4", "ENOMEM", accept_one, -ENOMEM, 1},
    {"sendmsg", "109", send_fd, -ETOOMANYREFS, 1},
    {"eventfd", "ENFILE", open_signals, -ENFILE, 1},
    {"fcntl", "EMFILE", dump, -EMFILE, 2},
    {"pthread_create", "EAGAIN", read_file, -EAGAIN, 1},
    {"pthread_create", "EAGAIN", stat_file, -EAGAIN, 1},
    {"pthread_create", "EAGAIN", sync_file, -EAGAIN, 1},
    {"pthread_create", "EAGAIN", watch_dogs, -EAGAIN, 1},
    {"clone", "EAGAIN", spawn, -EAGAIN, 1},
    {"pipe2", "ENFILE", spawn, -ENFILE, 1},
    {"pidfd_open", "ENOSYS", spawn, -ENOSYS, 1},
    {"malloc", "ENOMEM", read_file, -ENOMEM, 1},
    {"malloc", "ENOMEM", lock_mutex, -ENOMEM, 1},
    {"malloc", "ENOMEM", wait_cond, -ENOMEM, 1},
    {"malloc", "ENOMEM", lock_reading, -ENOMEM, 1},
    {"malloc", "ENOMEM", lock_writing, -ENOMEM, 1},
    {"malloc", "ENOMEM", wait_sem, -ENOMEM, 1},
    {"malloc", "ENOMEM", wait_event, -ENOMEM, 1},
    {"malloc", "ENOMEM", wait_wg, -ENOMEM, 1},
    {"malloc", "ENOMEM", ask_generator, -ENOMEM, 1},
    {"malloc", "ENOMEM", be_asked, -ENOMEM, 1},
    {"malloc", "ENOMEM", send_value, -ENOMEM, 1},
    {"malloc", "ENOMEM", recv_value, -ENOMEM, 1},
    {"malloc", "ENOMEM", select_one, -ENOMEM, 1},
    {"malloc", "ENOMEM", peek, -ENOMEM, 1},
    {"malloc", "ENOMEM", read_until, -ENOMEM, 1},
    {"malloc", "ENOMEM", write_some, -ENOMEM, 1},
    {"io_uring_setup", "ENOSYS", run_uring, -ENOSYS, 0},
    {"io_uring_setup", "ENOSYS", embed_uring, -ENOSYS, 0},
    {"epoll_create1", "EMFILE", embed, -EMFILE, 0},
};

static const struct refusal *tried;

/* What it returned ends the process, before anything else can. */
static int
try_it(void *arg)
{
    int code = tried->fn(arg);

    _exit(code == tried->code);
}

/* In a child, with the fault set. */
_Noreturn static void
run_it(void)
{
    cel_options options;

    if (tried->workers == 0) {
        (void)try_it(NULL);
    }
    cel_options_init(&options);
    options.backend = "epoll";
    options.workers = tried->workers;
    (void)!cel_run(try_it, NULL, &options);
    _exit(0);
}

/* Whether the Nth fault of its kind brings about what is meant. */
static bool
meets(int n)
{
    char fault[64];
    int status;

    (void)snprintf(fault, sizeof(fault), "%s:%d:%s", tried->point, n,
                   tried->error);
    (void)fflush(NULL);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        CHECK_EQ(setenv("CELADON_FAULT", fault, 1), 0);
        run_it();
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status) == 1;
}

TEST(what_the_system_refuses_is_told)
{
    if (!CEL__HARD) {
        SKIP("only hard builds have faults on demand");
    }
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        int n = 1;
        tried = &refusals[i];
        while (!meets(n)) {
            if (++n > MOST) {
                FAIL("row %zu, %s %s: it is never told", i, tried->point,
                     tried->error);
            }
        }
    }
}
