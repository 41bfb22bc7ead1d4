/* SPDX-License-Identifier: MIT */
/*
 * Groups of coroutines that end together.
 */
#include "celadon/group.h"

#include <errno.h>
#include <pthread.h>

#include "celadon/local.h"
#include "celadon/scope.h"
#include "celadon/sync.h"
#include "coros.h"

static int nended;

static int
return_number(void *arg)
{
    int number = *(const int *)arg;
    int code = cel_yield();

    nended++;
    return code < 0 ? code : number;
}

static int
sleep_on(void *arg)
{
    int code = cel_sleep(CEL_FOREVER);

    if (arg != NULL) {
        *(int *)arg = code;
    }
    nended++;
    return code;
}

static cel_group *
open_group(unsigned flags)
{
    cel_group *group;

    CHECK_EQ(cel_group_open(&group, flags), 0);
    return group;
}

TEST(outside_of_a_coroutine_groups_have_no_members)
{
    static int zero;
    cel_group *group;

    CHECK_EQ(cel_group_open(&group, 2), -EINVAL);
    group = open_group(0);
    CHECK_EQ(cel_group_go(group, return_number, &zero), -EPERM);
    CHECK_EQ(cel_group_wait(group, CEL_FOREVER), 0);
    CHECK_EQ(cel_group_close(group), 0);
    CHECK_EQ(cel_group_close(NULL), 0);
}

static int
wait_for_all(void *arg)
{
    int numbers[100] = {0};
    cel_group *group = open_group(0);

    (void)arg;
    for (int i = 0; i < 100; i++) {
        numbers[i] = i;
        CHECK_EQ(cel_group_go(group, return_number, &numbers[i]), 0);
    }
    CHECK_EQ(cel_group_wait(group, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_group_wait(group, CEL_FOREVER), 0);
    CHECK_EQ(nended, 100);
    CHECK_EQ(cel_group_error(group), 0);
    /* It may be used again. */
    CHECK_EQ(cel_group_go(group, return_number, &numbers[0]), 0);
    CHECK_EQ(cel_group_wait(group, CEL_FOREVER), 0);
    CHECK_EQ(nended, 101);
    CHECK_EQ(cel_group_close(group), 0);
    return 0;
}

TEST(a_group_ends_when_its_members_have)
{
    run(wait_for_all);
}

static int
fail_one(void *arg)
{
    int bad = -EIO;
    int code = 0;
    cel_group *group = open_group(0);

    (void)arg;
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(cel_group_go(group, sleep_on, &code), 0);
    }
    CHECK_EQ(cel_group_go(group, return_number, &bad), 0);
    CHECK_EQ(cel_group_wait(group, CEL_FOREVER), 0);
    CHECK_EQ(nended, 11);
    CHECK_EQ(code, -ECANCELED);
    CHECK_EQ(cel_group_error(group), -EIO);
    CHECK_EQ(cel_group_go(group, sleep_on, NULL), -ECANCELED);
    CHECK_EQ(cel_group_close(group), -EIO);
    return 0;
}

TEST(a_failure_cancels_the_others_and_is_kept)
{
    run(fail_one);
}

static int
keep_going(void *arg)
{
    int numbers[3] = {-EIO, -EBADF, 0};
    cel_group *group = open_group(CEL_GROUP_KEEP_GOING);

    (void)arg;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(cel_group_go(group, return_number, &numbers[i]), 0);
        CHECK_EQ(cel_group_wait(group, CEL_FOREVER), 0);
    }
    CHECK_EQ(cel_group_close(group), -EIO);
    return 0;
}

TEST(a_group_may_go_on_after_a_failure)
{
    run(keep_going);
}

