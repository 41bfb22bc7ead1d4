/* SPDX-License-Identifier: MIT */
/*
 * Two ways of making guards, and what is left when neither is to be had.
 *
 * MADV_GUARD_INSTALL (Linux 6.13) marks pages without splitting the mapping
 * they are in: a million guarded stacks are 25 mappings, 0.4 us each.
 * mprotect() splits it in three, and the number of mappings is limited
 * (vm.max_map_count, 65530 by default): half of it is used, the other half
 * left to everybody else in the process.
 *
 * Threads: any; the number of protected guards is shared.
 *
 * Tests: unit/test_stack.c
 */
#include "coro/guard.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/sys.h"
#include "base/sys_memory.h"

/* Mark pages. */
#define GUARD_INSTALL 102

/* Linux 5.14: touch pages; fails with EFAULT on marked ones. */
#define POPULATE_READ 22

/* Whether GUARD_INSTALL makes guards; found out once, by any thread. */
enum {
    UNKNOWN,
    WORKS,
    FAILS
};
static atomic_int marking = UNKNOWN;

/* Guards made by mprotect() in this process, and the most of them. */
static atomic_size_t nprotected;
static size_t most_protected; /* set under `once` */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool
mark(char *low, size_t len)
{
    /* Relaxed: a hint that spares system calls. */
    int known = atomic_load_explicit(&marking, memory_order_relaxed);

    if (known == FAILS) {
        return false;
    }
    int err = cel__sys_madvise(low, len, GUARD_INSTALL);
    if (known == UNKNOWN && (err == 0 || err == -EINVAL)) {
        /* An emulator may take any advice and do nothing. */
        known = err == 0 &&
                        cel__sys_madvise(low, len, POPULATE_READ) == -EFAULT
                    ? WORKS
                    : FAILS;
        atomic_store_explicit(&marking, known, memory_order_relaxed);
    }
    return err == 0 && known == WORKS;
}

/* Read the limit of mappings; each guard takes two. */
static void
read_limit(void)
{
    char text[32] = "65530"; /* the kernel's default */
    int fd = cel__sys_open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        ssize_t len = cel__sys_read(fd, text, sizeof(text) - 1);
        if (len > 0) {
            text[len] = '\0';
        }
        (void)cel__sys_close(fd);
    }
    most_protected = strtoul(text, NULL, 10) / 4;
}

static bool
protect(char *low, size_t len)
{
    (void)pthread_once(&once, read_limit);
    /* Relaxed, here and below: a count; nothing else hangs on it. */
    if (atomic_fetch_add_explicit(&nprotected, 1, memory_order_relaxed) <
            most_protected &&
        cel__sys_mprotect(low, len, PROT_NONE) == 0) {
        return true;
    }
    cel__guard_unmapped(1);
    return false;
}

enum cel__guard
cel__guard_make(char *low, size_t len)
{
    if (mark(low, len)) {
        return CEL__GUARD_MARKED;
    }
    return protect(low, len) ? CEL__GUARD_PROTECTED : CEL__GUARD_NONE;
}

void
cel__guard_unmapped(size_t count)
{
    atomic_fetch_sub_explicit(&nprotected, count, memory_order_relaxed);
}

bool
cel__guard_was_touched(char *low, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    for (char *at = low; at < low + len; at += page) {
        unsigned char there = 0;

        if (cel__sys_mincore(at, page, &there) == 0 && (there & 1)) {
            return true;
        }
    }
    return false;
}
