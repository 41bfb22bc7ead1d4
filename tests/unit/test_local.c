/* SPDX-License-Identifier: MIT */
/*
 * A coroutine's own values, what it defers, and leaving early.
 */
#include "celadon/local.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "celadon/gen.h"
#include "coros.h"

static char trace[64];

static void
note(void *what)
{
    size_t len = strlen(trace);

    CHECK_LT(len, sizeof(trace) - 1);
    trace[len] = *(const char *)what;
}

static char a[] = "a";
static char b[] = "b";
static char c[] = "c";

static cel_key keys[2];

TEST(outside_of_a_coroutine_there_are_no_values)
{
    cel_key key;

    CHECK_EQ(cel_key_open(&key, NULL), 0);
    CHECK_EQ(cel_local_set(key, a), -EPERM);
    CHECK_PTR(cel_local_get(key), NULL);
    CHECK_EQ(cel_defer(note, a), -EPERM);
    CHECK_EQ(cel_undefer(0), -EPERM);
    CHECK_EQ(cel_exit(0), -EPERM);
    cel_key_close(key);
}

static void
set_values(void *arg)
{
    CHECK_PTR(cel_local_get(keys[0]), NULL);
    CHECK_EQ(cel_local_set(keys[0], arg), 0);
    CHECK_EQ(cel_local_set(keys[1], c), 0);
    (void)cel_yield();
    CHECK_PTR(cel_local_get(keys[0]), arg);
    CHECK_EQ(cel_local_set(keys[1], NULL), 0); /* nothing to destroy */
}

static int
own_values(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_key_open(&keys[0], note), 0);
    CHECK_EQ(cel_key_open(&keys[1], note), 0);
    cel_coro *one = go(set_values, a);
    cel_coro *two = go(set_values, b);
    CHECK_EQ(cel_local_set(keys[0], c), 0);
    join(one);
    CHECK_PTR(cel_local_get(keys[0]), c);
    join(two);
    if (!CEL__HARD) {
        CHECK_STR(trace, "ab");
    }
    return 0;
}

TEST(each_coroutine_has_values_of_its_own)
{
    run(own_values);
    CHECK_EQ(strlen(trace), 3);
    CHECK_EQ(trace[2], 'c'); /* the first coroutine's, at the end of the run */
}

static int
many_keys(void *arg)
{
    cel_key many[256];
    cel_key one_more;

    (void)arg;
    for (int i = 0; i < 256; i++) {
        CHECK_EQ(cel_key_open(&many[i], NULL), 0);
        CHECK_EQ(cel_local_set(many[i], &many[i]), 0);
    }
    CHECK_EQ(cel_key_open(&one_more, NULL), -EAGAIN);
    for (int i = 0; i < 256; i++) {
        CHECK_PTR(cel_local_get(many[i]), &many[i]);
    }
    cel_key_close(many[7]);
    cel_key_close(many[7]);
    CHECK_PTR(cel_local_get(many[7]), NULL);
    CHECK_EQ(cel_local_set(many[7], a), -EINVAL);
    CHECK_EQ(cel_key_open(&one_more, NULL), 0);
    CHECK_PTR(cel_local_get(one_more), NULL); /* not the old one's */
    CHECK_EQ(cel_local_set(one_more, a), 0);
    CHECK_PTR(cel_local_get(one_more), a);
    CHECK_EQ(cel_local_set(many[7], b), -EINVAL);
    return 0;
}

TEST(a_closed_key_has_no_values)
{
    run(many_keys);
}

static int ndestroyed;

static void
set_again(void *value)
{
    ndestroyed++;
    CHECK_EQ(cel_local_set(keys[0], value), 0);
}

static void
set_once(void *arg)
{
    CHECK_EQ(cel_local_set(keys[0], arg), 0);
}

static int
never_ending(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_key_open(&keys[0], set_again), 0);
    join(go(set_once, a));
    return 0;
}

TEST(destructors_that_set_values_do_not_go_on_for_ever)
{
    run(never_ending);
    CHECK_GT(ndestroyed, 1);
    CHECK_LT(ndestroyed, 10);
}

