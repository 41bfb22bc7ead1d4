/* SPDX-License-Identifier: MIT */
/*
 * Names of functions out of the modules' files.
 *
 * The tables of the modules that frames were found in are kept while a dump
 * is printed, for its frames are mostly those of a few.  One thread at a time
 * has them, and who comes second does without: it may be the handler that has
 * interrupted the first.  In the child of a fork nobody has them, whoever did.
 *
 * Threads: see names.h.
 *
 * Tests: unit/test_see.c, unit/test_see_fork.c
 */
#include "see/names.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/auxv.h>

#include "base/fork.h"
#include "base/sys.h"
#include "see/elf.h"

/* Modules whose tables are kept at a time. */
#define MODULES 8

struct module {
    const char *base;    /* where it is loaded */
    struct cel__elf elf; /* closed: there is none to be had */
};

/* cel__fork_count() + 1 where somebody has what follows; 0: nobody. */
static atomic_uint taken;
static struct module modules[MODULES];
static size_t nmodules;

/* Whether the program itself is loaded at `base`. */
static bool
is_program(const char *base)
{
    struct cel__symbol start;
    /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
    const char *entry = (const char *)getauxval(AT_ENTRY);

    cel__sys_symbol(entry, &start);
    return start.module != NULL && base == entry - start.offset;
}

static const struct cel__elf *
find(const char *base, const char *path)
{
    for (size_t i = 0; i < nmodules; i++) {
        if (modules[i].base == base) {
            return &modules[i].elf;
        }
    }
    if (nmodules == MODULES) {
        return NULL;
    }
    struct module *module = &modules[nmodules++];
    module->base = base;
    module->elf.memory = NULL;
    /* The C library knows the program by its first argument only; and this
       one can be opened even where the file is gone. */
    int fd = cel__sys_open(is_program(base) ? "/proc/self/exe" : path,
                           O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)cel__elf_open(&module->elf, fd, base);
        (void)cel__sys_close(fd);
    }
    return &module->elf;
}

static bool
take(void)
{
    unsigned self = cel__fork_count() + 1;
    unsigned had = 0;

    /* Acquire, both: pairs with the release in give(). */
    if (atomic_compare_exchange_strong_explicit(
            &taken, &had, self, memory_order_acquire, memory_order_relaxed)) {
        return true;
    }
    if (had == self ||
        !atomic_compare_exchange_strong_explicit(
            &taken, &had, self, memory_order_acquire, memory_order_relaxed)) {
        return false;
    }
    /* A thread of the parent's was at them: nothing is known of them. */
    nmodules = 0;
    return true;
}

static void
give(void)
{
    atomic_store_explicit(&taken, 0, memory_order_release);
}

bool
cel__names_put(struct cel__text *text, const void *address,
               const struct cel__symbol *symbol)
{
    const char *name = NULL;
    uintptr_t into = 0;

    if (!take()) {
        return false;
    }
    const struct cel__elf *elf = find((const char *)address - symbol->offset,
                                      symbol->module);
    if (elf != NULL && elf->memory != NULL) {
        name = cel__elf_find(elf, symbol->offset, &into);
    }
    if (name != NULL) {
        cel__text_put(text, name);
        cel__text_put(text, "+");
        cel__text_hex(text, into);
        cel__text_put(text, " ");
    }
    give();
    return name != NULL;
}

void
cel__names_forget(void)
{
    if (!take()) {
        return; /* who has them forgets them */
    }
    while (nmodules > 0) {
        cel__elf_close(&modules[--nmodules].elf);
    }
    give();
}
