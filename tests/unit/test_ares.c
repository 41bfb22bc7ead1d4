/* SPDX-License-Identifier: MIT */
/*
 * Look-ups by c-ares, of a name server of our own; nothing else is asked.
 */
#include "celadon/resolve.h"

#include <dirent.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "coros.h"
#include "dnsd.h"
#include "names/choice.h"
#include "sockets.h"

static const struct addrinfo stream = {.ai_socktype = SOCK_STREAM};
static const struct addrinfo stream4 = {.ai_family = AF_INET,
                                        .ai_socktype = SOCK_STREAM};
static const struct addrinfo stream6 = {.ai_family = AF_INET6,
                                        .ai_socktype = SOCK_STREAM};

static const struct dnsd_seen *seen;

/* With a server, or not at all. */
static void
run_asking(int (*fn)(void *arg))
{
    if (!CEL__HAVE_ARES) {
        SKIP("built without c-ares");
    }
    seen = dnsd_start();
    CHECK(cel__choice_is_ares());
    run(fn);
}

/* The text of the address of one of a list. */
static const char *
text_of(const struct addrinfo *one)
{
    static char text[INET6_ADDRSTRLEN];

    CHECK_EQ(getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof(text),
                         NULL, 0, NI_NUMERICHOST),
             0);
    return text;
}

static struct addrinfo *
find(const char *name, const struct addrinfo *hints)
{
    struct addrinfo *found = NULL;

    CHECK_EQ(cel_resolve(name, "80", hints, &found, CEL_FOREVER), 0);
    CHECK(found != NULL);
    return found;
}

/* `name` has `addr` alone. */
static void
expect(const char *name, const struct addrinfo *hints, const char *addr)
{
    struct addrinfo *found = find(name, hints);

    CHECK_STR(text_of(found), addr);
    CHECK_PTR(found->ai_next, NULL);
    CHECK_EQ(found->ai_socktype, SOCK_STREAM);
    CHECK_EQ(ntohs(((const struct sockaddr_in *)(const void *)found->ai_addr)
                       ->sin_port),
             80);
    cel_resolve_free(found);
}

static int
plainly(void *arg)
{
    (void)arg;
    expect("a.test", &stream4, "192.0.2.1");
    expect("a.test", &stream, "192.0.2.1");
    expect("six.test", &stream6, "2001:db8::6");
    expect("six.test", &stream, "2001:db8::6");
    return 0;
}

TEST(a_name_has_addresses_of_both_families)
{
    run_asking(plainly);
}

static int
both(void *arg)
{
    struct addrinfo *found = find("both.test", &stream);
    int nfour = 0;
    int nsix = 0;

    (void)arg;
    for (struct addrinfo *one = found; one != NULL; one = one->ai_next) {
        nfour += one->ai_family == AF_INET;
        nsix += one->ai_family == AF_INET6;
    }
    CHECK_EQ(nfour, 1);
    CHECK_EQ(nsix, 1);
    cel_resolve_free(found);
    return 0;
}

TEST(whoever_asks_for_any_family_gets_both)
{
    run_asking(both);
}

static int
aliases(void *arg)
{
    struct addrinfo hints = stream4;

    (void)arg;
    hints.ai_flags = AI_CANONNAME;
    struct addrinfo *found = find("alias.test", &hints);
    CHECK_STR(text_of(found), "192.0.2.3");
    CHECK_STR(found->ai_canonname, "third.test");
    cel_resolve_free(found);
    return 0;
}

TEST(aliases_are_followed_to_the_last)
{
    run_asking(aliases);
}

static int
truncated(void *arg)
{
    struct addrinfo *found = find("big.test", &stream4);
    int n = 0;

    (void)arg;
    for (struct addrinfo *one = found; one != NULL; one = one->ai_next) {
        n++;
    }
    CHECK_EQ(n, 64);
    CHECK_EQ(atomic_load(&seen->tcp), 1);
    cel_resolve_free(found);
    return 0;
}

TEST(a_truncated_answer_is_asked_for_again_by_tcp)
{
    run_asking(truncated);
}

static int
failing(void *arg)
{
    static struct addrinfo mark;
    struct addrinfo *found = &mark;

    (void)arg;
    CHECK_EQ(cel_resolve("none.test", "80", &stream, &found, CEL_FOREVER),
             -ENOENT);
    CHECK_EQ(cel_resolve("empty.test", "80", &stream, &found, CEL_FOREVER),
             -ENOENT);
    CHECK_EQ(cel_resolve("broken.test", "80", &stream4, &found, CEL_FOREVER),
             -EAGAIN);
    CHECK_EQ(cel_resolve("refused.test", "80", &stream4, &found, CEL_FOREVER),
             -EAGAIN);
    CHECK_EQ(
        cel_resolve("a.test", "nosuchservice", &stream, &found, CEL_FOREVER),
        -EPROTONOSUPPORT);
    struct addrinfo odd = stream;
    odd.ai_socktype = 54321;
    CHECK_EQ(cel_resolve("a.test", "80", &odd, &found, CEL_FOREVER),
             -ESOCKTNOSUPPORT);
    CHECK_PTR(found, &mark);
    return 0;
}

