/* SPDX-License-Identifier: MIT */
/*
 * The yardstick of TLS: an echo server and a load generator that are OpenSSL
 * and epoll and nothing else.
 *
 *     tls serve PORT CHAIN KEY
 *     tls load PORT CLIENTS SECONDS SIZE PID
 *
 * The server reads ahead, so a request is one recv(), one send() and a share
 * of one epoll_wait(), as few as there can be.  The load is N clients in a
 * closed loop on kept connections of TLS 1.3, checks every byte, and ends in
 * one line of JSON.  It has a warm-up of a fifth of the time.  PID is the
 * server's: what it has of the processor is read while requests are counted,
 * so without the handshakes.
 *
 * Not here: a send that would block (messages are far smaller than a socket's
 * buffer), verifying (what is measured is what follows), other machines.
 */
#include "tool/tool.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    NEVENTS = 256,
    BACKLOG = 1024,
    BUFFER = 16384
};

static char buffer[BUFFER];

static void
watch(int epoll, int fd, void *what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        tool_die("epoll_ctl");
    }
}

static SSL *
make_ssl(SSL_CTX *ctx, int fd)
{
    static const int on = 1;
    SSL *ssl = SSL_new(ctx);

    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
        tool_die("SSL_new");
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return ssl;
}

/*
 * The server.
 */

static void
drop(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);

    SSL_free(ssl);
    close(fd);
}

/* Whether `ssl` only lacks bytes, after a call that returned `n`. */
static bool
waits(SSL *ssl, int n)
{
    return SSL_get_error(ssl, n) == SSL_ERROR_WANT_READ;
}

static void
serve(SSL *ssl)
{
    if (!SSL_is_init_finished(ssl)) {
        int done = SSL_accept(ssl);
        if (done != 1) {
            if (!waits(ssl, done)) {
                drop(ssl);
            }
            return;
        }
    }
    do {
        int n = SSL_read(ssl, buffer, sizeof(buffer));
        if (n <= 0) {
            if (!waits(ssl, n)) {
                drop(ssl);
            }
            return;
        }
        if (SSL_write(ssl, buffer, n) != n) {
            drop(ssl);
            return;
        }
    } while (SSL_has_pending(ssl));
}

static void
run_server(SSL_CTX *ctx, int listener)
{
    struct epoll_event events[NEVENTS];
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    watch(epoll, listener, NULL);
    for (;;) {
        int n = epoll_wait(epoll, events, NEVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr != NULL) {
                serve(events[i].data.ptr);
                continue;
            }
            int fd = accept4(listener, NULL, NULL,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd >= 0) {
                SSL *ssl = make_ssl(ctx, fd);
                SSL_set_accept_state(ssl);
                watch(epoll, fd, ssl);
            }
        }
    }
}

/*
 * The load.
 */

struct client {
    SSL *ssl;
    size_t got; /* bytes of the answer so far */
};

struct load {
    struct client *clients;
    size_t nclients;
    size_t size; /* bytes of a message */
    int epoll;
    char *message;
    uint64_t total;
    int server; /* its process */
};

/* What the server has had of the processor, in nanoseconds. */
static uint64_t
spent(const struct load *load)
{
    char path[64];
    char text[32] = "";

    (void)snprintf(path, sizeof(path), "/proc/%d/schedstat", load->server);
    FILE *file = fopen(path, "r");
    if (file == NULL || fgets(text, sizeof(text), file) == NULL) {
        tool_die("%s", path);
    }
    fclose(file);
    return strtoull(text, NULL, 10);
}

static void
ask(struct load *load, struct client *client)
{
    client->got = 0;
    if (SSL_write(client->ssl, load->message, (int)load->size) !=
        (int)load->size) {
        tool_die("SSL_write");
    }
}

static void
dial(struct load *load, SSL_CTX *ctx, struct client *client, int port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 ||
        connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
        tool_die("connect");
    }
    client->ssl = make_ssl(ctx, fd);
    if (SSL_connect(client->ssl) != 1) {
        tool_die("SSL_connect");
    }
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        tool_die("fcntl");
    }
    watch(load->epoll, fd, client);
}

