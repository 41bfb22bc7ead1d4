/* SPDX-License-Identifier: MIT */
/*
 * The examples, run as a user runs them.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

/* The path of the example `name`. */
static const char *
path_of(const char *name)
{
    static char path[512];
    const char *folder = getenv("CELADON_EXAMPLES");

    if (folder == NULL) {
        SKIP("CELADON_EXAMPLES does not say where they are");
    }
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

/* Run a command; its exit status, and what it printed. */
static int
run(const char *command, char *text, size_t size)
{
    FILE *pipe = popen(command, "r"); /* NOLINT(cert-env33-c) */

    CHECK(pipe != NULL);
    size_t len = fread(text, 1, size - 1, pipe);
    text[len] = '\0';
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Run the example with arguments; it must succeed. */
static void
expect(const char *name, const char *args, char *text, size_t size)
{
    char command[640];

    (void)snprintf(command, sizeof(command), "'%s' %s", path_of(name), args);
    CHECK_EQ(run(command, text, size), 0);
}

/* A port that nobody listens on just now. */
static int
free_port(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(bind(fd, (const struct sockaddr *)&in, sizeof(in)), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    close(fd);
    return ntohs(in.sin_port);
}

TEST(hello_talks)
{
    char text[512];

    expect("hello", "", text, sizeof(text));
    CHECK_STR(text, "Hello! Who are you?\n"
                    "Hello, Ada! Where from?\n"
                    "London? How nice!\n"
                    "(the end)\n");
}

TEST(commands_run_together)
{
    char text[512];
    char command[640];
    const char *fifo = tap_path("fifo");

    /* Each waits for the other, through a pipe. */
    CHECK_EQ(mkfifo(fifo, 0600), 0);
    (void)snprintf(command, sizeof(command), "'echo ping >%s' 'cat %s'", fifo,
                   fifo);
    expect("together", command, text, sizeof(text));
    CHECK(strstr(text, "\nping\n") != NULL);
    (void)snprintf(command, sizeof(command), "'%s' 'exit 3' true",
                   path_of("together"));
    CHECK_EQ(run(command, text, sizeof(text)), 1);
    CHECK_STR(text, "$ exit 3\n(status 3)\n$ true\n");
}

/* Start the server `name` on a free port; it says so when it is ready. */
static pid_t
start_server(const char *name, int *port)
{
    char digits[16];
    char line[128];
    int out[2];

    const char *server = path_of(name);
    *port = free_port();
    (void)snprintf(digits, sizeof(digits), "%d", *port);
    CHECK_EQ(pipe(out), 0);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        dup2(out[1], STDOUT_FILENO);
        execl(server, server, digits, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *said = fdopen(out[0], "r");
    CHECK(said != NULL);
    CHECK(fgets(line, sizeof(line), said) != NULL);
    CHECK(strstr(line, digits) != NULL);
    (void)fclose(said);
    return child;
}

static void
stop_server(pid_t child)
{
    CHECK_EQ(kill(child, SIGTERM), 0);
    CHECK_EQ(waitpid(child, NULL, 0), child);
}

TEST(echo_answers_everyone_at_once)
{
    char line[128];
    char args[64];
    int port;

    pid_t child = start_server("echo", &port);
    (void)snprintf(args, sizeof(args), "127.0.0.1 %d 400", port);
    expect("fanout", args, line, sizeof(line));
    CHECK(strncmp(line, "400 of 400 answered", 19) == 0);
    (void)snprintf(args, sizeof(args), "localhost %d 1", port);
    expect("fanout", args, line, sizeof(line));
    stop_server(child);
}

TEST(select_has_all_of_both_channels)
{
    char text[512];
    char wanted[16];

    expect("select", "", text, sizeof(text));
    for (int n = 0; n < 10; n++) {
        (void)snprintf(wanted, sizeof(wanted), "%s %d\n",
                       n % 2 == 0 ? "even" : "odd", n);
        CHECK(strstr(text, wanted) != NULL);
    }
}

TEST(meter_counts_until_the_end_or_a_signal)
{
    char command[640];
    char text[512];

    (void)snprintf(command, sizeof(command), "printf hello | '%s'",
                   path_of("meter"));
    CHECK_EQ(run(command, text, sizeof(text)), 0);
    CHECK_STR(text, "5 bytes\n");
}

TEST(meter_ends_at_ctrl_c)
{
    char line[64];
    int status;
    int in[2];
    int out[2];

    const char *meter = path_of("meter");
    CHECK_EQ(pipe(in), 0);
    CHECK_EQ(pipe(out), 0);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        dup2(out[1], STDERR_FILENO);
        execl(meter, meter, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *said = fdopen(out[0], "r");
    CHECK(said != NULL);
    CHECK_EQ(write(in[1], "hello", 5), 5);
    do { /* it has begun, and may say how a hard build began */
        CHECK(fgets(line, sizeof(line), said) != NULL);
    } while (strcmp(line, "5 bytes so far\n") != 0);
    CHECK_EQ(kill(child, SIGINT), 0);
    do {
        CHECK(fgets(line, sizeof(line), said) != NULL);
    } while (strstr(line, "so far") != NULL);
    CHECK_STR(line, "5 bytes\n");
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    (void)fclose(said);
}

TEST(two_loops_in_one_thread)
{
    char text[512];

    if (access(path_of("inside_uv"), X_OK) != 0) {
        SKIP("it is not built: libuv is not there");
    }
    expect("inside_uv", "", text, sizeof(text));
    CHECK(strstr(text, "Ada: line 3\n") != NULL);
    CHECK(strstr(text, "Bob: line 3\n") != NULL);
}

TEST(what_can_not_be_done_is_said)
{
    char text[512];
    char command[640];

    (void)snprintf(command, sizeof(command), "'%s' 127.0.0.1 1 2 2>&1",
                   path_of("fanout"));
    CHECK_EQ(run(command, text, sizeof(text)), 1);
    CHECK(strstr(text, "0 of 2 answered") != NULL);
    (void)snprintf(command, sizeof(command), "'%s' 2>&1", path_of("echo"));
    CHECK_EQ(run(command, text, sizeof(text)), 1);
    CHECK(strstr(text, "echo PORT: ") != NULL);
}
