/* SPDX-License-Identifier: MIT */
/*
 * One client of the load generator; see client.h.
 *
 * The descriptor is non-blocking from birth, so connect() returns at once.
 * On loopback the handshake is over by then, for the kernel has run both ends
 * of it inside the call: the request is sent straight away, and only where
 * that fails does the client wait to be writable.
 *
 * Which end closes first matters.  Here it is the server (http) or the end of
 * the run (echo), so no TIME_WAIT is left on this side and its ports can be
 * used again at once.  Where they run out nevertheless, later clients come
 * from another loopback address, which has ports of its own.
 */
#include "client.h"
#include "tool.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LAST_SOURCE = 254,
    MAX_SOURCES = 16
};

static char out[CLIENT_MAX_SIZE];
static char in[65536];

static const char http_request[] = "GET / HTTP/1.0\r\n"
                                   "Host: 127.0.0.1\r\n"
                                   "Accept: */*\r\n"
                                   "\r\n";

static void
end(struct load *load, struct client *client)
{
    close(client->fd);
    client->state = CLIENT_IDLE;
    load->active--;
}

static void
fail(struct load *load, struct client *client)
{
    load->errors++;
    end(load, client);
}

static void
answered(struct load *load, const struct client *client, uint64_t now)
{
    load->total++;
    if (load->measuring && !load->stopping) {
        hist_add(&load->hist, now - client->began);
    }
}

/* Write the client's message to out[]: it differs from every other that is
   under way, so that no answer can be taken for another's. */
static void
compose(const struct load *load, const struct client *client)
{
    uint32_t tag[2] = {client->serial, (uint32_t)client->fd};

    if (out[load->size - 1] != 'x') {
        memset(out, 'x', sizeof(out));
    }
    memcpy(out, tag, sizeof(tag));
}

/* Send the request.  0 when it is gone, -EAGAIN when it must wait. */
static int
ask(const struct load *load, struct client *client)
{
    const char *text = http_request;
    size_t len = sizeof(http_request) - 1;

    client->serial++;
    client->got = 0;
    if (!load->http) {
        compose(load, client);
        text = out;
        len = load->size;
    }
    ssize_t n = send(client->fd, text, len, MSG_NOSIGNAL);
    if (n == (ssize_t)len) {
        client->state = CLIENT_READING;
        return 0;
    }
    return n < 0 && errno == EAGAIN ? -EAGAIN : -EIO;
}

static int
come_from(const struct load *load, int fd)
{
    static const int on = 1;
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl((INADDR_LOOPBACK & ~0xffU) | load->source),
    };

    if (load->source == 0) {
        return 0;
    }
    /* Without this option bind() would choose the port itself, and choose
       one that is free towards every destination: far fewer. */
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    return bind(fd, (const struct sockaddr *)&addr, sizeof(addr));
}

/* A descriptor on its way to the server, or -1. */
static int
dial(struct load *load)
{
    static const int on = 1;

    for (int tries = 0; tries < MAX_SOURCES; tries++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                        0);
        if (fd < 0) {
            return -1;
        }
        if (!load->http) {
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        }
        if (come_from(load, fd) == 0 &&
            (connect(fd, (const struct sockaddr *)&load->server,
                     sizeof(load->server)) == 0 ||
             errno == EINPROGRESS)) {
            return fd;
        }
        int err = errno;
        close(fd);
        if (err != EADDRNOTAVAIL) {
            return -1;
        }
        load->source = load->source < LAST_SOURCE ? load->source + 1 : 2;
    }
    return -1;
}

void
client_begin(struct load *load, struct client *client)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLRDHUP | EPOLLET,
        .data.ptr = client,
    };

    client->began = tool_now();
    client->fd = dial(load);
    if (client->fd < 0) {
        load->errors++;
        return;
    }
    client->state = CLIENT_CONNECTING;
    load->active++;
    int err = ask(load, client);
    if (err == -EAGAIN) {
        event.events |= EPOLLOUT;
    }
    else if (err < 0) {
        fail(load, client);
        return;
    }
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event) < 0) {
        fail(load, client);
    }
}

/* Take n bytes of an answer from in[]; false if they are not what they
   should be. */
static bool
take(const struct load *load, struct client *client, size_t n)
{
    size_t at = client->got;

    client->got += n;
    if (load->http) {
        if (at < CLIENT_HEAD) {
            size_t room = CLIENT_HEAD - at;
            memcpy(client->head + at, in, n < room ? n : room);
        }
        return true;
    }
    compose(load, client);
    return client->got <= load->size && memcmp(out + at, in, n) == 0;
}

static void
finish_http(struct load *load, struct client *client)
{
    if (client->got <= CLIENT_HEAD ||
        memcmp(client->head, "HTTP/1.", 7) != 0 ||
        memcmp(client->head + 8, " 200", 4) != 0) {
        fail(load, client);
        return;
    }
    answered(load, client, tool_now());
    end(load, client);
    if (!load->stopping) {
        client_begin(load, client);
    }
}

static void
finish_echo(struct load *load, struct client *client)
{
    uint64_t now = tool_now();

    answered(load, client, now);
    if (load->stopping) {
        end(load, client);
        return;
    }
    client->began = now;
    if (ask(load, client) < 0) {
        fail(load, client);
    }
}

static void
read_answer(struct load *load, struct client *client)
{
    for (;;) {
        ssize_t n = recv(client->fd, in, sizeof(in), 0);
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n == 0 && load->http) {
            finish_http(load, client);
            return;
        }
        if (n <= 0 || !take(load, client, (size_t)n)) {
            fail(load, client);
            return;
        }
        if (!load->http) {
            /* A short read has emptied the socket. */
            if (client->got == load->size) {
                finish_echo(load, client);
            }
            return;
        }
    }
}

void
client_event(struct load *load, struct client *client, uint32_t events)
{
    if (client->state == CLIENT_CONNECTING) {
        int err = ask(load, client);
        if (err < 0 && err != -EAGAIN) {
            fail(load, client);
        }
        return;
    }
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        read_answer(load, client);
    }
}
