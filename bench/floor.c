/* SPDX-License-Identifier: MIT */
/*
 * The floor: servers that do nothing but the system calls.
 *
 *     floor http PORT         accept4, recv, five sends, close a connection
 *     floor short PORT        the same with one send
 *     floor echo PORT         recv, send a message
 *     floor file PORT PATH    accept4, recv, send, sendfile, close: one
 *                             connection after the other, blocking
 *
 * One thread, edge-triggered epoll, each descriptor registered once, no
 * parsing, no memory allocated per connection.  `http` makes the very calls
 * that examples/showtime/server.py makes; what that server is slower by is
 * what its language and its concurrency cost.
 *
 * A connection that has just been accepted is read at once: a client speaks
 * first here, so the bytes are mostly there already, and a connection that
 * never waits is never registered.
 *
 * A file's MiB does not fit into a socket's buffer, so `file` waits for each;
 * nothing can send one with fewer calls.
 *
 * Not here: another send that would block (answers are far smaller than a
 * socket buffer; such a connection is dropped), and any error but a lost peer.
 */
#include "tool/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    NEVENTS = 256,
    BACKLOG = 1024,
    BUFFER = 65536,
    FILE_SIZE = 1 << 20
};

/* What became of a connection after it was served. */
enum verdict {
    KEEP,
    DROP
};

typedef enum verdict serve_fn(int fd);

static char buffer[BUFFER];

static bool
send_all(int fd, const char *text, size_t len)
{
    return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static enum verdict
serve_http(int fd)
{
    static const char *const answer[] = {
        "HTTP/1.0 200 OK\r\n",
        "Content-Type: text/plain\r\n",
        "Content-Length: 5\r\n",
        "\r\n",
        "hello",
    };

    ssize_t n = recv(fd, buffer, 1024, 0);
    if (n < 0 && errno == EAGAIN) {
        return KEEP;
    }
    for (size_t i = 0; n > 0 && i < sizeof(answer) / sizeof(*answer); i++) {
        if (!send_all(fd, answer[i], strlen(answer[i]))) {
            break;
        }
    }
    return DROP;
}

static enum verdict
serve_short(int fd)
{
    static const char answer[] = "HTTP/1.0 200 OK\r\n\r\nhello";

    ssize_t n = recv(fd, buffer, 1024, 0);
    if (n < 0 && errno == EAGAIN) {
        return KEEP;
    }
    if (n > 0) {
        (void)send_all(fd, answer, sizeof(answer) - 1);
    }
    return DROP;
}

static enum verdict
serve_echo(int fd)
{
    for (;;) {
        ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
        if (n < 0 && errno == EAGAIN) {
            return KEEP;
        }
        if (n <= 0 || !send_all(fd, buffer, (size_t)n)) {
            return DROP;
        }
        /* A short read has emptied the socket; the next byte to come is a
           new edge, so another recv() could only find EAGAIN. */
        if ((size_t)n < sizeof(buffer)) {
            return KEEP;
        }
    }
}

static void
watch(int epoll, int fd)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLET,
        .data.fd = fd,
    };

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        tool_die("epoll_ctl");
    }
}

static void
accept_all(int epoll, int listener, serve_fn *serve)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EAGAIN) {
                return;
            }
            if (errno == ECONNABORTED || errno == EINTR) {
                continue;
            }
            tool_die("accept4");
        }
        if (serve(fd) == DROP) {
            close(fd);
        }
        else {
            watch(epoll, fd);
        }
    }
}

static _Noreturn void
send_files(int listener, const char *path)
{
    static const char head[] = "HTTP/1.0 200 OK\r\n\r\n";
    int file = open(path, O_RDONLY | O_CLOEXEC);

    if (file < 0 || fcntl(listener, F_SETFL, 0) < 0) {
        tool_die("%s", path);
    }
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        off_t at = 0;
        if (recv(fd, buffer, 1024, 0) > 0 &&
            send_all(fd, head, sizeof(head) - 1)) {
            while (at < FILE_SIZE &&
                   sendfile(fd, file, &at, FILE_SIZE - (size_t)at) > 0) {
                continue;
            }
        }
        (void)close(fd);
    }
}

static void
run(int listener, serve_fn *serve)
{
    struct epoll_event events[NEVENTS];
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    watch(epoll, listener);
    for (;;) {
        int n = epoll_wait(epoll, events, NEVENTS, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                accept_all(epoll, listener, serve);
            }
            else if (serve(fd) == DROP) {
                close(fd);
            }
        }
    }
}

static serve_fn *
find(const char *mode)
{
    return strcmp(mode, "http") == 0    ? serve_http
           : strcmp(mode, "short") == 0 ? serve_short
           : strcmp(mode, "echo") == 0  ? serve_echo
                                        : NULL;
}

int
main(int argc, char **argv)
{
    bool files = argc == 4 && strcmp(argv[1], "file") == 0;
    serve_fn *serve = argc == 3 ? find(argv[1]) : NULL;

    if (!files && serve == NULL) {
        fprintf(stderr, "usage: floor http|short|echo PORT\n"
                        "       floor file PORT PATH\n");
        return 2;
    }
    tool_raise_nofile();
    (void)signal(SIGPIPE, SIG_IGN);
    int listener = tool_listen((int)tool_number("PORT", argv[2], 1, 65535),
                               BACKLOG);
    if (files) {
        send_files(listener, argv[3]);
    }
    run(listener, serve);
}
