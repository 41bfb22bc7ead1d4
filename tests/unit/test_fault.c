/* SPDX-License-Identifier: MIT */
/* Faults and dice, in hard builds; that they are nothing in others. */
#include "fault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/sys.h"
#include "base/sys_memory.h"
#include "sockets.h"

static void
only_hard(const char *fault)
{
    if (!CEL__HARD) {
        SKIP("not a hard build");
    }
    CHECK_EQ(setenv("CELADON_FAULT", fault, 1), 0);
}

TEST(without_a_fault_asked_for_calls_succeed)
{
    CHECK_EQ(unsetenv("CELADON_FAULT"), 0);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(cel__fault("recv"), 0);
    }
}

TEST(the_nth_call_of_that_name_fails_and_no_other)
{
    only_hard("recv:3:ECONNRESET");
    CHECK_EQ(cel__fault("recv"), 0);
    CHECK_EQ(cel__fault("send"), 0);
    CHECK_EQ(cel__fault("recv"), 0);
    CHECK_EQ(cel__fault("send"), 0);
    CHECK(!CEL__HARD || cel__fault_pending());
    CHECK_EQ(cel__fault("recv"), ECONNRESET);
    CHECK(!CEL__HARD || !cel__fault_pending());
    CHECK_EQ(cel__fault("recv"), 0);
}

TEST(a_star_counts_every_call)
{
    only_hard("*:2:ENOMEM");
    CHECK_EQ(cel__fault("recv"), 0);
    CHECK_EQ(cel__fault("malloc"), ENOMEM);
}

TEST(an_error_may_be_a_number)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "x:1:%d", EXDEV);
    only_hard(text);
    CHECK_EQ(cel__fault("x"), EXDEV);
}

TEST(a_system_call_fails_as_asked_without_being_made)
{
    only_hard("read:1:EIO");
    char byte = 'x';

    CHECK_EQ(cel__sys_read(-1, &byte, 1), -EIO);
    CHECK_EQ(cel__sys_read(-1, &byte, 1), -EBADF);
}

TEST(an_interrupted_call_is_made_again_but_a_poll_is_not)
{
    only_hard("*:1:EINTR");
    char byte;
    CHECK_EQ(cel__sys_read(-1, &byte, 1), -EBADF);
}

TEST(an_interrupted_poll_says_so)
{
    only_hard("poll:1:EINTR");
    CHECK_EQ(cel__sys_poll(NULL, 0, 0), -EINTR);
    CHECK_EQ(cel__sys_poll(NULL, 0, 0), 0);
}

TEST(an_interrupted_connect_goes_on)
{
    struct sockaddr_in in;

    only_hard("connect:1:EINTR");
    int listener = tcp_listener(&in);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    const struct sockaddr *addr = (const struct sockaddr *)&in;
    CHECK_EQ(cel__sys_connect(fd, addr, sizeof(in)), -EINPROGRESS);
    int conn = accept(listener, NULL, NULL);
    CHECK_GE(conn, 0);
    CHECK_EQ(close(conn), 0);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(close(listener), 0);
}

TEST(a_failing_close_closes_all_the_same)
{
    int fds[2];

    only_hard("close:1:EIO");
    CHECK_EQ(cel__sys_pipe2(fds, O_CLOEXEC), 0);
    CHECK_EQ(cel__sys_close(fds[0]), -EIO);
    CHECK_EQ(cel__sys_close(fds[0]), -EBADF);
    CHECK_EQ(cel__sys_close(fds[1]), 0);
}

TEST(the_dice_are_the_same_for_the_same_seed)
{
    /* The first throws of CELADON_SEED=1, and that all sides are seen. */
    bool seen[6] = {false};

    if (!CEL__HARD) {
        CHECK_EQ(cel__dice(6), 0);
        SKIP("not a hard build");
    }
    CHECK_EQ(setenv("CELADON_SEED", "1", 1), 0);
    CHECK_EQ(cel__dice(1000), 493);
    CHECK_EQ(cel__dice(1000), 436);
    for (int i = 0; i < 200; i++) {
        seen[cel__dice(6)] = true;
    }
    for (int i = 0; i < 6; i++) {
        CHECK(seen[i]);
    }
    CHECK_EQ(cel__dice(0), 0);
}