TEST(what_name_servers_refuse_says_why)
{
    run_asking(failing);
}

static int
in_vain(void *arg)
{
    struct addrinfo *found = NULL;

    (void)arg;
    cel_time begin = cel_now();
    CHECK_EQ(cel_resolve("silent.test", "80", &stream, &found,
                         cel_after(50 * CEL_MSEC)),
             -ETIMEDOUT);
    CHECK_GE(cel_now() - begin, 50 * CEL_MSEC);
    CHECK_EQ(cel_resolve("a.test", "80", &stream4, &found, CEL_AT_ONCE),
             -ETIMEDOUT);
    CHECK_PTR(found, NULL);
    /* Nothing is left of them that disturbs others. */
    expect("a.test", &stream4, "192.0.2.1");
    return 0;
}

TEST(a_server_that_never_answers_is_left_at_the_deadline)
{
    run_asking(in_vain);
}

static void
ask_silence(void *arg)
{
    struct addrinfo *found = NULL;

    *(int *)arg = cel_resolve("silent.test", "80", &stream4, &found,
                              CEL_FOREVER);
}

static void
ask_late(void *arg)
{
    (void)arg;
    expect("late.test", &stream4, "192.0.2.1");
}

static int
cancelling(void *arg)
{
    int code = 0;

    (void)arg;
    cel_coro *silent = go(ask_silence, &code);
    cel_coro *late = go(ask_late, NULL);
    while (atomic_load(&seen->silent) == 0) {
        CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    }
    cel_cancel(silent);
    join(silent);
    CHECK_EQ(code, -ECANCELED);
    join(late);
    /* Who is cancelled before it asks is so too. */
    cel_coro *again = go(ask_silence, &code);
    cel_cancel(again);
    join(again);
    CHECK_EQ(code, -ECANCELED);
    return 0;
}

TEST(cancelling_one_look_up_leaves_the_others_alone)
{
    run_asking(cancelling);
}

static int
leaving(void *arg)
{
    static int code;

    (void)arg;
    CHECK_EQ(cel_go(NULL, ask_silence, &code), 0);
    while (atomic_load(&seen->silent) == 0) {
        CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    }
    return 0;
}

TEST(a_run_ends_while_names_are_looked_up)
{
    run_asking(leaving);
}

/* The entries of a folder of /proc/self. */
static int
count(const char *folder)
{
    DIR *dir = opendir(folder);
    int n = 0;

    CHECK(dir != NULL);
    while (readdir(dir) != NULL) {
        n++;
    }
    (void)closedir(dir);
    return n;
}

enum {
    MANY = 1000
};

static int nfound;
static int most_threads;

static void
ask_one(void *arg)
{
    int *n = arg;
    char name[32];
    char addr[32];

    (void)snprintf(name, sizeof(name), "n%d.many.test", *n);
    (void)snprintf(addr, sizeof(addr), "10.0.%d.%d", *n / 256, *n % 256);
    expect(name, &stream4, addr);
    nfound++;
    int threads = count("/proc/self/task");
    if (threads > most_threads) {
        most_threads = threads;
    }
}

static int
many(void *arg)
{
    static int numbers[MANY];
    cel_coro *coros[MANY];
    int threads = count("/proc/self/task");
    int fds = count("/proc/self/fd");

    (void)arg;
    for (int i = 0; i < MANY; i++) {
        numbers[i] = i;
        coros[i] = go(ask_one, &numbers[i]);
    }
    for (int i = 0; i < MANY; i++) {
        join(coros[i]);
    }
    CHECK_EQ(nfound, MANY);
    CHECK_EQ(most_threads, threads);
    CHECK_EQ(count("/proc/self/task"), threads);
    settle();
    CHECK_EQ(count("/proc/self/fd"), fds);
    return 0;
}

TEST(a_thousand_names_at_once_need_no_thread)
{
    run_asking(many);
}

