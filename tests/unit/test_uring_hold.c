/* SPDX-License-Identifier: MIT */
/*
 * Files that io_uring holds: they are let go of wherever they must.
 */
#include "io/uring.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/loop.h"
#include "ops.h"
#include "sockets.h"

enum {
    MANY = 40 /* exchanges, after which a file is held */
};

static struct cel__loop loop;

static void
open_loop(void)
{
    if (tap_valgrind()) {
        SKIP("valgrind does not know what io_uring writes");
    }
    CHECK_EQ(setenv("CELADON_URING_EVENTS", "0", 1), 0);
    int err = cel__loop_open(&loop, "uring");
    if (err == -ENOSYS) {
        SKIP(loop.reason);
    }
    CHECK_EQ(err, 0);
    if (!((struct cel__uring *)loop.state)->ring.listed) {
        cel__loop_close(&loop);
        SKIP("this kernel's rings let go of files too late");
    }
}

static bool
is_held(int fd)
{
    const struct cel__fd *entry = cel__fd_find(&loop.fds, fd);

    return entry != NULL && entry->held;
}

/* Receive `byte` over the pair as often as it takes. */
static void
exchange(const int fds[2], char byte)
{
    struct job job;

    for (int i = 0; i < MANY; i++) {
        const char text[2] = {byte, '\0'};
        job_wait_recv(&loop, &job, fds[0], 1);
        put(fds[1], text);
        job_finish(&loop, &job);
        CHECK_EQ(job.op.result, 1);
        CHECK_EQ(job.bytes[0], byte);
    }
}

/* An owned connection whose file is held, and its peer. */
static void
held_pair(int fds[2])
{
    tcp_pair(fds);
    cel__loop_own(&loop, fds[0]);
    exchange(fds, 'x');
    CHECK(is_held(fds[0]));
}

/* A connection with `number` for its own end. */
static void
pair_at(int number, int fds[2])
{
    tcp_pair(fds);
    if (fds[1] == number) {
        fds[1] = fds[0];
        fds[0] = number;
    }
    else if (fds[0] != number) {
        CHECK_EQ(dup2(fds[0], number), number);
        close(fds[0]);
        fds[0] = number;
    }
}

TEST(what_is_forgotten_and_closed_ends)
{
    int fds[2];

    open_loop();
    held_pair(fds);
    cel__loop_forget(&loop, fds[0], -ECANCELED);
    CHECK(!is_held(fds[0]));
    close(fds[0]);
    CHECK(stream_ends(fds[1]));
    cel__loop_close(&loop);
}

TEST(the_next_of_a_number_is_not_taken_for_the_last)
{
    int old[2];
    int new[2];

    open_loop();
    held_pair(old);
    cel__loop_forget(&loop, old[0], -ECANCELED);
    close(old[0]);
    pair_at(old[0], new);
    cel__loop_own(&loop, new[0]);
    exchange(new, 'y');
    CHECK(is_held(new[0]));
    CHECK(stream_ends(old[1]));
    cel__loop_close(&loop);
}

TEST(one_closed_behind_our_back_ends_when_its_number_is_owned_again)
{
    int old[2];
    int new[2];

    open_loop();
    held_pair(old);
    close(old[0]);
    pair_at(old[0], new);
    cel__loop_own(&loop, new[0]);
    CHECK(stream_ends(old[1]));
    exchange(new, 'y');
    cel__loop_close(&loop);
}

TEST(while_one_cannot_be_let_go_of_its_number_is_not_owned)
{
    int old[2];
    int new[2];

    open_loop();
    struct cel__uring *state = loop.state;
    held_pair(old);
    int ring = state->ring.fd;
    close(old[0]);
    state->ring.fd = old[1]; /* no ring: it refuses */
    pair_at(old[0], new);
    cel__loop_own(&loop, new[0]);
    CHECK(!cel__loop_owns(&loop, new[0]));
    state->ring.fd = ring;
    CHECK_EQ(cel__loop_poll(&loop, CEL_MSEC), 0);
    CHECK(stream_ends(old[1]));
    exchange(new, 'y');
    cel__loop_own(&loop, new[0]);
    CHECK(cel__loop_owns(&loop, new[0]));
    exchange(new, 'z');
    cel__loop_close(&loop);
}

static void *
forget(void *arg)
{
    cel__loop_forget(&loop, *(int *)arg, -ECANCELED);
    return NULL;
}

TEST(what_another_thread_forgets_ends_with_the_next_poll)
{
    pthread_t thread;
    int fds[2];
    struct job job;

    open_loop();
    held_pair(fds);
    CHECK_EQ(pthread_create(&thread, NULL, forget, &fds[0]), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    close(fds[0]);
    /* Something to poll for. */
    int other[2];
    tcp_pair(other);
    cel__loop_own(&loop, other[0]);
    job_wait_recv(&loop, &job, other[0], 1);
    CHECK_EQ(cel__loop_poll(&loop, CEL_FOREVER), 0);
    CHECK(stream_ends(fds[1]));
    cel__loop_cancel(&loop, &job.op, -ECANCELED);
    cel__loop_close(&loop);
}

TEST(a_closed_loop_holds_nothing)
{
    int fds[2];

    open_loop();
    /* The end of such a stream is told before close() returns. */
    unix_pair(fds);
    cel__loop_own(&loop, fds[0]);
    exchange(fds, 'x');
    CHECK(is_held(fds[0]));
    cel__loop_close(&loop);
    close(fds[0]);
    struct pollfd look = {fds[1], POLLIN, 0};
    CHECK_EQ(poll(&look, 1, 0), 1);
}

/* A child that lives on, and knows nothing of rings, until `fd` ends. */
static void
live_on(int fd, int mine)
{
    char byte;

    close(mine);
    (void)!read(fd, &byte, 1);
    _exit(0);
}

TEST(a_child_does_not_keep_what_its_dead_parent_held)
{
    int life[2];
    int fds[2];
    int status;

    open_loop();
    cel__loop_close(&loop);
    CHECK_EQ(pipe(life), 0);
    tcp_pair(fds);
    pid_t server = fork();
    CHECK_GE(server, 0);
    if (server == 0) {
        open_loop();
        /* One child from before it is held, one from after. */
        if (fork() == 0) {
            close(fds[0]);
            live_on(life[0], life[1]);
        }
        cel__loop_own(&loop, fds[0]);
        exchange(fds, 'x');
        CHECK(is_held(fds[0]));
        if (fork() == 0) {
            close(fds[0]);
            live_on(life[0], life[1]);
        }
        _exit(0);
    }
    close(fds[0]);
    CHECK_EQ(waitpid(server, &status, 0), server);
    CHECK_EQ(status, 0);
    CHECK(stream_ends(fds[1]));
    close(life[1]);
}

TEST(a_child_holds_by_a_ring_of_its_own)
{
    int fds[2];
    int status;

    open_loop();
    held_pair(fds);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        exchange(fds, 'y');
        CHECK(is_held(fds[0]));
        cel__loop_close(&loop);
        exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    exchange(fds, 'z');
    cel__loop_close(&loop);
}
