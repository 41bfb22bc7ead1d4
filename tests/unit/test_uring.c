/* SPDX-License-Identifier: MIT */
/*
 * io_uring: being refused it, requests under way, cancelling, forgetting.
 */
#include "io/uring.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "io/loop.h"
#include "ops.h"
#include "sockets.h"

static struct cel__loop loop;

/* A loop that makes requests where a turn brings `events`, "0": always. */
static void
open_loop_from(const char *events)
{
    if (tap_valgrind()) {
        SKIP("valgrind does not know what io_uring writes");
    }
    CHECK_EQ(setenv("CELADON_URING_EVENTS", events, 1), 0);
    int err = cel__loop_open(&loop, "uring");
    if (err == -ENOSYS) {
        SKIP(loop.reason);
    }
    CHECK_EQ(err, 0);
}

static void
open_loop(void)
{
    open_loop_from("0");
}

static size_t
nposted(void)
{
    const struct cel__uring *state = loop.state;

    return state->nposted;
}

/* An owned connection, and its peer. */
static void
owned_pair(int fds[2])
{
    tcp_pair(fds);
    cel__loop_own(&loop, fds[0]);
}

/* A receive that is in the kernel. */
static void
post_recv(struct job *job, int fd, size_t len)
{
    job_wait_recv(&loop, job, fd, len);
    CHECK(job->op.posted);
    CHECK_EQ(cel__loop_poll(&loop, 0), 0);
    CHECK_EQ(job->ndone, 0);
}

/* From now on io_uring_setup() does what `action` says. */
static void
forbid(uint32_t action)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof(code) / sizeof(code[0]), code};

    if (tap_valgrind()) {
        SKIP("valgrind does not let a child share its memory");
    }
    if (CEL__TSAN) {
        SKIP("ThreadSanitizer can't follow a child that shares its memory");
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        SKIP("seccomp is not to be had");
    }
}

static void
check_refused(const char *why)
{
    CHECK_EQ(cel__loop_open(&loop, "uring"), -ENOSYS);
    CHECK(strstr(loop.reason, why) != NULL);
    CHECK_EQ(unsetenv("CELADON_BACKEND"), 0);
    CHECK_EQ(cel__loop_open(&loop, NULL), 0);
    CHECK_STR(loop.backend->name, "epoll");
    cel__loop_close(&loop);
}

TEST(where_it_is_forbidden_the_reason_is_told)
{
    forbid(SECCOMP_RET_ERRNO | EPERM);
    check_refused("forbidden");
}

TEST(where_it_is_unknown_the_reason_is_told)
{
    forbid(SECCOMP_RET_ERRNO | ENOSYS);
    check_refused("does not have it");
}

TEST(an_old_kernel_is_told_by_its_refusal)
{
    forbid(SECCOMP_RET_ERRNO | EINVAL);
    check_refused("older");
}

TEST(a_filter_that_kills_is_survived)
{
    forbid(SECCOMP_RET_KILL_PROCESS);
    check_refused("kills");
}

TEST(many_rings_in_turn_are_one_ring_s_locked_memory)
{
    const struct rlimit few = {131072, 131072};

    open_loop_from("0");
    cel__loop_close(&loop);
    CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &few), 0);
    /* The limit is none of root's, and all that a user has counts. */
    if (geteuid() == 0) {
        CHECK_EQ(setuid(20000 + (uid_t)getpid() % 40000), 0);
    }
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(cel__loop_open(&loop, "uring"), 0);
        cel__loop_close(&loop);
    }
}

TEST(there_is_no_reason_where_it_is_had)
{
    open_loop();
    CHECK_STR(loop.backend->name, "uring");
    CHECK(loop.reason == NULL);
    cel__loop_close(&loop);
}

