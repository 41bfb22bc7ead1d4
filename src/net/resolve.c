/* SPDX-License-Identifier: MIT */
/*
 * The C library's resolver, on the pool.
 *
 * It knows the system's configuration (hosts, nsswitch, mDNS, …) as nothing
 * else does, so it is asked, and not the name servers.  A question is copied
 * to the heap, for its answer may come when nobody waits for it any more.
 * Numeric hosts and ports need no question and are read on the spot.
 *
 * Threads: see celadon/resolve.h.
 *
 * Tests: unit/test_resolve.c
 */
#include "celadon/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "celadon/pool.h"

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
    int eai = getaddrinfo(host, service, hints, found);
    return eai == EAI_SYSTEM ? -errno : code_of(eai);
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

int
cel_resolve(const char *host, const char *service,
            const struct addrinfo *hints, struct addrinfo **out,
            cel_time deadline)
{
    /* What getaddrinfo() takes no hints for. */
    struct addrinfo plain = {.ai_flags = AI_V4MAPPED | AI_ADDRCONFIG};

    plain = hints == NULL ? plain : *hints;
    if (is_numeric(service)) {
        struct addrinfo numeric = plain;
        numeric.ai_flags |= AI_NUMERICHOST;
        int err = ask(host, service, &numeric, out);
        if (err != -ENOENT || (plain.ai_flags & AI_NUMERICHOST) != 0) {
            return err;
        }
    }
    struct question *self = make_question(host, service, &plain);
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

void
cel_resolve_free(struct addrinfo *found)
{
    if (found != NULL) {
        freeaddrinfo(found);
    }
}