static void
defer_some(void *arg)
{
    CHECK_EQ(cel_undefer(1), -ENOENT);
    CHECK_EQ(cel_defer(note, a), 0);
    CHECK_EQ(cel_defer(note, b), 0);
    CHECK_EQ(cel_defer(note, c), 0);
    CHECK_EQ(cel_undefer(0), 0);
    CHECK_EQ(cel_sleep(CEL_FOREVER), -ECANCELED);
    if (arg != NULL) {
        (void)cel_exit(0);
        FAIL("it goes on");
    }
    CHECK_EQ(cel_undefer(1), 0);
}

static int
defers(void *arg)
{
    cel_coro *coro = go(defer_some, arg);

    settle();
    CHECK_STR(trace, "");
    cel_cancel(coro);
    join(coro);
    CHECK_STR(trace, "ba");
    CHECK_EQ(cel_defer(note, c), 0);
    return 0;
}

TEST(what_was_deferred_is_called_backwards)
{
    run(defers);
    CHECK_STR(trace, "bac");
}

static int
defers_and_exits(void *arg)
{
    (void)arg;
    return defers(a);
}

TEST(leaving_early_calls_what_was_deferred)
{
    run(defers_and_exits);
    CHECK_STR(trace, "bac");
}

/* Leave from some depth, with the stack in use. */
static int
leave_from(int depth)
{
    volatile char frame[200];

    frame[0] = (char)depth;
    if (depth == 0) {
        return cel_exit(5);
    }
    return leave_from(depth - 1) + frame[0];
}

static void
leave(void *arg)
{
    (void)arg;
    (void)cel_yield();
    (void)leave_from(20);
}

static void
generate(cel_gen *gen, void *arg)
{
    CHECK_EQ(cel_gen_yield(gen, arg, NULL), 1);
    (void)cel_exit(0);
}

static int
leave_early(void *arg)
{
    cel_gen *gen;
    void *value;

    (void)arg;
    CHECK_EQ(cel_exit(0), -EPERM); /* the first one returns */
    for (int i = 0; i < 1000; i++) {
        cel_coro *one = go(leave, NULL);
        CHECK_EQ(cel_go(NULL, leave, NULL), 0);
        join(one);
    }
    CHECK_EQ(cel_gen_open(&gen, generate, a), 0);
    CHECK_EQ(cel_gen_send(gen, NULL, &value), 1);
    CHECK_PTR(value, a);
    CHECK_EQ(cel_gen_send(gen, NULL, &value), 0);
    cel_gen_close(gen);
    return 0;
}

TEST(a_coroutine_may_end_however_deep_it_is)
{
    run(leave_early);
}

/* ---- keys */

#define NTHREADS 4
#define NKEYS    64 /* a thread's share of all there are */
#define ROUNDS   20

static cel_key all[NTHREADS * NKEYS];
static pthread_barrier_t barrier; /* all are open; all have been looked at */

static void *
open_and_close(void *arg)
{
    cel_key *mine = arg;

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < NKEYS; i++) {
            CHECK_EQ(cel_key_open(&mine[i], NULL), 0);
        }
        (void)pthread_barrier_wait(&barrier);
        (void)pthread_barrier_wait(&barrier);
        for (int i = 0; i < NKEYS; i++) {
            cel_key_close(mine[i]);
        }
        (void)pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static void
check_distinct(void)
{
    for (int i = 0; i < NTHREADS * NKEYS; i++) {
        for (int j = 0; j < i; j++) {
            CHECK_NE(all[i], all[j]);
        }
    }
}

TEST(threads_get_keys_of_their_own)
{
    pthread_t threads[NTHREADS];
    cel_key more;

    CHECK_EQ(pthread_barrier_init(&barrier, NULL, NTHREADS + 1), 0);
    for (size_t i = 0; i < NTHREADS; i++) {
        CHECK_EQ(
            pthread_create(&threads[i], NULL, open_and_close, &all[i * NKEYS]),
            0);
    }
    for (int round = 0; round < ROUNDS; round++) {
        (void)pthread_barrier_wait(&barrier);
        check_distinct();
        CHECK_EQ(cel_key_open(&more, NULL), -EAGAIN);
        (void)pthread_barrier_wait(&barrier);
        (void)pthread_barrier_wait(&barrier);
    }
    for (int i = 0; i < NTHREADS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    cel_key_close(all[0]); /* of an older generation */
    CHECK_EQ(cel_key_open(&more, NULL), 0);
    CHECK_NE(more, all[0]);
}
