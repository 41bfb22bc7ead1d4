/* SPDX-License-Identifier: MIT */
/*
 * Child processes: how they begin, what they are given, their end, and that
 * nothing of them is left.
 */
#include "celadon/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "celadon/stream.h"
#include "children.h"

static int
ends(void *arg)
{
    (void)arg;
    cel_process *process = shell("exit 7", NULL);
    CHECK_GT(cel_process_pid(process), 0);
    int status = status_of(process);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 7);
    CHECK_EQ(status_of(process), status);
    CHECK_EQ(cel_process_wait(process, NULL, CEL_AT_ONCE), 0);
    cel_process_close(process);

    process = shell("kill -USR1 $$", NULL);
    status = status_of(process);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGUSR1);
    cel_process_close(process);
    cel_process_close(NULL);
    CHECK(no_children());
    return 0;
}

TEST(its_end_is_told_as_waitpid_does)
{
    run(ends);
}

static int
spawn_error(const char *program, const cel_process_options *options)
{
    const char *argv[] = {program, NULL};
    cel_process *process = NULL;

    int err = cel_process_spawn(&process, argv, options);
    CHECK(process == NULL);
    CHECK(no_children());
    return err;
}

static int
failing(void *arg)
{
    const char *path = tap_save("program", "true\n");
    cel_process_options options = piped();
    const int bad[] = {2};

    (void)arg;
    int before = ndescriptors();
    /* Of a folder that we may not look into it would be -EACCES. */
    CHECK_EQ(setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1), 0);
    CHECK_EQ(spawn_error("/nowhere/at/all", &options), -ENOENT);
    CHECK_EQ(spawn_error("no-such-program-anywhere", &options), -ENOENT);
    CHECK_EQ(spawn_error("", &options), -ENOENT);
    CHECK_EQ(spawn_error("/tmp", &options), -EACCES);
    CHECK_EQ(spawn_error(NULL, &options), -EINVAL);
    CHECK_EQ(chmod(path, 0700), 0);
    CHECK_EQ(spawn_error(path, &options), -ENOEXEC);
    options.cwd = "/nowhere";
    CHECK_EQ(spawn_error("true", &options), -ENOENT);
    options.cwd = NULL;
    options.stdio[1] = 12345;
    CHECK_EQ(spawn_error("true", &options), -EBADF);
    options.stdio[1] = CEL_STDIO_OUTPUT;
    CHECK_EQ(spawn_error("true", &options), -EINVAL);
    options = piped();
    options.stdio[2] = -5;
    CHECK_EQ(spawn_error("true", &options), -EINVAL);
    options = piped();
    options.keep = bad;
    options.nkeep = 1;
    CHECK_EQ(spawn_error("true", &options), -EINVAL);
    options = piped();
    options.flags = 4;
    CHECK_EQ(spawn_error("true", &options), -EINVAL);
    options = piped();
    options.size = 4;
    CHECK_EQ(spawn_error("true", &options), -EINVAL);
    CHECK_EQ(ndescriptors(), before);
    return 0;
}

TEST(what_can_not_be_started_is_told_by_the_start)
{
    run(failing);
}

static int
later_options(void *arg)
{
    struct {
        cel_process_options options;
        char more[8];
    } later = {.more = ""};

    (void)arg;
    cel_process_options_init(&later.options);
    later.options.size = sizeof(later);
    cel_process *process = shell("true", &later.options);
    CHECK_EQ(status_of(process), 0);
    cel_process_close(process);
    later.more[7] = 1;
    CHECK_EQ(spawn_error("true", &later.options), -EINVAL);
    return 0;
}

TEST(unknown_options_are_refused)
{
    run(later_options);
}

