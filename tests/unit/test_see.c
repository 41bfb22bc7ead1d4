/* SPDX-License-Identifier: MIT */
/*
 * Dumps: what they say of who waits for what, by call and by signal, and who
 * waits for whom in a circle.
 */
#include "celadon/see.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "celadon.h"
#include "coros.h"
#include "dying.h"
#include "tap.h"

/* A dump, and how much there is of it. */
static char said[65536];
static size_t nsaid;

/* A file that a dump goes to. */
static int
scratch(void)
{
    char name[] = "/tmp/test_see_XXXXXX";
    int fd = mkstemp(name);

    CHECK_GE(fd, 0);
    CHECK_EQ(unlink(name), 0);
    return fd;
}

static void
read_back(int fd)
{
    ssize_t n = pread(fd, said, sizeof(said) - 1, 0);

    CHECK_GE(n, 0);
    nsaid = (size_t)n;
    said[n] = '\0';
}

static void
dump(unsigned flags)
{
    int fd = scratch();

    CHECK_EQ(cel_dump(fd, flags), 0);
    read_back(fd);
    (void)close(fd);
}

/* The dump has a line with each of these words, up to NULL, in order. */
static void
check_line(const char *const *words)
{
    for (const char *line = said; *line != '\0';) {
        const char *end = strchr(line, '\n');
        const char *at = line;
        int i = 0;

        CHECK(end != NULL);
        for (; words[i] != NULL; i++) {
            const char *found = strstr(at, words[i]);
            if (found == NULL || found >= end) {
                break;
            }
            at = found + strlen(words[i]);
        }
        if (words[i] == NULL) {
            return;
        }
        line = end + 1;
    }
    printf("%s", said);
    FAIL("no line has '%s' and what follows it", words[0]);
}

#define CHECK_LINE(...) check_line((const char *const[]){__VA_ARGS__, NULL})

/* How many have told that they are about to wait. */
static int nwaiting;

static void
begin(const char *name)
{
    cel_set_name(name);
    nwaiting++;
}

/* Let the others run until `n` wait; the hard build's order is any. */
static void
settle_all(int n)
{
    for (int i = 0; i < 1000 && (nwaiting < n || i < 20); i++) {
        (void)cel_yield();
    }
    CHECK_EQ(nwaiting, n);
}

static void
end(cel_coro *coro)
{
    cel_cancel(coro);
    CHECK_EQ(cel_join(coro, CEL_FOREVER), 0);
}

/*
 * What they wait for.
 */

static int sockets[2];
static cel_mutex *mutex;
static cel_chan *chan;

static void
reader(void *arg)
{
    char byte;

    (void)arg;
    begin("reader");
    (void)!cel_recv(sockets[0], &byte, 1, 0, cel_after(1000 * CEL_SEC));
}

static void
locker(void *arg)
{
    begin("locker");
    if (cel_mutex_lock(arg, CEL_FOREVER) == 0) {
        (void)cel_mutex_unlock(arg);
    }
}

static void
receiver(void *arg)
{
    int value;

    begin("receiver");
    (void)!cel_chan_recv(arg, &value, CEL_FOREVER);
}

static void
sleeper(void *arg)
{
    (void)arg;
    begin("sleeper");
    (void)cel_sleep(CEL_FOREVER);
}

static void
joiner(void *arg)
{
    begin("joiner");
    (void)!cel_join(arg, CEL_FOREVER);
}

