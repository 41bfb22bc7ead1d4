/* SPDX-License-Identifier: MIT */
/*
 * Names to addresses, by c-ares or by the C library's resolver on the pool.
 *
 * Which of them is a matter of names/choice.c; some questions only the C
 * library can answer.  Its question is copied to the heap, for its answer may
 * come when nobody waits for it any more.  Numeric hosts and ports need no
 * question and are read on the spot.
 *
 * c-ares is asked for addresses alone.  What kinds of sockets there are, and
 * the port, the C library tells by what it says of no host at all.
 *
 * Threads: see celadon/resolve.h.
 *
 * Tests: unit/test_resolve.c, unit/test_ares.c
 */
#include "celadon/resolve.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "celadon/pool.h"
#include "names/answer.h"
#include "names/ares.h"
#include "names/choice.h"
#include "sched/io.h"

struct question {
    struct addrinfo hints;
    struct addrinfo *found;
    const char *host;    /* in text, or NULL */
    const char *service; /* in text, or NULL */
    char text[];
};

static int
code_of(int eai)
{
    switch (eai) {
    case 0:
        return 0;
    case EAI_NONAME:
    case EAI_NODATA:
        return -ENOENT;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_FAMILY:
    case EAI_ADDRFAMILY:
        return -EAFNOSUPPORT;
    case EAI_SOCKTYPE:
        return -ESOCKTNOSUPPORT;
    case EAI_SERVICE:
        return -EPROTONOSUPPORT;
    case EAI_BADFLAGS:
        return -EINVAL;
    case EAI_MEMORY:
        return -ENOMEM;
    default:
        return -EIO;
    }
}

/* Its errno is read straight after, and nothing suspends in it. */
static int
ask(const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **found)
{
    int err = cel__fault("getaddrinfo");

    if (err != 0) {
        return -err;
    }
    struct addrinfo *list;
    int eai = getaddrinfo(host, service, hints, &list);
    if (eai != 0) {
        return eai == EAI_SYSTEM ? -errno : code_of(eai);
    }
    struct addrinfo *copy = cel__answer_copy(list);
    freeaddrinfo(list);
    if (copy == NULL) {
        return -ENOMEM;
    }
    *found = copy;
    return 0;
}

static int
run(void *arg)
{
    struct question *self = arg;

    return ask(self->host, self->service, &self->hints, &self->found);
}

static void
release(void *arg)
{
    struct question *self = arg;

    cel_resolve_free(self->found);
    free(self);
}

/* Append a copy of `string`, which may be NULL, and move `*to` behind it. */
static const char *
copy(char **to, const char *string)
{
    if (string == NULL) {
        return NULL;
    }
    char *start = *to;
    size_t size = strlen(string) + 1;

    memcpy(start, string, size);
    *to += size;
    return start;
}

static struct question *
make_question(const char *host, const char *service,
              const struct addrinfo *hints)
{
    size_t len = (host == NULL ? 0 : strlen(host) + 1) +
                 (service == NULL ? 0 : strlen(service) + 1);
    struct question *self = cel__alloc_zeroed(1, sizeof(*self) + len);

    if (self == NULL) {
        return NULL;
    }
    char *end = self->text;
    self->host = copy(&end, host);
    self->service = copy(&end, service);
    self->hints = *hints;
    return self;
}

/* A name of a service is looked up, perhaps far away, as a host's is. */
static bool
is_numeric(const char *service)
{
    return service == NULL || (*service >= '0' && *service <= '9');
}

/* glibc takes the last 16 bits of any number for a port. */
static bool
is_above_ports(const char *service)
{
    char *end;

    if (service == NULL || !is_numeric(service)) {
        return false;
    }
    return strtoul(service, &end, 10) > UINT16_MAX && *end == '\0';
}

/* getaddrinfo() on a thread of the pool.  Suspends. */
static int
ask_on_pool(const char *host, const char *service,
            const struct addrinfo *hints, struct addrinfo **out,
            cel_time deadline)
{
    struct question *self = make_question(host, service, hints);

    if (self == NULL) {
        return -ENOMEM;
    }
    int answer = 0;
    int err = cel_offload(&answer, run, self, release, deadline);
    if (err == -ETIMEDOUT || err == -ECANCELED) {
        return err; /* the question went with it */
    }
    if (err == 0 && answer == 0) {
        *out = self->found;
        self->found = NULL;
    }
    release(self);
    return err < 0 ? err : answer;
}