static int
streams(void *arg)
{
    cel_process_options options = piped();

    (void)arg;
    expect("echo out; echo err >&2", NULL, "out\n");
    options.stdio[2] = CEL_STDIO_OUTPUT;
    expect("echo out; echo err >&2", &options, "out\nerr\n");
    options.stdio[0] = CEL_STDIO_NULL;
    expect("cat; echo end", &options, "end\n");
    /* Crosswise: our input as its errors, and so on. */
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    options.stdio[1] = fds[1];
    options.stdio[2] = CEL_STDIO_NULL;
    cel_process *process = shell("echo out; echo err >&2", &options);
    CHECK_EQ(cel_process_fd(process, 1), -EBADF);
    CHECK_EQ(cel_process_fd(process, 3), -EBADF);
    expect_bytes(fds[0], "out\n");
    CHECK_EQ(status_of(process), 0);
    cel_process_close(process);
    CHECK_EQ(fcntl(fds[1], F_GETFD), FD_CLOEXEC);
    (void)cel_close(fds[0]);
    (void)cel_close(fds[1]);
    return 0;
}

TEST(streams_go_where_they_are_told)
{
    run(streams);
}

static int
crosswise(void *arg)
{
    cel_process_options options;
    char bytes[8] = "";
    int out[2];
    int err[2];

    (void)arg;
    CHECK_EQ(pipe2(out, O_CLOEXEC), 0);
    CHECK_EQ(pipe2(err, O_CLOEXEC), 0);
    int keep1 = fcntl(1, F_DUPFD_CLOEXEC, 10);
    int keep2 = fcntl(2, F_DUPFD_CLOEXEC, 10);
    CHECK_EQ(dup2(out[1], 1), 1);
    CHECK_EQ(dup2(err[1], 2), 2);
    cel_process_options_init(&options);
    options.stdio[1] = 2;
    options.stdio[2] = 1;
    cel_process *process = shell("echo out; echo err >&2", &options);
    CHECK_EQ(status_of(process), 0);
    cel_process_close(process);
    CHECK_EQ(dup2(keep1, 1), 1);
    CHECK_EQ(dup2(keep2, 2), 2);
    CHECK_EQ(read(out[0], bytes, sizeof(bytes)), 4);
    CHECK_MEM(bytes, "err\n", 4);
    CHECK_EQ(read(err[0], bytes, sizeof(bytes)), 4);
    CHECK_MEM(bytes, "out\n", 4);
    return 0;
}

TEST(two_streams_may_change_places)
{
    run(crosswise);
}

static int
without_streams(void *arg)
{
    cel_process_options options = piped();

    (void)arg;
    /* The pipes get the lowest numbers there are. */
    (void)close(0);
    (void)close(1);
    expect("cat; echo out", &options, "out\n");
    options.stdio[0] = CEL_STDIO_INHERIT;
    expect("test -e /proc/self/fd/0 || echo closed", &options, "closed\n");
    return 0;
}

TEST(a_program_without_standard_streams_has_children_too)
{
    run(without_streams);
}

static int
surroundings(void *arg)
{
    const char *env[] = {"A=1", "PATH=/nowhere:/bin:/usr/bin", NULL};
    const char *lost[] = {"PATH=/nowhere", NULL};
    cel_process_options options = piped();

    (void)arg;
    options.cwd = "/usr";
    expect("pwd", &options, "/usr\n");
    options.cwd = NULL;
    options.env = env;
    expect("echo $A", &options, "1\n");
    cel_process *process = spawn((const char *[]){"true", NULL}, &options);
    CHECK_EQ(status_of(process), 0);
    cel_process_close(process);
    options.env = lost;
    CHECK_EQ(spawn_error("true", &options), -ENOENT);
    options.env = (const char *[]){NULL};
    process = spawn((const char *[]){"true", NULL}, &options);
    CHECK_EQ(status_of(process), 0);
    cel_process_close(process);
    return 0;
}

TEST(folder_environment_and_path_are_as_told)
{
    run(surroundings);
}

static int
path_of_one_folder(void *arg)
{
    char text[256];
    const char *env[] = {text, NULL};
    cel_process_options options = piped();

    (void)arg;
    (void)tap_save("program", "");
    (void)snprintf(text, sizeof(text), "PATH=%s:/nowhere", tap_path("."));
    options.env = env;
    CHECK_EQ(spawn_error("program", &options), -EACCES);
    /* An empty folder is the current one. */
    options.cwd = "/bin";
    (void)snprintf(text, sizeof(text), "PATH=/nowhere:");
    cel_process *process = spawn((const char *[]){"true", NULL}, &options);
    CHECK_EQ(status_of(process), 0);
    cel_process_close(process);
    return 0;
}

