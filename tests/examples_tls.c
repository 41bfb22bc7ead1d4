/* SPDX-License-Identifier: MIT */
/*
 * The example of TLS, run as a user runs it.
 */
#include <signal.h>
#include <sys/wait.h>

#include "sockets.h"
#include "tls_pair.h"

/* Start the server with these arguments; its standard output and errors. */
static pid_t
start(const char *port, const char *chain, const char *key, FILE **said)
{
    const char *folder = getenv("CELADON_EXAMPLES");
    char path[512];
    int out[2];

    if (folder == NULL) {
        SKIP("CELADON_EXAMPLES does not say where they are");
    }
    (void)snprintf(path, sizeof(path), "%s/tls_echo", folder);
    CHECK_EQ(pipe(out), 0);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(out[1], STDERR_FILENO);
        execl(path, path, port, chain, key, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    *said = fdopen(out[0], "r");
    CHECK(*said != NULL);
    return child;
}

struct visit {
    const struct world *world;
    struct sockaddr_in addr;
};

static cel_tls *
dial(const struct visit *visit, cel_tls_context *context)
{
    cel_tls *tls;
    int fd = cel_connect((const struct sockaddr *)&visit->addr,
                         sizeof(visit->addr), late());

    CHECK_GE(fd, 0);
    CHECK_EQ(cel_tls_open(&tls, context, fd, "www.test"), 0);
    return tls;
}

static int
talk(void *arg)
{
    const struct visit *visit = arg;
    char buf[8];
    cel_tls *all[8];

    for (int i = 0; i < 8; i++) {
        all[i] = dial(visit, visit->world->client);
        CHECK_EQ(cel_tls_handshake(all[i], late()), 0);
    }
    for (int i = 0; i < 8; i++) {
        tell(all[i], all[i], "echo");
        CHECK_EQ(cel_tls_shutdown(all[i], late()), 0);
        CHECK_EQ(cel_tls_recv(all[i], buf, sizeof(buf), late()), 0);
        (void)cel_tls_close(all[i], late());
    }
    return 0;
}

/* A client that trusts somebody else. */
static int
mistrust(void *arg)
{
    const struct visit *visit = arg;
    struct cert other = make_cert(
        &(struct wish){.name = "Other", .from = -DAY, .until = DAY});
    cel_tls_context *context = make_client(&other);
    cel_tls *tls = dial(visit, context);

    CHECK_EQ(cel_tls_handshake(tls, late()), -EKEYREJECTED);
    CHECK_EQ(cel_tls_close(tls, late()), 0);
    cel_tls_context_close(context);
    free_cert(&other);
    return 0;
}

/* The next line that it says; in the hard build the first names the seed. */
static void
read_line(FILE *said, char *line, int size)
{
    do {
        CHECK(fgets(line, size, said) != NULL);
    } while (strstr(line, "CELADON_SEED") != NULL);
}

TEST(tls_echo_answers_who_trusts_it)
{
    struct world w;
    struct visit visit = {.world = &w};
    char port[16];
    char line[256];
    FILE *said;

    make_world(&w);
    const char *chain = tap_save("chain.pem", w.cert.text);
    const char *key = tap_save("key.pem", w.cert.key);
    CHECK_EQ(close(tcp_listener(&visit.addr)), 0); /* a port that is free */
    (void)snprintf(port, sizeof(port), "%d", ntohs(visit.addr.sin_port));
    pid_t child = start(port, chain, key, &said);
    read_line(said, line, sizeof(line));
    CHECK_SAYS(line, "listening");
    CHECK_EQ(cel_run(talk, &visit, NULL), 0);
    CHECK_EQ(cel_run(mistrust, &visit, NULL), 0);
    read_line(said, line, sizeof(line));
    CHECK_SAYS(line, "refused: the peer says: ");
    CHECK_EQ(kill(child, SIGTERM), 0);
    CHECK_EQ(waitpid(child, NULL, 0), child);
    (void)fclose(said);
    free_world(&w);
}

TEST(tls_echo_says_what_is_wrong_with_its_files)
{
    char line[256];
    FILE *said;
    int status;

    pid_t child = start("1", "/nowhere/chain", "/nowhere/key", &said);
    read_line(said, line, sizeof(line));
    CHECK_SAYS(line, "/nowhere/chain: No such file");
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(WEXITSTATUS(status), 1);
    (void)fclose(said);
}
