/* SPDX-License-Identifier: MIT */
/*
 * Where to connect to or listen at, as text.
 *
 * Threads: see celadon/dial.h.
 *
 * Tests: unit/test_dial.c
 */
#include "celadon/dial.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <string.h>

#include "celadon/net.h"
#include "celadon/resolve.h"
#include "names/place.h"
#include "names/race.h"
#include "sched/worker.h"

static bool
is_unix(const char *text)
{
    return strncmp(text, "unix:", 5) == 0;
}

static int
dial_unix(const char *text, cel_time deadline)
{
    struct sockaddr_storage addr;
    socklen_t len;

    int err = cel_addr_parse(text, &addr, &len);
    return err < 0
               ? err
               : cel_connect((const struct sockaddr *)&addr, len, deadline);
}

int
cel_dial(const char *host, const char *service, cel_time deadline)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct cel__worker *worker = cel__worker();
    struct addrinfo *found;
    struct cel__place place;

    if (worker == NULL) {
        return -EPERM;
    }
    if (host == NULL) {
        return -EINVAL;
    }
    if (service == NULL) {
        if (is_unix(host)) {
            return dial_unix(host, deadline);
        }
        if (!cel__place_read(host, &place) || place.host[0] == '\0') {
            return -EINVAL;
        }
        host = place.host;
        service = place.service;
    }
    int err = cel_resolve(host, service, &hints, &found, deadline);
    if (err < 0) {
        return err;
    }
    int fd = cel__race_connect(worker, found, deadline);
    cel_resolve_free(found);
    return fd;
}

static int
listen_unix(const char *where, int backlog, int flags)
{
    struct sockaddr_storage addr;
    socklen_t len;

    int err = cel_addr_parse(where, &addr, &len);
    return err < 0 ? err
                   : cel_listen((const struct sockaddr *)&addr, len, backlog,
                                flags);
}

/* Listen at the first address of `place`, of `family`, that can be had. */
static int
listen_of(const struct cel__place *place, int family, int backlog, int flags,
          cel_time deadline)
{
    bool any = place->host[0] == '\0';
    const struct addrinfo hints = {
        .ai_flags = AI_PASSIVE,
        .ai_family = family,
        .ai_socktype = SOCK_STREAM,
    };
    struct addrinfo *found;

    int fd = cel_resolve(any ? NULL : place->host, place->service, &hints,
                         &found, deadline);
    if (fd < 0) {
        return fd;
    }
    for (const struct addrinfo *one = found; one != NULL; one = one->ai_next) {
        fd = cel_listen(one->ai_addr, one->ai_addrlen, backlog, flags);
        if (fd >= 0) {
            break;
        }
    }
    cel_resolve_free(found);
    return fd;
}

int
cel_listen_at(const char *where, int backlog, int flags, cel_time deadline)
{
    struct cel__place place;

    if (cel__worker() == NULL) {
        return -EPERM;
    }
    if (is_unix(where)) {
        return listen_unix(where, backlog, flags);
    }
    if (!cel__place_read(where, &place)) {
        return -EINVAL;
    }
    if (strcmp(place.host, "*") == 0) {
        place.host[0] = '\0';
        return listen_of(&place, AF_INET, backlog, flags, deadline);
    }
    if (place.host[0] != '\0') {
        return listen_of(&place, AF_UNSPEC, backlog, flags, deadline);
    }
    int fd = listen_of(&place, AF_INET6, backlog, flags, deadline);
    if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) {
        fd = listen_of(&place, AF_INET, backlog, flags, deadline);
    }
    return fd;
}