TEST(a_receive_is_made_by_the_kernel)
{
    struct job job;
    int fds[2];

    open_loop();
    owned_pair(fds);
    post_recv(&job, fds[0], 64);
    CHECK_EQ(nposted(), 1);
    put(fds[1], "x");
    job_finish(&loop, &job);
    CHECK_EQ(job.op.result, 1);
    CHECK_EQ(job.bytes[0], 'x');
    CHECK_EQ(nposted(), 0);
    cel__loop_close(&loop);
}

TEST(a_cancelled_receive_leaves_its_buffer_alone)
{
    struct job job;
    struct job next;
    int fds[2];

    open_loop();
    owned_pair(fds);
    for (int submitted = 0; submitted < 2; submitted++) {
        if (submitted) {
            post_recv(&job, fds[0], 64);
        }
        else {
            job_wait_recv(&loop, &job, fds[0], 64);
        }
        cel__loop_cancel(&loop, &job.op, -ETIMEDOUT);
        CHECK_EQ(job.ndone, 1);
        CHECK_EQ(job.op.result, -ETIMEDOUT);
        CHECK_EQ(nposted(), 0);
        put(fds[1], "x");
        settle(&loop);
        CHECK_EQ(job.bytes[0], 0);
        CHECK_EQ(get(&loop, &next, fds[0], 64), 1);
    }
    cel__loop_close(&loop);
}

TEST(what_a_cancelled_receive_took_is_delivered)
{
    struct job job;
    int fds[2];

    open_loop();
    owned_pair(fds);
    post_recv(&job, fds[0], 64);
    put(fds[1], "abc");
    usleep(1000);
    /* Whether the kernel made the call before or not: nothing is lost. */
    cel__loop_cancel(&loop, &job.op, -ECANCELED);
    CHECK_EQ(job.ndone, 1);
    if (job.op.result == -ECANCELED) {
        get(&loop, &job, fds[0], 64);
    }
    CHECK_GT(job.op.result, 0);
    CHECK_EQ(job.bytes[0], 'a');
    cel__loop_close(&loop);
}

TEST(one_that_ended_unseen_keeps_its_result)
{
    struct cel__uring *state;
    struct job job;
    int fds[2];

    open_loop();
    state = loop.state;
    owned_pair(fds);
    post_recv(&job, fds[0], 64);
    put(fds[1], "a");
    for (int i = 0; i < 1000 && !cel__uring_ring_has_some(&state->ring); i++) {
        usleep(100);
        CHECK_GE(cel__uring_ring_enter(&state->ring, 0, 0), 0);
    }
    cel__loop_cancel(&loop, &job.op, -ECANCELED);
    CHECK_EQ(job.ndone, 1);
    CHECK_EQ(job.op.result, 1);
    settle(&loop);
    CHECK_EQ(job.ndone, 1);
    cel__loop_close(&loop);
}

TEST(forgetting_lets_the_end_of_the_stream_go_out)
{
    struct job job;
    int fds[2];

    open_loop();
    owned_pair(fds);
    post_recv(&job, fds[0], 64);
    cel__loop_forget(&loop, fds[0], -EBADF);
    CHECK_EQ(job.op.result, -EBADF);
    CHECK_EQ(close(fds[0]), 0);
    CHECK(stream_ends(fds[1]));
    cel__loop_close(&loop);
}

