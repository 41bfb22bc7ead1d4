/* SPDX-License-Identifier: MIT */
/*
 * State Threads among the servers that bench/net.py compares; see ../serve.c.
 *
 *     serve_st echo|short PORT
 */
#include <arpa/inet.h>
#include <st.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char hello[] = "HTTP/1.0 200 OK\r\n\r\nhello";

static void *
echo(void *arg)
{
    st_netfd_t conn = arg;
    char buf[4096];
    ssize_t n;

    while ((n = st_read(conn, buf, sizeof(buf), ST_UTIME_NO_TIMEOUT)) > 0) {
        if (st_write(conn, buf, (size_t)n, ST_UTIME_NO_TIMEOUT) < n) {
            break;
        }
    }
    st_netfd_close(conn);
    return NULL;
}

static void *
answer(void *arg)
{
    st_netfd_t conn = arg;
    char request[1024];

    if (st_read(conn, request, sizeof(request), ST_UTIME_NO_TIMEOUT) > 0) {
        st_write(conn, hello, sizeof(hello) - 1, ST_UTIME_NO_TIMEOUT);
    }
    st_netfd_close(conn);
    return NULL;
}

int
main(int argc, char **argv)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;

    if (argc != 3) {
        return 2;
    }
    addr.sin_port = htons((unsigned short)atoi(argv[2]));
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ||
        listen(fd, 1024) < 0 || st_set_eventsys(ST_EVENTSYS_ALT) < 0 ||
        st_init() < 0) {
        return 1;
    }
    st_netfd_t listener = st_netfd_open_socket(fd);
    for (;;) {
        st_netfd_t conn = st_accept(listener, NULL, NULL, ST_UTIME_NO_TIMEOUT);
        if (conn == NULL ||
            st_thread_create(strcmp(argv[1], "short") == 0 ? answer : echo,
                             conn, 0, 32768) == NULL) {
            return 1;
        }
    }
}
