/* SPDX-License-Identifier: MIT */
/*
 * Numeric addresses as text, and back.
 *
 * Threads: any.
 *
 * Tests: unit/test_addr.c
 */
#include "celadon/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define UNIX_PREFIX "unix:"

/* Where a unix address's path begins. */
#define PATH_OFFSET offsetof(struct sockaddr_un, sun_path)

/* Any address, as large as it needs to be. */
union any {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_storage storage;
};

/* A decimal number of at most `most`, all of `text`; -1: it is none. */
static long
parse_number(const char *text, long most)
{
    long number = 0;

    if (*text == '\0') {
        return -1;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return -1;
        }
        number = 10 * number + (*text - '0');
        if (number > most) {
            return -1;
        }
    }
    return number;
}

/* A scope: an interface's name or number; 0: there is none such. */
static uint32_t
parse_scope(const char *text)
{
    uint32_t index = if_nametoindex(text);

    if (index == 0) {
        long number = parse_number(text, INT32_MAX);
        index = number > 0 ? (uint32_t)number : 0;
    }
    return index;
}

/* "::1" or "fe80::1%eth0", cut into pieces. */
static bool
parse_host6(char *host, struct sockaddr_in6 *in6)
{
    char *percent = strchr(host, '%');

    if (percent != NULL) {
        *percent = '\0';
        in6->sin6_scope_id = parse_scope(percent + 1);
        if (in6->sin6_scope_id == 0) {
            return false;
        }
    }
    return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1;
}

/* "127.0.0.1:80", "[::1]:80", "*:80". */
static bool
parse_inet(const char *text, union any *any, socklen_t *len)
{
    const char *colon = strrchr(text, ':');
    char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 2]; /* brackets, no NUL yet */

    if (colon == NULL || (size_t)(colon - text) >= sizeof(host)) {
        return false;
    }
    size_t n = (size_t)(colon - text);
    memcpy(host, text, n);
    host[n] = '\0';
    long port = parse_number(colon + 1, UINT16_MAX);
    if (port < 0) {
        return false;
    }
    if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        any->in6.sin6_family = AF_INET6;
        any->in6.sin6_port = htons((uint16_t)port);
        *len = sizeof(any->in6);
        return parse_host6(host + 1, &any->in6);
    }
    any->in.sin_family = AF_INET;
    any->in.sin_port = htons((uint16_t)port);
    *len = sizeof(any->in);
    if (strcmp(host, "*") == 0) {
        any->in.sin_addr.s_addr = htonl(INADDR_ANY);
        return true;
    }
    return inet_pton(AF_INET, host, &any->in.sin_addr) == 1;
}

/* "/run/server.sock", "@name". */
static bool
parse_unix(const char *name, union any *any, socklen_t *len)
{
    size_t n = strlen(name);

    if (n == 0 || n >= sizeof(any->un.sun_path) || strcmp(name, "@") == 0) {
        return false;
    }
    any->un.sun_family = AF_UNIX;
    memcpy(any->un.sun_path, name, n);
    if (name[0] == '@') {
        any->un.sun_path[0] = '\0';
        *len = (socklen_t)(PATH_OFFSET + n);
    }
    else {
        *len = (socklen_t)(PATH_OFFSET + n + 1);
    }
    return true;
}

int
cel_addr_parse(const char *text, struct sockaddr_storage *addr,
               socklen_t *addrlen)
{
    union any any;
    socklen_t len;
    bool good;

    memset(&any, 0, sizeof(any));
    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0) {
        good = parse_unix(text + strlen(UNIX_PREFIX), &any, &len);
    }
    else {
        good = parse_inet(text, &any, &len);
    }
    if (!good) {
        return -EINVAL;
    }
    *addr = any.storage;
    *addrlen = len;
    return 0;
}

static void
format_unix(const struct sockaddr_un *un, socklen_t len, char *text)
{
    size_t n = len - PATH_OFFSET;
    const char *path = un->sun_path;

    text += sprintf(text, UNIX_PREFIX);
    if (n > 0 && path[0] == '\0') {
        *text++ = '@';
        path++;
        n--;
    }
    else {
        n = strnlen(path, n);
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)path[i];
        *text++ = path[i];
        if (c < ' ' || c == 0x7f) {
            text[-1] = '?';
        }
    }
    *text = '\0';
}

static void
format_inet(const struct sockaddr_in *in, char *text)
{
    char host[INET_ADDRSTRLEN];

    (void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
    (void)sprintf(text, "%s:%u", host, ntohs(in->sin_port));
}

static void
format_inet6(const struct sockaddr_in6 *in6, char *text)
{
    char host[INET6_ADDRSTRLEN];
    char name[IF_NAMESIZE];
    char scope[IF_NAMESIZE + 1] = "";

    (void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
    if (in6->sin6_scope_id != 0) {
        if (if_indextoname(in6->sin6_scope_id, name) == NULL) {
            (void)snprintf(name, sizeof(name), "%u", in6->sin6_scope_id);
        }
        (void)snprintf(scope, sizeof(scope), "%%%s", name);
    }
    (void)sprintf(text, "[%s%s]:%u", host, scope, ntohs(in6->sin6_port));
}

int
cel_addr_format(const struct sockaddr *addr, socklen_t addrlen, char *text,
                size_t size)
{
    char whole[CEL_ADDR_TEXT];
    union any any;

    if (addrlen < sizeof(addr->sa_family) || addrlen > sizeof(any)) {
        return -EINVAL;
    }
    memset(&any, 0, sizeof(any));
    memcpy(&any, addr, addrlen);
    if (any.any.sa_family == AF_INET && addrlen >= sizeof(any.in)) {
        format_inet(&any.in, whole);
    }
    else if (any.any.sa_family == AF_INET6 && addrlen >= sizeof(any.in6)) {
        format_inet6(&any.in6, whole);
    }
    else if (any.any.sa_family == AF_UNIX && addrlen <= sizeof(any.un)) {
        format_unix(&any.un, addrlen, whole);
    }
    else {
        return -EINVAL;
    }
    size_t n = strlen(whole);
    if (n >= size) {
        return -ENOSPC;
    }
    memcpy(text, whole, n + 1);
    return (int)n;
}