/* What an embedder's lock does: whoever is not asleep holds it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void
let_go(struct cel__loop *self)
{
    (void)self;
    pthread_mutex_unlock(&lock);
}

static void
take_again(struct cel__loop *self)
{
    (void)self;
    pthread_mutex_lock(&lock);
}

static void *
forget_soon(void *arg)
{
    usleep(20000);
    pthread_mutex_lock(&lock);
    cel__loop_forget(&loop, *(int *)arg, -EBADF);
    CHECK_EQ(close(*(int *)arg), 0);
    pthread_mutex_unlock(&lock);
    return NULL;
}

TEST(another_thread_may_forget_while_the_owner_sleeps)
{
    struct job job;
    pthread_t thread;
    int fds[2];

    open_loop();
    owned_pair(fds);
    loop.before_sleep = let_go;
    loop.after_sleep = take_again;
    pthread_mutex_lock(&lock);
    post_recv(&job, fds[0], 64);
    CHECK_EQ(pthread_create(&thread, NULL, forget_soon, &fds[0]), 0);
    while (job.ndone == 0) {
        CHECK_EQ(cel__loop_poll(&loop, CEL_FOREVER), 0);
    }
    CHECK_EQ(job.op.result, -EBADF);
    CHECK_EQ(nposted(), 0);
    CHECK(stream_ends(fds[1]));
    pthread_mutex_unlock(&lock);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    cel__loop_close(&loop);
}

TEST(a_sleep_beside_a_request_ends_in_time)
{
    struct job job;
    int fds[2];

    open_loop();
    owned_pair(fds);
    for (int submitted = 0; submitted < 2; submitted++) {
        if (submitted) {
            post_recv(&job, fds[0], 64);
        }
        else {
            job_wait_recv(&loop, &job, fds[0], 64);
        }
        cel_time begin = cel_now();
        CHECK_EQ(cel__loop_poll(&loop, 3 * CEL_MSEC / 2), 0);
        CHECK_GE(cel_now() - begin, 3 * CEL_MSEC / 2);
        cel__loop_cancel(&loop, &job.op, -ECANCELED);
    }
    cel__loop_close(&loop);
}

static void
ignore(int signal)
{
    (void)signal;
}

TEST(a_signal_ends_a_sleep_beside_a_request)
{
    struct sigaction action = {.sa_handler = ignore};
    struct job job;
    int fds[2];

    open_loop();
    owned_pair(fds);
    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
    for (int submitted = 0; submitted < 2; submitted++) {
        if (submitted) {
            post_recv(&job, fds[0], 64);
        }
        else {
            job_wait_recv(&loop, &job, fds[0], 64);
        }
        ualarm(20000, 0);
        CHECK_EQ(cel__loop_poll(&loop, submitted ? CEL_FOREVER : CEL_SEC),
                 -EINTR);
        cel__loop_cancel(&loop, &job.op, -ECANCELED);
    }
    cel__loop_close(&loop);
}

static void *
wake_soon(void *arg)
{
    usleep(20000);
    cel__loop_wake(arg);
    return NULL;
}

TEST(a_sleep_beside_a_request_is_woken)
{
    pthread_t thread;
    struct job job;
    int fds[2];

    open_loop();
    owned_pair(fds);
    post_recv(&job, fds[0], 64);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pthread_create(&thread, NULL, wake_soon, &loop), 0);
        CHECK_EQ(cel__loop_poll(&loop, CEL_FOREVER), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
    CHECK_EQ(job.ndone, 0);
    cel__loop_close(&loop);
}

TEST(requests_and_readiness_are_waited_for_at_once)
{
    struct job call;
    struct job poll;
    int fds[2];
    int other[2];

    open_loop();
    owned_pair(fds);
    unix_pair(other);
    for (int i = 0; i < 3; i++) {
        post_recv(&call, fds[0], 64);
        job_wait_poll(&loop, &poll, other[0], CEL__READABLE);
        put(other[1], "x");
        job_finish(&loop, &poll);
        CHECK_EQ(call.ndone, 0);
        put(fds[1], "y");
        job_finish(&loop, &call);
        CHECK_EQ(get(&loop, &call, other[0], 1), 1);
    }
    cel__loop_close(&loop);
}

TEST(a_read_behind_a_receive_keeps_its_place)
{
    struct job jobs[3];
    int fds[2];

    open_loop();
    owned_pair(fds);
    for (int i = 0; i < 3; i++) {
        job_init(&jobs[i], i == 1 ? CEL__OP_READ : CEL__OP_RECV, fds[0]);
        jobs[i].op.len = 1;
        CHECK_EQ(cel__loop_submit(&loop, &jobs[i].op), 0);
    }
    put(fds[1], "abc");
    for (int i = 0; i < 3; i++) {
        job_finish(&loop, &jobs[i]);
        CHECK_EQ(jobs[i].bytes[0], 'a' + i);
    }
    cel__loop_close(&loop);
}

TEST(a_wait_to_read_beside_a_receive_hears_of_data)
{
    struct job call;
    struct job poll;
    struct job next;
    int fds[2];

    open_loop();
    owned_pair(fds);
    post_recv(&call, fds[0], 1);
    job_wait_poll(&loop, &poll, fds[0], CEL__READABLE);
    put(fds[1], "abc");
    job_finish(&loop, &call);
    job_finish(&loop, &poll);
    CHECK_EQ(call.bytes[0], 'a');
    CHECK_GT(get(&loop, &next, fds[0], 64), 0);
    CHECK_EQ(next.bytes[0], 'b');
    cel__loop_close(&loop);
}

TEST(a_connection_that_we_made_receives_by_requests)
{
    struct sockaddr_in in;
    struct job job;

    open_loop();
    int listener = tcp_listener(&in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cel__loop_own(&loop, fd);
    if (connect(fd, (struct sockaddr *)&in, sizeof(in)) != 0) {
        CHECK_EQ(errno, EINPROGRESS);
    }
    job_init(&job, CEL__OP_CONNECT, fd);
    CHECK_EQ(cel__loop_submit(&loop, &job.op), 0);
    CHECK(!job.op.posted);
    job_finish(&loop, &job);
    CHECK_EQ(job.op.result, 0);
    post_recv(&job, fd, 64);
    cel__loop_cancel(&loop, &job.op, -ECANCELED);
    close(listener);
    cel__loop_close(&loop);
}

TEST(a_connection_is_never_lost_to_a_cancelled_accept)
{
    struct sockaddr_in in;
    struct job job;

    open_loop();
    int listener = tcp_listener(&in);
    cel__loop_own(&loop, listener);
    for (int i = 0; i < 20; i++) {
        job_init(&job, CEL__OP_ACCEPT, listener);
        CHECK_EQ(cel__loop_submit(&loop, &job.op), 0);
        CHECK_EQ(cel__loop_poll(&loop, 0), 0);
        int client = tcp_dial(&in);
        cel__loop_cancel(&loop, &job.op, -ECANCELED);
        CHECK_EQ(job.ndone, 1);
        if (job.op.result == -ECANCELED) {
            job_init(&job, CEL__OP_ACCEPT, listener);
            if (cel__loop_submit(&loop, &job.op) == 0) {
                job_finish(&loop, &job);
            }
        }
        CHECK_GE(job.op.result, 0);
        put((int)job.op.result, "x");
        char byte;
        CHECK_EQ(read(client, &byte, 1), 1);
        close((int)job.op.result);
        close(client);
    }
    cel__loop_close(&loop);
}

/* Sends from done() while several completions are being reaped. */
static void
answer(struct cel__op *op)
{
    struct job *job = cel__container(op, struct job, op);

    job->ndone++;
    if (op->code == CEL__OP_RECV && op->result > 0) {
        op->code = CEL__OP_SEND;
        op->len = (size_t)op->result;
        op->whole = true;
        CHECK_GE(cel__loop_submit(&loop, op), 0);
    }
}