static void
hear(struct load *load, struct client *client)
{
    do {
        int n = SSL_read(client->ssl, buffer, sizeof(buffer));
        if (n <= 0) {
            if (waits(client->ssl, n)) {
                return;
            }
            tool_die("SSL_read");
        }
        size_t len = (size_t)n;
        if (client->got + len > load->size ||
            memcmp(buffer, load->message + client->got, len) != 0) {
            tool_die("an answer is not what was asked");
        }
        client->got += len;
    } while (client->got < load->size);
    load->total++;
    ask(load, client);
}

/* Ask and hear for so many nanoseconds. */
static void
go_on(struct load *load, uint64_t ns)
{
    struct epoll_event events[NEVENTS];
    uint64_t until = tool_now() + ns;

    while (tool_now() < until) {
        int n = epoll_wait(load->epoll, events, NEVENTS, 100);
        for (int i = 0; i < n; i++) {
            hear(load, events[i].data.ptr);
        }
    }
}

static void
run_load(SSL_CTX *ctx, int port, struct load *load, double seconds)
{
    uint64_t ns = (uint64_t)(seconds * 1e9);

    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < load->size; i++) {
        load->message[i] = (char)(i * 31);
    }
    for (size_t i = 0; i < load->nclients; i++) {
        dial(load, ctx, &load->clients[i], port);
        ask(load, &load->clients[i]);
    }
    go_on(load, ns / 5);
    uint64_t warm = load->total;
    uint64_t began = tool_now();
    uint64_t before = spent(load);
    go_on(load, ns);
    uint64_t cost = spent(load) - before;
    uint64_t took = tool_now() - began;
    uint64_t counted = load->total - warm;
    printf("{\"mode\": \"tls\", \"clients\": %zu, \"size\": %zu, "
           "\"total\": %llu, \"errors\": 0, "
           "\"rps\": %.1f, \"server_us\": %.3f}\n",
           load->nclients, load->size, (unsigned long long)counted,
           1e9 * (double)counted / (double)took,
           1e-3 * (double)cost / (double)(counted > 0 ? counted : 1));
}

static int
start_load(SSL_CTX *ctx, char **argv)
{
    struct load load = {0};
    int port = (int)tool_number("PORT", argv[2], 1, 65535);

    load.nclients = (size_t)tool_number("CLIENTS", argv[3], 1, 10000);
    load.size = (size_t)tool_number("SIZE", argv[5], 1, BUFFER);
    load.server = (int)tool_number("PID", argv[6], 1, 1e9);
    load.clients = calloc(load.nclients, sizeof(*load.clients));
    load.message = malloc(load.size);
    if (load.clients == NULL || load.message == NULL) {
        tool_die("memory");
    }
    run_load(ctx, port, &load, tool_number("SECONDS", argv[4], 0.01, 1000));
    return 0;
}

int
main(int argc, char **argv)
{
    tool_raise_nofile();
    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes, it does not send */
    if (argc == 5 && strcmp(argv[1], "serve") == 0) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
        if (SSL_CTX_use_certificate_chain_file(ctx, argv[3]) != 1 ||
            SSL_CTX_use_PrivateKey_file(ctx, argv[4], SSL_FILETYPE_PEM) != 1) {
            tool_die("a certificate or a key");
        }
        SSL_CTX_set_read_ahead(ctx, 1);
        int port = (int)tool_number("PORT", argv[2], 1, 65535);
        run_server(ctx, tool_listen(port, BACKLOG));
    }
    if (argc == 7 && strcmp(argv[1], "load") == 0) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
        (void)SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
        return start_load(ctx, argv);
    }
    fprintf(stderr, "usage: tls serve PORT CHAIN KEY\n"
                    "       tls load PORT CLIENTS SECONDS SIZE PID\n");
    return 2;
}
