/* SPDX-License-Identifier: MIT */
/* The report of a stack overflow, and that other faults pass by it. */
#include "see/overflow.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "celadon/run.h"
#include "dying.h"

static const char *name;

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
    cel_set_name(name);
    (void)recurse(&start);
}

static int
start(void *arg)
{
    (void)arg;
    return cel_go(NULL, overflow, NULL);
}

static void
run_over(void)
{
    CHECK_EQ(cel_run(start, NULL, NULL), 0);
}

static void
cover(void)
{
    CHECK_EQ(cel__overflow_thread(), 0);
    CHECK_EQ(cel__overflow_install(), 0);
}

static int
overflowing(void (*fn)(void), char *text, size_t size)
{
    if (CEL__ASAN || CEL__TSAN) {
        SKIP("the sanitizer handles faults itself");
    }
    return in_child(fn, text, size);
}

static void
overflow_named(void)
{
    name = "greedy";
    cover();
    run_over();
}

TEST(an_overflow_names_the_coroutine_and_dies_by_the_same_signal)
{
    char text[1024];
    int status = overflowing(overflow_named, text, sizeof(text));

    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGSEGV);
    const char *line = strstr(text,
                              "celadon: stack overflow in coroutine 'greedy' "
                              "(id ");
    CHECK(line != NULL);
    CHECK(strstr(line, " KiB); raise the stack size") != NULL);
    CHECK(strchr(line, '\n') != NULL);
}

static void
overflow_unnamed(void)
{
    cover();
    run_over();
}

TEST(a_coroutine_without_a_name_goes_by_its_number)
{
    char text[1024];

    (void)overflowing(overflow_unnamed, text, sizeof(text));
    CHECK(strstr(text, "overflow in coroutine (id ") != NULL);
}

static void
exit_by_handler(int signal)
{
    (void)signal;
    _exit(42);
}

static void
overflow_with_handler(void)
{
    struct sigaction action = {.sa_flags = SA_ONSTACK};

    action.sa_handler = exit_by_handler;
    CHECK_EQ(sigaction(SIGSEGV, &action, NULL), 0);
    overflow_named();
}

TEST(a_handler_from_before_has_the_last_word)
{
    char text[1024];
    int status = overflowing(overflow_with_handler, text, sizeof(text));

    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 42);
    CHECK(strstr(text, "'greedy'") != NULL);
}

static void
touch_nothing(void)
{
    cover();
    volatile char *page = mmap(NULL, 4096, PROT_NONE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[0] = 1;
}

TEST(another_fault_is_none_of_its_business)
{
    char text[1024];
    int status = overflowing(touch_nothing, text, sizeof(text));

    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGSEGV);
    CHECK(strstr(text, "overflow") == NULL);
}

static void
be_sent_a_signal(void)
{
    cover();
    (void)raise(SIGBUS);
    _exit(7);
}

TEST(a_signal_that_was_sent_is_passed_on)
{
    char text[1024];
    int status = overflowing(be_sent_a_signal, text, sizeof(text));

    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGBUS);
    CHECK(strstr(text, "overflow") == NULL);
}

TEST(installing_twice_is_harmless_and_a_stack_of_ones_own_is_kept)
{
    static char own[65536];
    stack_t mine = {.ss_sp = own, .ss_size = sizeof(own)};
    stack_t now;

    if (CEL__ASAN || CEL__TSAN) {
        SKIP("the sanitizer has an alternate stack of its own");
    }
    CHECK_EQ(sigaltstack(&mine, NULL), 0);
    cover();
    cover();
    CHECK_EQ(sigaltstack(NULL, &now), 0);
    CHECK_PTR(now.ss_sp, own);
}

static void *alternate;

static void *
cover_thread(void *arg)
{
    stack_t now;

    (void)arg;
    CHECK_EQ(cel__overflow_thread(), 0);
    CHECK_EQ(sigaltstack(NULL, &now), 0);
    CHECK_EQ(now.ss_flags & SS_DISABLE, 0);
    alternate = now.ss_sp;
    return NULL;
}

TEST(the_alternate_stack_goes_with_its_thread)
{
    pthread_t thread;
    unsigned char page;

    if (CEL__ASAN || CEL__TSAN) {
        SKIP("the sanitizer has an alternate stack of its own");
    }
    CHECK_EQ(pthread_create(&thread, NULL, cover_thread, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(mincore(alternate, 4096, &page), -1);
}