TEST(a_busy_loop_sends_by_requests)
{
    enum {
        N = 40,
        ROUNDS = 20
    };
    static struct job jobs[N];
    int fds[N][2];
    char bytes[8];
    bool was_busy = false;

    open_loop();
    const struct cel__uring *state = loop.state;
    for (int i = 0; i < N; i++) {
        owned_pair(fds[i]);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < N; i++) {
            job_init(&jobs[i], CEL__OP_RECV, fds[i][0]);
            jobs[i].op.done = answer;
            if (cel__loop_submit(&loop, &jobs[i].op) != 0) {
                FAIL("nothing was there to receive");
            }
            put(fds[i][1], "ping");
        }
        for (int i = 0; i < N; i++) {
            while (jobs[i].op.state != CEL__OP_IDLE ||
                   jobs[i].op.code == CEL__OP_RECV) {
                CHECK_EQ(cel__loop_poll(&loop, CEL_SEC), 0);
                was_busy |= state->busy;
            }
        }
        for (int i = 0; i < N; i++) {
            /* A hard build may have received, and sent back, less. */
            ssize_t n = recv(fds[i][1], bytes, 4, CEL__HARD ? 0 : MSG_WAITALL);
            CHECK_GE(n, CEL__HARD ? 1 : 4);
        }
        if (CEL__HARD) {
            break;
        }
    }
    CHECK(was_busy);
    cel__loop_close(&loop);
}

