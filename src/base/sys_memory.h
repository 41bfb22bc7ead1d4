/* SPDX-License-Identifier: MIT */
/*
 * The system calls of sys.h that are about memory and signals.
 *
 * Threads: any.
 */
#ifndef CEL_SYS_MEMORY_H
#define CEL_SYS_MEMORY_H

#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/types.h>

#include "base/sys_call.h"

/* On success the address is in `*out`; on failure it is left alone. */
static inline int
cel__sys_mmap(void **out, size_t len, int prot, int flags, int fd,
              off_t offset)
{
    int fault = cel__fault("mmap");

    if (fault != 0) {
        return -fault;
    }
    void *address = mmap(NULL, len, prot, flags, fd, offset);
    if (address == MAP_FAILED) {
        return -errno;
    }
    *out = address;
    return 0;
}

/* No fault point: what gives memory back has no way to fail. */
static inline int
cel__sys_munmap(void *address, size_t len)
{
    return munmap(address, len) == -1 ? -errno : 0;
}

CEL__SYS_WRAP(int, mprotect, (void *address, size_t len, int prot),
              (address, len, prot))
CEL__SYS_WRAP(int, madvise, (void *address, size_t len, int advice),
              (address, len, advice))

/* Sets bit 0 of pages[i] for each page that is there. */
CEL__SYS_WRAP(int, mincore, (void *address, size_t len, unsigned char *pages),
              (address, len, pages))

/* What /proc/PID/maps is to call this memory.  Returns -EINVAL where the
   kernel does not do that. */
static inline int
cel__sys_name_memory(void *address, size_t len, const char *name)
{
    /* PR_SET_VMA and PR_SET_VMA_ANON_NAME, Linux 5.17. */
    int err = prctl(0x53564d41, 0UL, address, len, name);

    return err == -1 ? -errno : 0;
}

CEL__SYS_WRAP(int, sigaction,
              (int signal, const struct sigaction *action,
               struct sigaction *old),
              (signal, action, old))
CEL__SYS_WRAP(int, sigaltstack, (const stack_t *stack, stack_t *old),
              (stack, old))

#endif