static int
five_wait(void *arg)
{
    cel_coro *coros[5];
    char text[64];

    (void)arg;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    CHECK_EQ(cel_mutex_open(&mutex), 0);
    CHECK_EQ(cel_chan_open(&chan, sizeof(int), 0), 0);
    CHECK_EQ(cel_mutex_lock(mutex, CEL_FOREVER), 0);
    cel_set_name("main");
    coros[0] = go(reader, NULL);
    coros[1] = go(locker, mutex);
    coros[2] = go(receiver, chan);
    coros[3] = go(sleeper, NULL);
    coros[4] = go(joiner, coros[3]);
    settle_all(5);
    dump(0);
    CHECK_LINE("celadon: process ", "6 coroutines");
    CHECK_LINE("#", "\"main\" running");
    CHECK_LINE("    five_wait+0x", " (test_see+0x");
    (void)snprintf(text, sizeof(text), "(fd %d readable)", sockets[0]);
    CHECK_LINE("\"reader\" waits for recv", text, "since ", "for another ",
               "stack ", " KiB");
    (void)snprintf(text, sizeof(text), "(%p)", (void *)mutex);
    CHECK_LINE("\"locker\" waits for a mutex ", text, "held by #", "\"main\"");
    (void)snprintf(text, sizeof(text), "(%p)", (void *)chan);
    CHECK_LINE("\"receiver\" waits for ", text);
    CHECK_LINE("\"sleeper\" waits for sleep; since ");
    CHECK_LINE("\"joiner\" waits for the end of #", "\"sleeper\"");
    CHECK(strstr(said, "deadlock") == NULL);
    CHECK_EQ(cel_mutex_unlock(mutex), 0);
    end(coros[4]);
    end(coros[0]);
    end(coros[1]);
    end(coros[2]);
    end(coros[3]);
    cel_chan_close(chan);
    cel_mutex_close(mutex);
    (void)close(sockets[0]);
    (void)close(sockets[1]);
    return 0;
}

TEST(a_dump_says_what_each_coroutine_waits_for)
{
    run(five_wait);
}

static int
one_is_ready(void *arg)
{
    (void)arg;
    cel_coro *coro = go(sleeper, NULL);
    dump(CEL_DUMP_BRIEF);
    CHECK_LINE("#", " ready, not started");
    end(coro);
    return 0;
}

TEST(one_that_has_not_run_yet_is_ready)
{
    run(one_is_ready);
}

static int
dump_nowhere(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_dump(1000000, 0), -EBADF);
    CHECK_EQ(cel_dump(1, 2u), -EINVAL);
    return 0;
}

TEST(what_a_dump_can_fail_with)
{
    run(dump_nowhere);
}

TEST(a_dump_outside_of_any_run_is_empty)
{
    dump(0);
    CHECK_EQ(nsaid, 0);
}

static void
chooser(void *arg)
{
    cel_chan **chans = arg;
    int value = 0;
    cel_case cases[] = {
        {.chan = chans[0], .value = &value, .op = CEL_RECV},
        {.chan = chans[1], .value = &value, .op = CEL_SEND},
    };

    begin("chooser");
    CHECK_EQ(cel_select(cases, 2, CEL_FOREVER), -ECANCELED);
}

static void
many_chooser(void *arg)
{
    cel_case cases[10];
    int value = 0;

    for (int i = 0; i < 10; i++) {
        cases[i] = (cel_case){.chan = arg, .value = &value, .op = CEL_RECV};
    }
    begin("many");
    CHECK_EQ(cel_select(cases, 10, CEL_FOREVER), -ECANCELED);
}

static int
choosers_wait(void *arg)
{
    cel_chan *chans[2];
    char text[128];

    (void)arg;
    CHECK_EQ(cel_chan_open(&chans[0], sizeof(int), 0), 0);
    CHECK_EQ(cel_chan_open(&chans[1], sizeof(int), 0), 0);
    cel_coro *two = go(chooser, chans);
    cel_coro *many = go(many_chooser, chans[0]);
    settle_all(2);
    dump(CEL_DUMP_BRIEF);
    (void)snprintf(text, sizeof(text), "(to receive %p, to send %p); since",
                   (void *)chans[0], (void *)chans[1]);
    CHECK_LINE("\"chooser\" waits for one of several channels ", text);
    CHECK_LINE("\"many\" waits for one of several channels (to receive ",
               ", and others); since");
    end(two);
    end(many);
    cel_chan_close(chans[0]);
    cel_chan_close(chans[1]);
    return 0;
}

TEST(a_dump_tells_the_channels_of_a_select)
{
    run(choosers_wait);
}

/* Yields once, then waits for what its asker holds. */
static void
numbers(cel_gen *gen, void *arg)
{
    cel_set_name("numbers");
    CHECK_EQ(cel_gen_yield(gen, NULL, NULL), 1);
    nwaiting++;
    if (cel_mutex_lock(arg, CEL_FOREVER) == 0) {
        (void)cel_mutex_unlock(arg);
    }
}

