/* SPDX-License-Identifier: MIT */
/*
 * Answers, and the lists that callers get of them.
 *
 * Threads: see answer.h.
 *
 * Tests: unit/test_resolve.c
 */
#include "names/answer.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* One of a list's, with its address; they lie in one block, and behind them
   the name. */
struct piece {
    struct addrinfo info;
    union cel__answer_addr addr;
};

struct cel__answer *
cel__answer_make(size_t naddrs, const char *canon)
{
    size_t len = strlen(canon) + 1;
    size_t size = sizeof(struct cel__answer) +
                  naddrs * sizeof(union cel__answer_addr);
    struct cel__answer *answer = cel__alloc_zeroed(1, size + len);

    if (answer == NULL) {
        return NULL;
    }
    answer->refs = 1;
    answer->naddrs = naddrs;
    answer->canon = (char *)answer + size;
    memcpy(answer->canon, canon, len);
    return answer;
}

void
cel__answer_ref(struct cel__answer *answer)
{
    answer->refs++;
}

void
cel__answer_unref(struct cel__answer *answer)
{
    if (answer != NULL && --answer->refs == 0) {
        free(answer);
    }
}

/* A list of `n`, zeroed but for its links; `canon` may be NULL. */
static struct piece *
make_list(size_t n, const char *canon)
{
    size_t len = canon == NULL ? 0 : strlen(canon) + 1;
    struct piece *list = cel__alloc_zeroed(1, n * sizeof(*list) + len);

    if (list == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        list[i].info.ai_addr = &list[i].addr.any;
        list[i].info.ai_next = i + 1 < n ? &list[i + 1].info : NULL;
    }
    if (canon != NULL) {
        list[0].info.ai_canonname = (char *)(list + n);
        memcpy(list[0].info.ai_canonname, canon, len);
    }
    return list;
}

static size_t
count(const struct addrinfo *list)
{
    size_t n = 0;

    for (; list != NULL; list = list->ai_next) {
        n++;
    }
    return n;
}

static void
fill(struct piece *piece, const union cel__answer_addr *addr,
     const struct addrinfo *kind)
{
    struct sockaddr_in port;

    memcpy(&port, kind->ai_addr, sizeof(port));
    piece->addr = *addr;
    piece->info.ai_family = addr->any.sa_family;
    piece->info.ai_socktype = kind->ai_socktype;
    piece->info.ai_protocol = kind->ai_protocol;
    if (addr->any.sa_family == AF_INET6) {
        piece->addr.in6.sin6_port = port.sin_port;
        piece->info.ai_addrlen = sizeof(addr->in6);
    }
    else {
        piece->addr.in.sin_port = port.sin_port;
        piece->info.ai_addrlen = sizeof(addr->in);
    }
}

struct addrinfo *
cel__answer_list(const struct cel__answer *answer,
                 const struct addrinfo *kinds, bool canon)
{
    struct piece *list = make_list(answer->naddrs * count(kinds),
                                   canon ? answer->canon : NULL);
    struct piece *piece = list;

    if (list == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < answer->naddrs; i++) {
        for (const struct addrinfo *kind = kinds; kind != NULL;
             kind = kind->ai_next) {
            fill(piece++, &answer->addrs[i], kind);
        }
    }
    return &list->info;
}

struct addrinfo *
cel__answer_copy(const struct addrinfo *list)
{
    struct piece *copy = make_list(count(list), list->ai_canonname);
    struct piece *piece = copy;

    if (copy == NULL) {
        return NULL;
    }
    for (; list != NULL; list = list->ai_next, piece++) {
        size_t len = list->ai_addrlen;
        /* Both families that there are fit. */
        if (len > sizeof(piece->addr)) {
            len = sizeof(piece->addr);
        }
        memcpy(&piece->addr, list->ai_addr, len);
        piece->info.ai_flags = list->ai_flags;
        piece->info.ai_family = list->ai_family;
        piece->info.ai_socktype = list->ai_socktype;
        piece->info.ai_protocol = list->ai_protocol;
        piece->info.ai_addrlen = (socklen_t)len;
    }
    return &copy->info;
}
