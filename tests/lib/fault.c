/* SPDX-License-Identifier: MIT */
/*
 * The dice and the faults of hard builds; in no other build.
 *
 * Both are told by the environment, which is read when the first of them is
 * asked.  The dice are one counter put through a mixing function, so that
 * threads can share them without a lock; a run with one thread is the same
 * again for the same seed.
 *
 * Threads: any.
 *
 * Tests: unit/test_fault.c
 */
#include "fault.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

#define NAMED(number)                                                         \
    {                                                                         \
        .name = #number, .code = (number)                                     \
    }

/* An errno value as CELADON_FAULT names it. */
struct named {
    const char *name;
    int code;
};
static const struct named codes[] = {
    NAMED(EACCES),      NAMED(EADDRINUSE),   NAMED(EADDRNOTAVAIL),
    NAMED(EAGAIN),      NAMED(EBADF),        NAMED(EBUSY),
    NAMED(ECANCELED),   NAMED(ECONNABORTED), NAMED(ECONNREFUSED),
    NAMED(ECONNRESET),  NAMED(EEXIST),       NAMED(EHOSTUNREACH),
    NAMED(EINPROGRESS), NAMED(EINTR),        NAMED(EINVAL),
    NAMED(EIO),         NAMED(EMFILE),       NAMED(ENETUNREACH),
    NAMED(ENFILE),      NAMED(ENOBUFS),      NAMED(ENOENT),
    NAMED(ENOMEM),      NAMED(ENOSPC),       NAMED(ENOSYS),
    NAMED(ENOTCONN),    NAMED(EOPNOTSUPP),   NAMED(EPERM),
    NAMED(EPIPE),       NAMED(ETIMEDOUT)};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct cel__fault plan; /* set under `once`; error == 0: none */

static atomic_ulong ncalls;      /* calls that counted; any thread */
static atomic_uint_fast64_t die; /* the dice's counter; any thread */

static void
say(const char *text)
{
    /* Not stdio: this runs within any system call, also of a handler. */
    if (write(STDERR_FILENO, text, strlen(text)) < 0) {
        /* It is only news. */
    }
}

/* The errno value of that name or number; 0: there is none such. */
static int
code_of(const char *name)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (strcmp(codes[i].name, name) == 0) {
            return codes[i].code;
        }
    }
    long n = strtol(name, NULL, 10);
    /* 4095: the most that a system call returns. */
    return n > 0 && n <= 4095 ? (int)n : 0;
}

bool
cel__fault_read(const char *text, struct cel__fault *fault)
{
    const char *colon = strchr(text, ':');
    char *end;

    fault->error = 0;
    if (colon == NULL || (size_t)(colon - text) >= sizeof(fault->point)) {
        return false;
    }
    memcpy(fault->point, text, (size_t)(colon - text));
    fault->point[colon - text] = '\0';
    fault->number = strtoul(colon + 1, &end, 10);
    if (*end == ':') {
        fault->error = code_of(end + 1);
    }
    return fault->error != 0 && fault->number != 0 && fault->point[0] != '\0';
}

static void
start(void)
{
    const char *fault = getenv("CELADON_FAULT");
    const char *text = getenv("CELADON_SEED");
    uint64_t seed = (uint64_t)getpid();
    char line[64];

    if (fault != NULL && fault[0] != '\0') {
        if (!cel__fault_read(fault, &plan)) {
            cel__panic("CELADON_FAULT is not NAME:N:ERRNAME: %s", fault);
        }
    }
    if (text != NULL) {
        seed = strtoul(text, NULL, 0);
    }
    atomic_store_explicit(&die, seed, memory_order_relaxed);
    (void)snprintf(line, sizeof(line), "celadon: CELADON_SEED=%" PRIu64 "\n",
                   seed);
    say(line);
}

int
cel__fault(const char *name)
{
    char line[96];

    (void)pthread_once(&once, start);
    if (plan.error == 0 ||
        (strcmp(plan.point, "*") != 0 && strcmp(plan.point, name) != 0)) {
        return 0;
    }
    /* Relaxed: a count; nothing else hangs on it. */
    unsigned long call = atomic_fetch_add_explicit(&ncalls, 1,
                                                   memory_order_relaxed) +
                         1;
    if (call != plan.number) {
        return 0;
    }
    /* Said so that the torture run knows when it has seen every call. */
    (void)snprintf(line, sizeof(line), "celadon: fault %s:%lu:%d\n", name,
                   plan.number, plan.error);
    say(line);
    return plan.error;
}

bool
cel__fault_pending(void)
{
    (void)pthread_once(&once, start);
    /* Relaxed: see above. */
    return plan.error != 0 &&
           atomic_load_explicit(&ncalls, memory_order_relaxed) < plan.number;
}

uint32_t
cel__dice(uint32_t n)
{
    (void)pthread_once(&once, start);
    /* SplitMix64: a Weyl sequence, mixed.  Relaxed: see above. */
    uint64_t x = atomic_fetch_add_explicit(&die, UINT64_C(0x9e3779b97f4a7c15),
                                           memory_order_relaxed);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;
    return n == 0 ? 0 : (uint32_t)((x >> 32) % n);
}