TEST(who_is_there_but_may_not_run_is_not_lost)
{
    run(path_of_one_folder);
}

static int
long_path(void *arg)
{
    char *text = malloc(20000);
    const char *env[] = {text, NULL};
    cel_process_options options = piped();

    (void)arg;
    CHECK(text != NULL);
    (void)snprintf(text, 20000, "PATH=/%09999d:/bin:/usr/bin", 1);
    options.env = env;
    cel_process *process = spawn((const char *[]){"true", NULL}, &options);
    CHECK_EQ(status_of(process), 0);
    cel_process_close(process);
    free(text);
    return 0;
}

TEST(a_folder_too_long_for_a_path_is_passed_over)
{
    run(long_path);
}

static int
clean(void *arg)
{
    cel_process_options options = piped();
    sigset_t set;

    (void)arg;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    char *out = output_of("grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status",
                          &options);
    CHECK(strstr(out, "SigBlk:\t0000000000000000") != NULL);
    CHECK(strstr(out, "SigIgn:\t0000000000000000") != NULL);
    free(out);
    sigemptyset(&set);
    CHECK_EQ(sigprocmask(SIG_BLOCK, NULL, &set), 0);
    CHECK(sigismember(&set, SIGTERM));
    CHECK(!sigismember(&set, SIGINT));
    return 0;
}

TEST(signals_are_at_their_default_in_the_child_and_as_before_here)
{
    run(clean);
}

static int
descriptors(void *arg)
{
    cel_process_options options = piped();
    char script[128];
    char number[16];

    (void)arg;
    int kept = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int lost = open("/dev/null", O_RDONLY); /* NOLINT: open on purpose */
    CHECK_GE(kept, 3);
    CHECK_GE(lost, 3);
    (void)snprintf(script, sizeof(script),
                   "for i in %d %d; do test -e /proc/self/fd/$i && echo $i; "
                   "done; true",
                   kept, lost);
    expect(script, &options, "");
    options.keep = &kept;
    options.nkeep = 1;
    (void)snprintf(number, sizeof(number), "%d\n", kept);
    expect(script, &options, number);
    CHECK_EQ(fcntl(kept, F_GETFD), FD_CLOEXEC);
    const int gone = 12345;
    options.keep = &gone;
    CHECK_EQ(spawn_error("true", &options), -EBADF);
    return 0;
}

TEST(it_has_the_descriptors_it_is_given_and_no_other)
{
    run(descriptors);
}

static int
groups(void *arg)
{
    cel_process_options options = piped();
    char byte;

    (void)arg;
    options.flags = CEL_PROCESS_GROUP;
    /* The sleeper has the pipe too: its end is that of both. */
    cel_process *process = shell("sleep 1000 & echo; wait", &options);
    pid_t pid = cel_process_pid(process);
    CHECK_EQ(getpgid(pid), pid);
    CHECK_EQ(getsid(pid), getsid(0));
    int out = cel_process_fd(process, 1);
    CHECK_EQ(cel_read(out, &byte, 1, CEL_FOREVER), 1);
    CHECK_EQ(cel_process_kill_group(process, SIGTERM), 0);
    CHECK_EQ(cel_read(out, &byte, 1, CEL_FOREVER), 0);
    CHECK_EQ(WTERMSIG(status_of(process)), SIGTERM);
    CHECK_EQ(cel_process_kill_group(process, SIGTERM), -ESRCH);
    cel_process_close(process);

    options.flags = CEL_PROCESS_SESSION;
    process = shell("read line", &options);
    CHECK_EQ(getsid(cel_process_pid(process)), cel_process_pid(process));
    CHECK_EQ(cel_process_kill_group(process, SIGKILL), 0);
    CHECK_EQ(WTERMSIG(status_of(process)), SIGKILL);
    cel_process_close(process);

    options.flags = 0;
    process = shell("read line", &options);
    CHECK_EQ(getpgid(cel_process_pid(process)), getpgid(0));
    CHECK_EQ(cel_process_kill_group(process, SIGTERM), -EINVAL);
    cel_process_close_fd(process, 0);
    cel_process_close_fd(process, 0);
    CHECK(WIFEXITED(status_of(process)));
    cel_process_close(process);
    return 0;
}

