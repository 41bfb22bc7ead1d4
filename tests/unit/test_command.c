/* SPDX-License-Identifier: MIT */
/*
 * The command `celadon`, and the script for gdb that it uses.
 *
 * A dump is asked of another process: this program again, that runs one test
 * in which a coroutine waits until its standard input ends.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "celadon.h"
#include "coros.h"
#include "tap.h"

static char said[65536];

/* Run `line` and keep what it says; returns its exit status. */
static int
command(const char *line)
{
    FILE *pipe = popen(line, "r"); /* NOLINT(cert-env33-c): our words */

    CHECK(pipe != NULL);
    size_t len = fread(said, 1, sizeof(said) - 1, pipe);
    said[len] = '\0';
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(info_is_the_librarys_report)
{
    char line[64];

    CHECK_EQ(command(CEL__COMMAND " info"), 0);
    (void)snprintf(line, sizeof(line), "celadon: %s\n", cel_info_version());
    CHECK(strncmp(said, line, strlen(line)) == 0);
    CHECK(strstr(said, "\nbackend: ") != NULL);
}

TEST(what_it_does_not_know_is_an_error)
{
    CHECK_EQ(command(CEL__COMMAND " 2>&1"), 2);
    CHECK(strncmp(said, "usage: celadon ", 15) == 0);
    CHECK_EQ(command(CEL__COMMAND " dump 12x 2>&1"), 1);
    CHECK_STR(said, "celadon: 12x: no number of a process\n");
    CHECK_EQ(command(CEL__COMMAND " dump 2147483647 2>&1"), 1);
    CHECK_STR(said, "celadon: 2147483647: No such process\n");
}

/*
 * The process that is looked at.
 */

__attribute__((noinline)) static void
wait_for_the_end(void)
{
    ssize_t n;
    char byte;

    do {
        n = cel_read(STDIN_FILENO, &byte, 1, CEL_FOREVER);
    } while (n > 0);
    __asm__ volatile("" ::: "memory");
}

static void
subject(void *arg)
{
    (void)arg;
    cel_set_name("subject");
    (void)!write(STDOUT_FILENO, "ready\n", 6);
    wait_for_the_end();
    __asm__ volatile("" ::: "memory");
}

static int
run_subject(void *arg)
{
    (void)arg;
    join(go(subject, NULL));
    return 0;
}

TEST(a_coroutine_waits_for_the_end_of_its_input)
{
    /* Whoever wants to may look. */
    (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    run(run_subject);
}

/* Another process in that test. */
struct other {
    pid_t pid;
    int in;  /* closing it ends the process */
    int out; /* what it prints, errors too */
};

static struct other
start_other(const char *dump)
{
    int in[2];
    int out[2];
    char self[256];

    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    CHECK_GT(n, 0);
    self[n] = '\0';
    CHECK_EQ(pipe(in), 0);
    CHECK_EQ(pipe(out), 0);
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0) {
        (void)dup2(in[0], STDIN_FILENO);
        (void)dup2(out[1], STDOUT_FILENO);
        (void)dup2(out[1], STDERR_FILENO);
        (void)close(in[1]);
        (void)close(out[0]);
        (void)setenv("CELADON_DUMP", dump, 1);
        (void)execl(self, self, "-n",
                    "a_coroutine_waits_for_the_end_of_its_input",
                    (char *)NULL);
        _exit(1);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    return (struct other){pid, in[1], out[0]};
}

/* Read what it prints until that has `word`. */
static void
read_until(const struct other *other, const char *word)
{
    size_t len = 0;

    said[0] = '\0';
    while (strstr(said, word) == NULL) {
        ssize_t n = read(other->out, said + len, sizeof(said) - 1 - len);
        if (n <= 0) {
            FAIL("no '%s' in '%s'", word, said);
        }
        len += (size_t)n;
        said[len] = '\0';
    }
}

/* Wait until it has nothing to do, and so is where it waits. */
static void
wait_until_asleep(const struct other *other)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)other->pid);
    do {
        (void)usleep(1000);
        FILE *file = fopen(path, "re");
        CHECK(file != NULL);
        size_t len = fread(said, 1, sizeof(said) - 1, file);
        said[len] = '\0';
        (void)fclose(file);
    } while (strstr(said, ") S ") == NULL);
}

static void
end_other(const struct other *other)
{
    int status;

    (void)close(other->in);
    CHECK_EQ(waitpid(other->pid, &status, 0), other->pid);
    (void)close(other->out);
    CHECK_EQ(status, 0);
}

TEST(a_process_that_was_told_prints_its_dump_itself)
{
    char line[256];

    struct other other = start_other("1");
    read_until(&other, "ready");
    (void)snprintf(line, sizeof(line), "%s dump %d 2>&1", CEL__COMMAND,
                   (int)other.pid);
    CHECK_EQ(command(line), 0);
    CHECK(strstr(said, "prints it to its standard error") != NULL);
    read_until(&other, "\"subject\" waits for read (fd 0 readable)");
    end_other(&other);
}

/* Whether gdb had its way with the process; else why not. */
static void
need_gdb(int status)
{
    struct utsname system;

    printf("%s", said);
    CHECK_EQ(uname(&system), 0);
    if (strcmp(system.machine, "x86_64") != 0) {
        SKIP("written for the frames of x86-64");
    }
    if (CEL__ASAN || CEL__TSAN) {
        SKIP("not under a sanitizer");
    }
    if (status != 0 || strstr(said, " coroutines") == NULL) {
        SKIP("no gdb, or it may not trace");
    }
}

TEST(of_any_other_gdb_reads_it)
{
    char line[512];

    struct other other = start_other("0");
    read_until(&other, "ready");
    wait_until_asleep(&other);
    (void)snprintf(line, sizeof(line),
                   "CELADON_GDB=%s timeout 100 %s dump %d </dev/null 2>&1",
                   CEL__GDB_SOURCE, CEL__COMMAND, (int)other.pid);
    int status = command(line);
    end_other(&other);
    need_gdb(status);
    CHECK(strstr(said, " 2 coroutines\n") != NULL);
    CHECK(strstr(said, "\"root\" waits for the end of #") != NULL);
    CHECK(strstr(said, "\"subject\" waits for read (fd 0)") != NULL);
    const char *one = strstr(said, " in wait_for_the_end ");
    const char *then = strstr(said, " in subject ");
    CHECK(one != NULL);
    CHECK(then != NULL);
    CHECK(one < then);
    CHECK(strstr(said, "Python Exception") == NULL);
}
