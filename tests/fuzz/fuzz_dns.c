/* SPDX-License-Identifier: MIT */
/*
 * Look-ups whose name server says anything: an answer, none, an error, but
 * nothing beyond what it sent.
 *
 * The question is repeated as it came, so that c-ares believes it; what is
 * made up is the rest of the header, and what follows.
 */
#include <celadon.h>

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "fuzz.h"

enum {
    HEAD = 12,
    ID = 2 /* bytes of the header that are the question's */
};

struct server {
    int fd;
    const uint8_t *data;
    size_t size;
};

static void
serve(void *arg)
{
    const struct server *server = arg;
    struct sockaddr_in from;
    uint8_t bytes[4096];
    ssize_t n;

    for (;;) {
        socklen_t len = sizeof(from);
        n = cel_recvfrom(server->fd, bytes, 512, (struct sockaddr *)&from,
                         &len, CEL_FOREVER);
        if (n < HEAD) {
            break;
        }
        size_t rest = server->size - (HEAD - ID);
        memcpy(bytes + ID, server->data, HEAD - ID);
        memcpy(bytes + n, server->data + (HEAD - ID), rest);
        if (cel_sendto(server->fd, bytes, (size_t)n + rest,
                       (struct sockaddr *)&from, len, CEL_FOREVER) < 0) {
            break;
        }
    }
}

static void
look(struct addrinfo *found)
{
    MUST(found != NULL);
    for (const struct addrinfo *one = found; one != NULL; one = one->ai_next) {
        size_t size = one->ai_family == AF_INET ? sizeof(struct sockaddr_in)
                                                : sizeof(struct sockaddr_in6);
        MUST(one->ai_addrlen == size);
        MUST(one->ai_addr->sa_family == one->ai_family);
    }
    MUST(found->ai_canonname != NULL && strlen(found->ai_canonname) < 1024);
    cel_resolve_free(found);
}

static int
ask(void *arg)
{
    static const struct addrinfo hints = {.ai_flags = AI_CANONNAME,
                                          .ai_socktype = SOCK_STREAM};
    struct server *server = arg;
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof(in);
    char text[32];
    cel_coro *coro;

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->fd = cel_udp((struct sockaddr *)&in, sizeof(in), 0);
    MUST(server->fd >= 0);
    MUST(getsockname(server->fd, (struct sockaddr *)&in, &len) == 0);
    (void)snprintf(text, sizeof(text), "127.0.0.1:%d", ntohs(in.sin_port));
    MUST(setenv("CELADON_DNS", text, 1) == 0);
    MUST(cel_go(&coro, serve, server) == 0);
    for (int i = 0; i < 2; i++) { /* once more, of what is remembered */
        struct addrinfo *found = NULL;
        int err = cel_resolve("host.test.", "80", &hints, &found,
                              cel_after(5 * CEL_MSEC));
        MUST(err == 0 || err == -ENOENT || err == -EAGAIN || err == -EIO ||
             err == -ETIMEDOUT);
        if (err == 0) {
            look(found);
        }
    }
    cel_cancel(coro);
    MUST(cel_join(coro, CEL_FOREVER) == 0);
    MUST(cel_close(server->fd) == 0);
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct server server = {-1, data, size};

    if (size < HEAD - ID || size > 2048) {
        return 0;
    }
    MUST(setenv("CELADON_RESOLVER", "ares", 1) == 0);
    MUST(cel_run(ask, &server, NULL) == 0);
    return 0;
}