static int
read_by_stream(void *arg)
{
    cel_process_options options = piped();
    cel_process *process = shell("echo one; echo two", &options);
    cel_stream *stream;
    char line[8];

    (void)arg;
    CHECK_EQ(cel_process_take_fd(process, 3), -EBADF);
    int fd = cel_process_take_fd(process, 1);
    CHECK_GE(fd, 0);
    CHECK_EQ(cel_process_take_fd(process, 1), -EBADF);
    CHECK_EQ(cel_process_fd(process, 1), -EBADF);
    CHECK_EQ(cel_stream_open(&stream, fd), 0);
    CHECK_EQ(status_of(process), 0);
    cel_process_close(process); /* the pipe is ours, and stays */
    CHECK_EQ(cel_stream_read_line(stream, line, sizeof(line), CEL_FOREVER), 4);
    CHECK_STR(line, "one");
    CHECK_EQ(cel_stream_read_line(stream, line, sizeof(line), CEL_FOREVER), 4);
    CHECK_EQ(cel_stream_read_line(stream, line, sizeof(line), CEL_FOREVER), 0);
    CHECK_EQ(cel_stream_close(stream, CEL_FOREVER), 0);
    return 0;
}

TEST(a_pipe_is_taken_by_a_stream)
{
    run(read_by_stream);
}

TEST(groups_and_sessions_are_killed_as_one)
{
    run(groups);
}

static void
cancelled_waiter(void *arg)
{
    CHECK_EQ(cel_process_wait(arg, NULL, CEL_FOREVER), -ECANCELED);
}

static void
waiter(void *arg)
{
    CHECK_EQ(WTERMSIG(status_of(arg)), SIGTERM);
}