static int
cancel_all(void *arg)
{
    int codes[3] = {0};
    cel_group *group = open_group(0);

    (void)arg;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(cel_group_go(group, sleep_on, &codes[i]), 0);
        if (i < 2) {
            settle(); /* the last has not run when it is cancelled */
        }
    }
    CHECK_EQ(cel_group_wait(group, cel_after(CEL_MSEC)), -ETIMEDOUT);
    CHECK_EQ(cel_group_go(group, sleep_on, &codes[2]), 0);
    cel_group_cancel(group);
    cel_group_cancel(group);
    CHECK_EQ(cel_group_wait(group, CEL_FOREVER), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(codes[i], -ECANCELED);
    }
    CHECK_EQ(cel_group_close(group), 0); /* it was asked for: no failure */
    return 0;
}

TEST(cancelling_a_group_cancels_its_members)
{
    run(cancel_all);
}

static void
close_cancelled(void *arg)
{
    cel_group *group = open_group(0);

    (void)arg;
    CHECK_EQ(cel_group_go(group, sleep_on, NULL), 0);
    CHECK_EQ(cel_group_wait(group, CEL_FOREVER), -ECANCELED);
    CHECK_EQ(nended, 0);
    CHECK_EQ(cel_group_close(group), 0);
    CHECK_EQ(nended, 1);
}

static int
cancel_the_owner(void *arg)
{
    (void)arg;
    cel_coro *coro = go(close_cancelled, NULL);
    settle();
    cel_cancel(coro);
    join(coro);
    return 0;
}

TEST(a_cancelled_owner_still_waits_for_the_members)
{
    run(cancel_the_owner);
}

static int
wait_for_myself(void *arg)
{
    return cel_group_wait(arg, CEL_FOREVER);
}

static int
exit_early(void *arg)
{
    (void)cel_exit(*(const int *)arg);
    return 0;
}

static int
odd_ends(void *arg)
{
    int bad = -EBADF;

    (void)arg;
    cel_group *group = open_group(CEL_GROUP_KEEP_GOING);
    CHECK_EQ(cel_group_go(group, wait_for_myself, group), 0);
    CHECK_EQ(cel_group_wait(group, CEL_FOREVER), 0);
    CHECK_EQ(cel_group_close(group), -EDEADLK);
    group = open_group(0);
    CHECK_EQ(cel_group_go(group, exit_early, &bad), 0);
    CHECK_EQ(cel_group_wait(group, CEL_FOREVER), 0);
    CHECK_EQ(cel_group_close(group), -EBADF);
    return 0;
}

TEST(a_member_may_exit_and_may_not_wait_for_itself)
{
    run(odd_ends);
}

static int
inherit(void *arg)
{
    cel_scope scope;
    int code = 0;

    (void)arg;
    CHECK_EQ(cel_scope_enter(&scope, cel_after(CEL_MSEC)), 0);
    cel_group *group = open_group(0);
    CHECK_EQ(cel_scope_leave(&scope), 0);
    CHECK_EQ(cel_group_go(group, sleep_on, &code), 0);
    CHECK_EQ(cel_group_wait(group, CEL_FOREVER), 0);
    CHECK_EQ(code, -ETIMEDOUT);
    CHECK_EQ(cel_group_close(group), -ETIMEDOUT);
    return 0;
}

TEST(members_are_bounded_by_the_scope_of_the_group)
{
    run(inherit);
}

static void *
cancel_from_outside(void *arg)
{
    cel_group_cancel(arg);
    return NULL;
}

static int
cancel_by_thread(void *arg)
{
    pthread_t thread;

    (void)arg;
    for (int i = 0; i < 50; i++) {
        cel_group *group = open_group(0);
        for (int k = 0; k < 5; k++) {
            CHECK_EQ(cel_group_go(group, sleep_on, NULL), 0);
        }
        CHECK_EQ(pthread_create(&thread, NULL, cancel_from_outside, group), 0);
        CHECK_EQ(cel_group_wait(group, CEL_FOREVER), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        CHECK_EQ(cel_group_close(group), 0);
    }
    CHECK_EQ(nended, 250);
    return 0;
}

TEST(another_thread_may_cancel_a_group)
{
    run(cancel_by_thread);
}