static int
remembering(void *arg)
{
    (void)arg;
    expect("once.test", &stream4, "10.2.0.1");
    unsigned asked = atomic_load(&seen->udp);
    expect("a.test", &stream4, "192.0.2.1");
    CHECK_EQ(atomic_load(&seen->udp), asked + 1);
    for (int i = 0; i < 10; i++) {
        expect(i % 2 == 0 ? "a.test" : "A.Test", &stream4, "192.0.2.1");
    }
    CHECK_EQ(atomic_load(&seen->udp), asked + 1);
    struct addrinfo *found = NULL;
    CHECK_EQ(cel_resolve("a.test", "80", &stream4, &found, CEL_AT_ONCE), 0);
    cel_resolve_free(found);
    /* It said that it lives for a second. */
    CHECK_EQ(cel_sleep(cel_after(1100 * CEL_MSEC)), 0);
    dnsd_mark();
    expect("once.test", &stream4, "10.2.0.2");
    CHECK_EQ(atomic_load(&seen->udp), asked + 2);
    return 0;
}

TEST(an_answer_is_remembered_as_long_as_it_lives)
{
    run_asking(remembering);
}

/* `name` is not there, and that took `n` questions. */
static void
expect_nothing(const char *name, const struct addrinfo *hints, unsigned n)
{
    struct addrinfo *found = NULL;

    dnsd_mark();
    unsigned asked = atomic_load(&seen->udp);
    CHECK_EQ(cel_resolve(name, "80", hints, &found, CEL_FOREVER), -ENOENT);
    CHECK_PTR(found, NULL);
    unsigned more = atomic_load(&seen->udp) - asked;
    if (more != n) {
        FAIL("%s: %u questions, not %u", name, more, n);
    }
}

static int
remembering_nothing(void *arg)
{
    struct addrinfo *found = NULL;

    (void)arg;
    expect_nothing("gone.test", &stream4, 1);
    expect_nothing("GONE.test", &stream4, 0);
    CHECK_EQ(cel_resolve("gone.test", "80", &stream4, &found, CEL_AT_ONCE),
             -ENOENT);
    expect_nothing("gone.test", &stream, 2);
    expect_nothing("gone.test", &stream, 0);
    expect_nothing("nodata.test.", &stream6, 1);
    expect_nothing("nodata.test.", &stream6, 0);
    /* Nobody said for how long. */
    expect_nothing("empty.test", &stream4, 1);
    expect_nothing("empty.test", &stream4, 1);
    expect_nothing("no.nowhere.test", &stream4, 1);
    expect_nothing("no.nowhere.test", &stream4, 1);
    expect_nothing("brief.test", &stream4, 1);
    CHECK_EQ(cel_sleep(cel_after(1100 * CEL_MSEC)), 0);
    expect_nothing("brief.test", &stream4, 1);
    return 0;
}

TEST(that_there_is_nothing_is_remembered_as_long_as_the_zone_says)
{
    run_asking(remembering_nothing);
}

static int
searching(void *arg)
{
    (void)arg;
    /* One dot is fewer than two: the list comes first. */
    expect("a.www", &stream4, "192.0.2.1");
    CHECK_EQ(atomic_load(&seen->udp), 2);
    /* Two are enough to be asked for as it is. */
    expect("a.www.test", &stream4, "192.0.2.1");
    CHECK_EQ(atomic_load(&seen->udp), 3);
    return 0;
}

TEST(short_names_are_searched_for)
{
    if (CEL__HAVE_ARES) {
        seen = dnsd_start();
        CHECK_EQ(setenv("LOCALDOMAIN", "nowhere.test somewhere.test", 1), 0);
        CHECK_EQ(setenv("RES_OPTIONS", "ndots:2", 1), 0);
        run(searching);
    }
    else {
        SKIP("built without c-ares");
    }
}

static int
in_hosts(void *arg)
{
    (void)arg;
    expect("local.name", &stream4, "127.0.0.7");
    CHECK_EQ(atomic_load(&seen->udp), 0);
    return 0;
}

TEST(the_hosts_file_comes_before_name_servers)
{
    const char *path = tap_save("hosts", "127.0.0.7 local.name\n");

    CHECK_EQ(setenv("CARES_HOSTS", path, 1), 0);
    run_asking(in_hosts);
}

static void
ask_and_mark(void *arg)
{
    ask_late(NULL);
    *(bool *)arg = true;
}

static int
forking(void *arg)
{
    bool found = false;
    int status = 0;

    (void)arg;
    expect("a.test", &stream4, "192.0.2.1");
    cel_coro *late = go(ask_and_mark, &found);
    while (atomic_load(&seen->udp) < 2) {
        CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    }
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    /* Each asks for itself, by sockets of its own. */
    join(late);
    CHECK(found);
    expect("n7.test", &stream4, "10.0.0.7");
    if (pid == 0) {
        return 0;
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(atomic_load(&seen->udp), 5);
    return 0;
}

TEST(a_child_asks_again_what_its_parent_has_asked)
{
    if (CEL__TSAN) {
        SKIP("ThreadSanitizer can't follow coroutines into a child");
    }
    run_asking(forking);
}