static int
waiting(void *arg)
{
    cel_coro *coros[10];

    (void)arg;
    cel_process *process = shell("exec sleep 1000", NULL);
    CHECK_EQ(cel_process_wait(process, NULL, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_process_wait(process, NULL, cel_after(CEL_MSEC)), -ETIMEDOUT);
    cel_coro *coro = go(cancelled_waiter, process);
    settle();
    cel_cancel(coro);
    join(coro);
    CHECK_EQ(cel_process_kill(process, 0), 0);
    CHECK_EQ(cel_process_kill(process, 1000), -EINVAL);
    for (int i = 0; i < 10; i++) {
        coros[i] = go(waiter, process);
    }
    settle();
    CHECK_EQ(cel_process_kill(process, SIGTERM), 0);
    for (int i = 0; i < 10; i++) {
        join(coros[i]);
    }
    CHECK_EQ(cel_process_kill(process, SIGTERM), -ESRCH);
    cel_process_close(process);
    return 0;
}

TEST(giving_up_a_wait_leaves_it_alive)
{
    run(waiting);
}

static void
one_of_many(void *arg)
{
    char script[32];

    int number = (int)(intptr_t)arg;
    (void)snprintf(script, sizeof(script), "exit %d", number % 100);
    cel_process *process = shell(script, NULL);
    CHECK_EQ(WEXITSTATUS(status_of(process)), number % 100);
    cel_process_close(process);
}

static int
many(void *arg)
{
    cel_coro *coros[200];

    (void)arg;
    int before = ndescriptors();
    for (int i = 0; i < 200; i++) {
        coros[i] = go(one_of_many, (void *)(intptr_t)i);
    }
    for (int i = 0; i < 200; i++) {
        join(coros[i]);
    }
    CHECK_EQ(ndescriptors(), before);
    CHECK(no_children());
    return 0;
}

TEST(two_hundred_at_once)
{
    run(many);
}

static int
short_of_descriptors(void *arg)
{
    cel_process_options options = piped();
    struct rlimit limit;
    int failed = 0;

    (void)arg;
    cel_process *process = shell("true", &options);
    CHECK_EQ(status_of(process), 0);
    cel_process_close(process);
    process = NULL;
    int before = ndescriptors();
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t usual = limit.rlim_cur;
    int top = dup(0);
    CHECK_GE(top, 0);
    (void)close(top);
    for (unsigned i = 0; process == NULL; i++) {
        CHECK_LT(i, 20);
        limit.rlim_cur = (rlim_t)top + i;
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
        int err = cel_process_spawn(
            &process, (const char *[]){"/bin/true", NULL}, &options);
        limit.rlim_cur = usual;
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
        if (err < 0) {
            CHECK_EQ(err, -EMFILE);
            CHECK(process == NULL);
            failed++;
        }
        else {
            CHECK_EQ(cel_process_wait(process, NULL, CEL_FOREVER), 0);
            cel_process_close(process);
        }
        CHECK_EQ(ndescriptors(), before);
        CHECK(no_children());
    }
    CHECK_GE(failed, 6); /* three pipes, and its own */
    return 0;
}

TEST(short_of_descriptors_nothing_is_left_open)
{
    run(short_of_descriptors);
}

static int
let_go(void *arg)
{
    (void)arg;
    int before = ndescriptors();
    cel_process_options options = piped();
    cel_process *process = shell("read line", &options);
    /* Its input ends with the handle, and so it does. */
    cel_process_close(process);
    while (!no_children()) {
        CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    }
    while (ndescriptors() != before) {
        CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    }
    return 0;
}

TEST(closed_before_its_end_it_leaves_no_zombie)
{
    run(let_go);
}

static pid_t survivor;

static int
leave_one(void *arg)
{
    (void)arg;
    cel_process *process = shell("exec sleep 1000", NULL);
    survivor = cel_process_pid(process);
    cel_process_close(process);
    /* It is nobody's business any more. */
    CHECK_EQ(cel_sleep(CEL_FOREVER), -EDEADLK);
    return 0;
}

static int
another(void *arg)
{
    (void)arg;
    cel_process *process = shell("true", NULL);
    CHECK_EQ(status_of(process), 0);
    cel_process_close(process);
    return 0;
}

TEST(closed_before_the_end_of_a_run_it_is_reaped_by_a_later_one)
{
    siginfo_t info;

    run(leave_one);
    int before = ndescriptors();
    CHECK_EQ(kill(survivor, SIGKILL), 0);
    CHECK_EQ(waitid(P_PID, (id_t)survivor, &info, WEXITED | WNOWAIT), 0);
    run(another);
    CHECK(no_children());
    CHECK_EQ(ndescriptors(), before - 1);
}

static int
taken_away(void *arg)
{
    (void)arg;
    cel_process *process = shell("true", NULL);
    CHECK_EQ(waitpid(cel_process_pid(process), NULL, 0),
             cel_process_pid(process));
    CHECK_EQ(cel_process_wait(process, NULL, CEL_FOREVER), -ECHILD);
    CHECK_EQ(cel_process_kill(process, SIGTERM), -ESRCH);
    cel_process_close(process);
    signal(SIGCHLD, SIG_IGN);
    process = shell("true", NULL);
    CHECK_EQ(cel_process_wait(process, NULL, CEL_FOREVER), -ECHILD);
    cel_process_close(process);
    return 0;
}

TEST(a_status_that_others_took_is_told)
{
    run(taken_away);
}

static int
forking(void *arg)
{
    int status;

    (void)arg;
    cel_process_options options = piped();
    cel_process *process = shell("read line", &options);
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0) {
        CHECK_EQ(cel_process_wait(process, NULL, CEL_FOREVER), -ECHILD);
        CHECK_EQ(cel_process_kill(process, SIGKILL), -ECHILD);
        cel_process_close(process);
        process = shell("exit 3", NULL);
        CHECK_EQ(WEXITSTATUS(status_of(process)), 3);
        cel_process_close(process);
        return 42;
    }
    cel_process *child = shell("exit 4", NULL);
    CHECK_EQ(WEXITSTATUS(status_of(child)), 4);
    cel_process_close(child);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WEXITSTATUS(status), 42);
    cel_process_close_fd(process, 0);
    CHECK(WIFEXITED(status_of(process)));
    cel_process_close(process);
    return 0;
}

TEST(a_fork_has_its_own_children)
{
    int result = cel_run(forking, NULL, NULL);

    if (result == 42) {
        _exit(42);
    }
    CHECK_EQ(result, 0);
}

TEST(outside_a_run_nothing_is_started)
{
    const char *argv[] = {"true", NULL};
    cel_process *process;

    CHECK_EQ(cel_process_spawn(&process, argv, NULL), -EPERM);
}
