/* SPDX-License-Identifier: MIT */
/*
 * What a look-up found: addresses, the name they belong to, for how long.
 *
 * An answer is shared by the cache and those who asked; the last lets it go.
 * To the caller goes a list of struct addrinfo, one block of memory whoever
 * found it, so that one free(3) releases it.
 *
 * Threads: an answer's worker; lists: any.
 *
 * Tests: unit/test_resolve.c
 */
#ifndef CEL_ANSWER_H
#define CEL_ANSWER_H

#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* An address without its port; the family tells which. */
union cel__answer_addr {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

struct cel__answer {
    unsigned refs;
    uint32_t ttl; /* seconds that it holds from when it came */
    size_t naddrs;
    char *canon; /* the name behind all aliases; after addrs */
    union cel__answer_addr addrs[];
};

/* An answer with room for `naddrs` addresses, zeroed, and one reference.
   NULL: memory is short. */
struct cel__answer *cel__answer_make(size_t naddrs, const char *canon);

void cel__answer_ref(struct cel__answer *answer);

/* Let go of one reference; NULL is allowed. */
void cel__answer_unref(struct cel__answer *answer);

/*
 * The list for a caller: each address with each of `kinds`, whose addresses
 * are of IPv4 and give the port.  `canon`: with the name, as AI_CANONNAME
 * asks.  NULL: memory is short.
 */
struct addrinfo *cel__answer_list(const struct cel__answer *answer,
                                  const struct addrinfo *kinds, bool canon);

/* A copy of the C library's list.  NULL: memory is short. */
struct addrinfo *cel__answer_copy(const struct addrinfo *list);

#endif