/* ---- readiness while little goes on */

enum {
    NBUSY = 40
};

/* Let every connection bring something in one turn; those who receive it wait
   for more. */
static void
one_busy_turn(struct job jobs[NBUSY], int fds[NBUSY][2])
{
    for (int i = 0; i < NBUSY; i++) {
        put(fds[i][1], "x");
    }
    for (int i = 0; i < NBUSY; i++) {
        job_finish(&loop, &jobs[i]);
        CHECK_EQ(jobs[i].op.result, 1);
        job_wait_recv(&loop, &jobs[i], fds[i][0], 1);
    }
}

TEST(where_little_goes_on_nothing_is_a_request)
{
    struct job jobs[NBUSY];
    int fds[NBUSY][2];

    if (CEL__HARD) {
        SKIP("a hard build does not go by the load");
    }
    open_loop_from("");
    for (int i = 0; i < NBUSY; i++) {
        owned_pair(fds[i]);
        job_wait_recv(&loop, &jobs[i], fds[i][0], 1);
    }
    one_busy_turn(jobs, fds);
    CHECK_EQ(nposted(), 0);
    for (int i = 0; i < NBUSY; i++) {
        cel__loop_cancel(&loop, &jobs[i].op, -ECANCELED);
    }
    cel__loop_close(&loop);
}

TEST(where_much_goes_on_all_become_requests)
{
    struct job jobs[NBUSY];
    int fds[NBUSY][2];

    open_loop_from("10");
    for (int i = 0; i < NBUSY; i++) {
        owned_pair(fds[i]);
        job_wait_recv(&loop, &jobs[i], fds[i][0], 1);
    }
    for (int turn = 0; turn < 20; turn++) {
        one_busy_turn(jobs, fds);
    }
    CHECK(CEL__HARD || nposted() == NBUSY);
    /* Two are left talking: the others' requests are taken back. */
    for (int turn = 0; turn < 300; turn++) {
        put(fds[turn % 2][1], "y");
        job_finish(&loop, &jobs[turn % 2]);
        job_wait_recv(&loop, &jobs[turn % 2], fds[turn % 2][0], 1);
    }
    CHECK(CEL__HARD || nposted() == 0);
    /* None has lost its place, or its turn. */
    one_busy_turn(jobs, fds);
    for (int i = 0; i < NBUSY; i++) {
        cel__loop_cancel(&loop, &jobs[i].op, -ETIMEDOUT);
        CHECK_EQ(jobs[i].op.result, -ETIMEDOUT);
    }
    cel__loop_close(&loop);
}

/* ---- more completions than a poll takes */

/* Submit receives of what is there already, so that all end at once; returns
   how many have not. */
static int
receive_what_is_there(struct job jobs[NBUSY], int fds[NBUSY][2])
{
    int nleft = 0;

    for (int i = 0; i < NBUSY; i++) {
        owned_pair(fds[i]);
        job_wait_recv(&loop, &jobs[i], fds[i][0], 1);
    }
    one_busy_turn(jobs, fds);
    for (int i = 0; i < NBUSY; i++) {
        put(fds[i][1], "y");
        job_finish(&loop, &jobs[i]);
    }
    for (int i = 0; i < NBUSY; i++) {
        put(fds[i][1], "z");
        job_init(&jobs[i], CEL__OP_RECV, fds[i][0]);
        jobs[i].op.len = 1;
        nleft += cel__loop_submit(&loop, &jobs[i].op) == 0;
    }
    return nleft;
}

