/* SPDX-License-Identifier: MIT */
/*
 * The steps of the tutorial: each does what its text says.
 *
 * In a hard build coroutines yield at random, so who speaks first is open.
 */
#include "play.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sockets.h"
#include "tap.h"

TEST(step1_two_coroutines_speak_in_turn)
{
    play(&(struct play){.script = "step1.txt", .any_order = CEL__HARD});
}

TEST(step2_they_speak_over_a_channel)
{
    play(&(struct play){.script = "step2.txt", .any_order = CEL__HARD});
}

TEST(step3_serves_many_at_once)
{
    play(&(struct play){.script = "step3.txt"});
}

TEST(step4_talks_in_lines)
{
    play(&(struct play){.script = "step4.txt"});
}

TEST(step5_does_not_wait_for_ever)
{
    play(&(struct play){.script = "step5.txt"});
}

TEST(step6_tells_all_what_one_says)
{
    play(&(struct play){.script = "step6.txt"});
}

/* Read up to and including `text`. */
static void
read_until(int fd, const char *text)
{
    char said[256] = "";
    size_t len = 0;

    while (strstr(said, text) == NULL) {
        CHECK_LT(len, sizeof(said) - 1);
        CHECK_EQ(read(fd, said + len, 1), 1);
        len++;
        said[len] = '\0';
    }
}

/* Start step 6 at the abstract unix socket `name`; it listens. */
static pid_t
start_step6(const char *name)
{
    const char *folder = getenv("CELADON_EXAMPLES");
    char where[64];
    int err[2];

    CHECK(folder != NULL);
    (void)snprintf(where, sizeof(where), "unix:@%s", name);
    CHECK_EQ(pipe(err), 0);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        dup2(err[1], STDERR_FILENO);
        CHECK_EQ(chdir(folder), 0);
        execl("./step6", "step6", where, (char *)NULL);
        _exit(127);
    }
    read_until(err[0], "listening");
    return child;
}

/* A connection to that socket. */
static int
enter(const char *name, const char *who)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "%s", name);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                                strlen(name));
    CHECK_EQ(connect(fd, (const struct sockaddr *)&un, len), 0);
    put(fd, who);
    read_until(fd, "Welcome.\n");
    return fd;
}

TEST(step6_puts_out_who_does_not_keep_up)
{
    char name[32];
    char line[151];
    char byte;

    (void)snprintf(name, sizeof(name), "celadon-step6-%d", getpid());
    pid_t child = start_step6(name);
    int ada = enter(name, "Ada\n");
    int bob = enter(name, "Bob\n");
    read_until(ada, "Bob is here\n");
    memset(line, 'x', sizeof(line));
    line[149] = '\n';
    line[150] = '\0';
    do {
        put(ada, line);
    } while (recv(ada, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0);
    read_until(ada, "* Bob has left\n");
    close(ada);
    close(bob);
    CHECK_EQ(kill(child, SIGTERM), 0);
    CHECK_EQ(waitpid(child, NULL, 0), child);
}

TEST(step7_ends_when_it_is_told)
{
    play(&(struct play){.script = "step7.txt"});
}

TEST(step7_does_not_wait_for_ever_for_its_clients)
{
    play(&(struct play){.script = "step7_late.txt"});
}

TEST(step8_serves_on_all_workers)
{
    play(&(struct play){.script = "step8.txt", .any_order = true});
}

TEST(step9_shows_what_goes_on_inside)
{
    play(&(struct play){.script = "step9.txt"});
}
