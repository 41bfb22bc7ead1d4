/* SPDX-License-Identifier: MIT */
/*
 * What the C library knows of the stack and of the program's symbols.
 *
 * Threads: any.
 */
#ifndef CEL_SYS_TRACE_H
#define CEL_SYS_TRACE_H

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#if CEL__HAVE_BACKTRACE
#include <execinfo.h>
#endif

/*
 * Fill `frames` with the return addresses from the caller outwards; returns
 * how many there are, 0 where the C library has no unwinder.  The first call
 * loads it, and needs some KiB of stack; later ones may be made in a signal
 * handler.
 */
static inline size_t
cel__sys_backtrace(void **frames, size_t room)
{
#if CEL__HAVE_BACKTRACE
    int n = backtrace(frames, (int)room);

    return n < 0 ? 0 : (size_t)n;
#else
    (void)frames;
    (void)room;
    return 0;
#endif
}

/* Where a signal handler's third argument says that the thread was; NULL where
   this processor's is not known. */
static inline const void *
cel__sys_interrupted(const void *context)
{
    const ucontext_t *at = context;
    uintptr_t pc = 0;

#if defined(__x86_64__)
    pc = (uintptr_t)at->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    pc = (uintptr_t)at->uc_mcontext.pc;
#else
    (void)at;
#endif
    return (const void *)pc; /* NOLINT(performance-no-int-to-ptr) */
}

/* What an address belongs to. */
struct cel__symbol {
    const char *module;  /* path of the program or library; or NULL */
    uintptr_t offset;    /* of the address in the module, as loaded */
    const char *name;    /* the function, where it is exported; or NULL */
    uintptr_t into_name; /* how far into it */
};

static inline void
cel__sys_symbol(const void *address, struct cel__symbol *symbol)
{
    Dl_info info;

    symbol->module = NULL;
    symbol->name = NULL;
    if (dladdr(address, &info) != 0) {
        symbol->module = info.dli_fname;
        symbol->offset = (uintptr_t)address - (uintptr_t)info.dli_fbase;
        symbol->name = info.dli_sname;
        symbol->into_name = (uintptr_t)address - (uintptr_t)info.dli_saddr;
    }
}

#endif