static void
asker(void *arg)
{
    cel_gen *gen;

    CHECK_EQ(cel_gen_open(&gen, numbers, arg), 0);
    CHECK_EQ(cel_gen_send(gen, NULL, NULL), 1);
    begin("asker");
    dump(CEL_DUMP_BRIEF);
    CHECK_LINE("\"numbers\" waits for being asked; since");
    CHECK_EQ(cel_gen_send(gen, NULL, NULL), 0);
    cel_gen_close(gen);
}

static int
asker_waits(void *arg)
{
    cel_mutex *held;

    (void)arg;
    cel_set_name("main");
    CHECK_EQ(cel_mutex_open(&held), 0);
    CHECK_EQ(cel_mutex_lock(held, CEL_FOREVER), 0);
    cel_coro *coro = go(asker, held);
    settle_all(2);
    dump(CEL_DUMP_BRIEF);
    CHECK_LINE("\"asker\" waits for the next value of #",
               "\"numbers\"; since");
    CHECK_LINE("\"numbers\" waits for a mutex", "held by #", "\"main\"");
    CHECK_EQ(cel_mutex_unlock(held), 0);
    join(coro);
    cel_mutex_close(held);
    return 0;
}

TEST(a_dump_tells_what_an_asker_waits_for)
{
    run(asker_waits);
}

/*
 * Backtraces.
 */

/* How many frames stand below the line of `name`. */
static int
frames_of(const char *name)
{
    int n = 0;
    const char *at = strstr(said, name);

    CHECK(at != NULL);
    for (at = strchr(at, '\n'); strncmp(at, "\n    ", 5) == 0;
         at = strchr(at + 1, '\n')) {
        CHECK(strchr(at, '+') != NULL);
        n++;
    }
    return n;
}

/* Sleeps below `depth` calls. */
__attribute__((noinline)) static int
deep(int depth)
{
    /* What follows the call keeps the frame. */
    int code = depth == 0 ? cel_sleep(CEL_FOREVER) : deep(depth - 1);

    __asm__ volatile("" : "+r"(code));
    return code;
}

static void
shallow_sleeper(void *arg)
{
    (void)arg;
    begin("shallow");
    (void)deep(0);
}

static void
deep_sleeper(void *arg)
{
    (void)arg;
    begin("deep");
    (void)deep(10);
}

static int
two_sleep(void *arg)
{
    (void)arg;
    cel_coro *one = go(shallow_sleeper, NULL);
    cel_coro *other = go(deep_sleeper, NULL);
    settle_all(2);
    dump(CEL_DUMP_BRIEF);
    CHECK_EQ(frames_of("\"deep\""), 0);
    dump(0);
    if (frames_of("\"root\"") == 0 || frames_of("\"deep\"") == 0) {
        SKIP("no unwinder here, or none that goes through the switch");
    }
    CHECK_EQ(frames_of("\"deep\"") - frames_of("\"shallow\""), 10);
    end(one);
    end(other);
    return 0;
}

TEST(a_backtrace_has_the_frames_of_a_suspended_coroutine)
{
    run(two_sleep);
}

/*
 * Circles.
 */

static cel_mutex *mutexes[2];
static cel_coro *pair[2];
static int lines;

static void
count_line(const char *line)
{
    size_t len = strlen(line);

    CHECK_LT(nsaid + len + 2, sizeof(said));
    memcpy(said + nsaid, line, len);
    nsaid += len;
    said[nsaid++] = '\n';
    said[nsaid] = '\0';
    lines++;
}

/* Locks one mutex, and when the other one is locked too, that one. */
static void
lock_both(void *arg)
{
    int mine = *(int *)arg;

    cel_set_name(mine == 0 ? "left" : "right");
    CHECK_EQ(cel_mutex_lock(mutexes[mine], CEL_FOREVER), 0);
    nwaiting++;
    while (nwaiting < 2) {
        (void)cel_yield();
    }
    /* The one who is cancelled first lets the other one have it. */
    if (cel_mutex_lock(mutexes[1 - mine], CEL_FOREVER) == 0) {
        CHECK_EQ(cel_mutex_unlock(mutexes[1 - mine]), 0);
    }
    CHECK_EQ(cel_mutex_unlock(mutexes[mine]), 0);
}