/* Whether c-ares can answer for what `hints` ask. */
static bool
suits_ares(const struct addrinfo *hints)
{
    const int known = AI_PASSIVE | AI_CANONNAME | AI_NUMERICSERV |
                      AI_ADDRCONFIG | AI_V4MAPPED;

    /* IPv4 addresses as IPv6's are made for AF_INET6 alone. */
    return (hints->ai_flags & ~known) == 0 &&
           (hints->ai_family == AF_INET || hints->ai_family == AF_UNSPEC ||
            (hints->ai_family == AF_INET6 &&
             (hints->ai_flags & AI_V4MAPPED) == 0));
}

/*
 * AF_UNSPEC narrowed, as AI_ADDRCONFIG has it: where this machine has
 * addresses of one family alone, but for its loopback, the other's are of no
 * use.
 */
static int
configured_family(void)
{
    struct ifaddrs *all;
    bool has4 = false;
    bool has6 = false;

    if (getifaddrs(&all) != 0) {
        return AF_UNSPEC;
    }
    for (struct ifaddrs *one = all; one != NULL; one = one->ifa_next) {
        if (one->ifa_addr != NULL && (one->ifa_flags & IFF_LOOPBACK) == 0) {
            has4 |= one->ifa_addr->sa_family == AF_INET;
            has6 |= one->ifa_addr->sa_family == AF_INET6;
        }
    }
    freeifaddrs(all);
    return has4 == has6 ? AF_UNSPEC : has4 ? AF_INET : AF_INET6;
}

/* The kinds of sockets that `hints` admit, with the port.  Suspends where
   `service` is a name. */
static int
find_kinds(const char *service, const struct addrinfo *hints,
           struct addrinfo **kinds, cel_time deadline)
{
    struct addrinfo how = {
        .ai_flags = AI_PASSIVE | (hints->ai_flags & AI_NUMERICSERV),
        .ai_family = AF_INET,
        .ai_socktype = hints->ai_socktype,
        .ai_protocol = hints->ai_protocol,
    };

    if (is_numeric(service)) {
        return ask(NULL, service == NULL ? "0" : service, &how, kinds);
    }
    return ask_on_pool(NULL, service, &how, kinds, deadline);
}

static int
ask_ares(struct cel__worker *worker, const char *host, const char *service,
         const struct addrinfo *hints, struct addrinfo **out,
         cel_time deadline)
{
    int family = hints->ai_family;
    struct cel__answer *answer;
    struct addrinfo *kinds = NULL;

    if (family == AF_UNSPEC && (hints->ai_flags & AI_ADDRCONFIG) != 0) {
        family = configured_family();
    }
    int err = find_kinds(service, hints, &kinds, deadline);
    if (err < 0) {
        return err;
    }
    err = cel__ares_resolve(worker, host, family, deadline, &answer);
    if (err == 0) {
        struct addrinfo *list = cel__answer_list(
            answer, kinds, (hints->ai_flags & AI_CANONNAME) != 0);
        cel__answer_unref(answer);
        if (list == NULL) {
            err = -ENOMEM;
        }
        else {
            *out = list;
        }
    }
    cel_resolve_free(kinds);
    return (int)cel__io_charge(worker, err);
}

int
cel_resolve(const char *host, const char *service,
            const struct addrinfo *hints, struct addrinfo **out,
            cel_time deadline)
{
    /* What getaddrinfo() takes no hints for. */
    struct addrinfo plain = {.ai_flags = AI_V4MAPPED | AI_ADDRCONFIG};
    struct cel__worker *worker = cel__worker();

    if (is_above_ports(service)) {
        return -EPROTONOSUPPORT;
    }
    plain = hints == NULL ? plain : *hints;
    if (is_numeric(service)) {
        struct addrinfo numeric = plain;
        numeric.ai_flags |= AI_NUMERICHOST;
        int err = ask(host, service, &numeric, out);
        if (err != -ENOENT || (plain.ai_flags & AI_NUMERICHOST) != 0) {
            return err;
        }
    }
    if (CEL__HAVE_ARES && host != NULL && worker != NULL &&
        worker->run != NULL && suits_ares(&plain) && cel__choice_is_ares()) {
        return ask_ares(worker, host, service, &plain, out, deadline);
    }
    return ask_on_pool(host, service, &plain, out, deadline);
}

void
cel_resolve_free(struct addrinfo *found)
{
    free(found);
}