static int
count_done(const struct job jobs[NBUSY])
{
    int n = 0;

    for (int i = 0; i < NBUSY; i++) {
        n += jobs[i].ndone;
    }
    return n;
}

TEST(what_a_poll_has_left_the_next_does_not_sleep_over)
{
    static struct job jobs[NBUSY];
    int fds[NBUSY][2];

    open_loop();
    int nleft = receive_what_is_there(jobs, fds);
    CHECK_EQ(cel__loop_poll(&loop, CEL_FOREVER), 0);
    CHECK(CEL__HARD || count_done(jobs) < nleft);
    while (count_done(jobs) < nleft) {
        CHECK_EQ(cel__loop_poll(&loop, CEL_FOREVER), 0);
    }
    cel__loop_close(&loop);
}

TEST(where_another_loop_sleeps_a_poll_leaves_nothing)
{
    static struct job jobs[NBUSY];
    int fds[NBUSY][2];

    open_loop();
    CHECK_EQ(cel__loop_embed(&loop), 0);
    const struct cel__uring *state = loop.state;
    int nleft = receive_what_is_there(jobs, fds);
    while (count_done(jobs) < nleft) {
        CHECK_EQ(cel__loop_poll(&loop, 0), 0);
        CHECK(!cel__uring_ring_has_some(&state->ring));
    }
    cel__loop_close(&loop);
}

TEST(an_edge_counts_though_an_older_completion_comes_after_it)
{
    static struct job jobs[NBUSY];
    struct job first;
    struct job look;
    int fds[NBUSY][2];
    int other[2];

    open_loop();
    struct cel__uring *state = loop.state;
    owned_pair(other);
    job_wait_poll(&loop, &first, other[0], CEL__READABLE);
    for (int i = 0; i < NBUSY; i++) {
        owned_pair(fds[i]);
        job_wait_recv(&loop, &jobs[i], fds[i][0], 1);
    }
    struct job *last = &jobs[NBUSY - 1];
    job_wait_poll(&loop, &look, last->op.fd, CEL__READABLE);
    settle(&loop);
    put(other[1], "x");
    for (int i = 0; i < NBUSY; i++) {
        put(fds[i][1], "x");
        (void)cel__uring_ring_enter(&state->ring, 0, 0);
    }
    /* All of those are completed.  This one an event will tell of. */
    put(fds[NBUSY - 1][1], "y");
    CHECK_EQ(cel__loop_poll(&loop, 0), 0);
    CHECK_EQ(look.ndone, 1);
    CHECK_EQ(last->ndone, 0);
    job_finish(&loop, last);
    job_init(&look, CEL__OP_POLL, last->op.fd);
    look.op.events = CEL__READABLE;
    look.op.tried = true;
    CHECK_EQ(cel__loop_submit(&loop, &look.op), 1);
    cel__loop_close(&loop);
}

TEST(a_child_posts_again_and_the_parent_goes_on)
{
    struct job job;
    int fds[2];
    int status;

    open_loop();
    owned_pair(fds);
    post_recv(&job, fds[0], 64);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        /* The first thing is to cancel what is the parent's. */
        cel__loop_cancel(&loop, &job.op, -ECANCELED);
        CHECK_EQ(job.op.result, -ECANCELED);
        post_recv(&job, fds[0], 64);
        put(fds[1], "x");
        /* Either of us may get it. */
        (void)cel__loop_poll(&loop, 10 * CEL_MSEC);
        cel__loop_close(&loop);
        exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    put(fds[1], "y");
    job_finish(&loop, &job);
    CHECK_GT(job.op.result, 0);
    cel__loop_close(&loop);
}