static int
deadlock(void *arg)
{
    static int names[2] = {0, 1};

    (void)arg;
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(cel_mutex_open(&mutexes[i]), 0);
        pair[i] = go(lock_both, &names[i]);
    }
    CHECK_EQ(cel_join(pair[0], CEL_FOREVER), -EDEADLK);
    CHECK_LINE("nothing is left that could wake any of 3 coroutines");
    CHECK_LINE("deadlock: #", "\"left\" waits for a mutex (0x", ") held by #",
               "\"right\"");
    CHECK_LINE("deadlock: #", "\"right\" waits for a mutex (0x", ") held by #",
               "\"left\"");
    CHECK_EQ(lines, 3);
    dump(CEL_DUMP_BRIEF);
    CHECK_LINE("deadlock: #", "\"left\" waits for a mutex");
    end(pair[0]);
    end(pair[1]);
    cel_mutex_close(mutexes[0]);
    cel_mutex_close(mutexes[1]);
    return 0;
}

TEST(a_deadlock_is_told_as_a_circle)
{
    if (CEL__TSAN || tap_valgrind()) {
        SKIP("the tool has threads of its own");
    }
    cel_log_to(count_line);
    run(deadlock);
    cel_log_to(NULL);
}

static int
stuck(void *arg)
{
    (void)arg;
    cel_coro *coro = go(sleeper, NULL);
    CHECK_EQ(cel_join(coro, CEL_FOREVER), -EDEADLK);
    CHECK_LINE("could wake any of 2 coroutines");
    CHECK_LINE("deadlock: #", "\"sleeper\" waits for sleep");
    CHECK_LINE("deadlock: #", "\"root\" waits for the end of #",
               "\"sleeper\"");
    end(coro);
    return 0;
}

TEST(where_there_is_no_circle_the_waits_are_told)
{
    cel_log_to(count_line);
    run(stuck);
    cel_log_to(NULL);
}

/* A member of a group waits for the end of another group, whose member waits
   for the first one's mutex. */
static cel_group *groups[2];

static int
wait_for_group(void *arg)
{
    (void)arg;
    cel_set_name("outer");
    CHECK_EQ(cel_mutex_lock(mutexes[0], CEL_FOREVER), 0);
    nwaiting++;
    int code = cel_group_wait(groups[1], CEL_FOREVER);
    CHECK_EQ(cel_mutex_unlock(mutexes[0]), 0);
    return code;
}

static int
wait_for_mutex(void *arg)
{
    (void)arg;
    cel_set_name("inner");
    while (nwaiting < 1) {
        (void)cel_yield();
    }
    nwaiting++;
    int code = cel_mutex_lock(mutexes[0], CEL_FOREVER);
    CHECK_EQ(code, -ECANCELED);
    return code;
}

static int
deadlock_of_groups(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_mutex_open(&mutexes[0]), 0);
    CHECK_EQ(cel_group_open(&groups[0], 0), 0);
    CHECK_EQ(cel_group_open(&groups[1], 0), 0);
    CHECK_EQ(cel_group_go(groups[1], wait_for_mutex, NULL), 0);
    CHECK_EQ(cel_group_go(groups[0], wait_for_group, NULL), 0);
    settle_all(2);
    dump(CEL_DUMP_BRIEF);
    CHECK_LINE("deadlock: #", "\"inner\" waits for a mutex", "\"outer\"");
    CHECK_LINE("deadlock: #", "\"outer\" waits for the end of a group (0x",
               ") of #", "\"inner\"");
    (void)cel_group_close(groups[1]);
    (void)cel_group_close(groups[0]);
    cel_mutex_close(mutexes[0]);
    return 0;
}

TEST(a_circle_goes_through_the_members_of_a_group)
{
    run(deadlock_of_groups);
}

/*
 * Other threads, and the signal.
 */

static int dump_fd;
static atomic_bool ready;
static atomic_bool done;

static int
wait_for_others(void *arg)
{
    (void)arg;
    cel_set_name("elsewhere");
    atomic_store(&ready, true);
    while (!atomic_load(&done)) {
        CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    }
    return 0;
}

static void *
other_thread(void *arg)
{
    (void)arg;
    run(wait_for_others);
    return NULL;
}

static void
wait_until_said(const char *what)
{
    /* The harness bounds it. */
    do {
        (void)usleep(1000);
        read_back(dump_fd);
    } while (strstr(said, what) == NULL);
}

static void
with_other_thread(void (*fn)(void))
{
    pthread_t thread;

    dump_fd = scratch();
    CHECK_EQ(pthread_create(&thread, NULL, other_thread, NULL), 0);
    while (!atomic_load(&ready)) {
        (void)usleep(1000);
    }
    fn();
    atomic_store(&done, true);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    (void)close(dump_fd);
}

static void
dump_other(void)
{
    CHECK_EQ(cel_dump(dump_fd, CEL_DUMP_BRIEF), 0);
    wait_until_said("\"elsewhere\" waits for sleep");
}

TEST(a_dump_has_the_coroutines_of_other_threads)
{
    with_other_thread(dump_other);
}

static void
signal_other(void)
{
    CHECK_EQ(dup2(dump_fd, STDERR_FILENO), STDERR_FILENO);
    CHECK_EQ(cel_dump_on_signal(SIGQUIT), 0);
    CHECK_EQ(raise(SIGQUIT), 0);
    wait_until_said("\"elsewhere\" waits for sleep");
}

TEST(a_signal_asks_for_a_dump)
{
    with_other_thread(signal_other);
    CHECK_EQ(cel_dump_on_signal(100000), -EINVAL);
}

static int
interrupted(void *arg)
{
    (void)arg;
    cel_set_name("busy");
    CHECK_EQ(raise(SIGQUIT), 0);
    read_back(dump_fd);
    CHECK_LINE("celadon: interrupted #", "\"busy\"");
    CHECK(strstr(said, "celadon: process") == NULL);
    CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    read_back(dump_fd);
    CHECK_LINE("celadon: process ", "1 coroutine");
    CHECK_LINE("\"busy\" waits for sleep");
    return 0;
}

TEST(the_signal_tells_at_once_whom_it_interrupts)
{
    dump_fd = scratch();
    CHECK_EQ(dup2(dump_fd, STDERR_FILENO), STDERR_FILENO);
    CHECK_EQ(setenv("CELADON_DUMP", "1", 1), 0);
    /* A shell's background jobs ignore it, which counts as their choice. */
    CHECK(signal(SIGQUIT, SIG_DFL) != SIG_ERR);
    run(interrupted);
    CHECK_EQ(raise(SIGQUIT), 0);
    read_back(dump_fd);
    CHECK_LINE("celadon: nothing runs coroutines in process ");
}

static int
deadlock_unheard(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_sleep(CEL_FOREVER), -EDEADLK);
    return 0;
}

TEST(the_environment_asks_for_the_log)
{
    dump_fd = scratch();
    CHECK_EQ(dup2(dump_fd, STDERR_FILENO), STDERR_FILENO);
    CHECK_EQ(setenv("CELADON_LOG", "1", 1), 0);
    run(deadlock_unheard);
    read_back(dump_fd);
    CHECK_LINE("celadon: deadlock: nothing is left");
    CHECK_LINE("celadon: deadlock: #", "\"root\" waits for sleep");
}

/* No limit but the guard. */
__attribute__((noinline)) static int
recurse(const volatile char *before)
{
    volatile char here[256];

    here[0] = *before;
    here[255] = 0;
    if (here[0] != 0) { /* always */
        here[255] = (char)recurse(here);
    }
    return here[0] + here[255];
}

static void
overflow(void *arg)
{
    volatile char start = 1;

    (void)arg;
    cel_set_name("greedy");
    (void)recurse(&start);
}

static int
let_overflow(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_join(go(overflow, NULL), CEL_FOREVER), 0);
    return 0;
}

static void
run_over(void)
{
    CHECK_EQ(setenv("CELADON_DUMP", "1", 1), 0);
    run(let_overflow);
}

TEST(the_environment_asks_whose_stack_overflowed)
{
    char text[1024];

    if (CEL__ASAN || CEL__TSAN) {
        SKIP("the sanitizer handles faults itself");
    }
    int status = in_child(run_over, text, sizeof(text));
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGSEGV);
    CHECK(strstr(text, "stack overflow in coroutine 'greedy'") != NULL);
}
