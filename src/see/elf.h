/* SPDX-License-Identifier: MIT */
/*
 * The names of a module's functions, those that are not exported too, as its
 * file has them.
 *
 * Threads: any; nothing here may not be called in a signal handler.
 */
#ifndef CEL_ELF_H
#define CEL_ELF_H

#include <stddef.h>
#include <stdint.h>

/* Invariant: strings ends with a 0 byte; memory is NULL where it is closed. */
struct cel__elf {
    void *memory; /* a copy of both tables; the file may change or go */
    size_t len;
    size_t nsymbols;
    const char *strings;
    size_t nstrings;
    uintptr_t low; /* the address that the module's first byte is meant for */
};

/*
 * Read the table of symbols of the file `fd`.  Where `loaded` is not NULL it
 * is where the module's header is in memory, and the file must begin with the
 * same: it may have been replaced since.
 * Returns 0, or with nothing held -ENOEXEC (no such file, or it has no table),
 * -ESTALE (another's), -ENOMEM, or as read(2).
 */
int cel__elf_open(struct cel__elf *elf, int fd, const void *loaded);

void cel__elf_close(struct cel__elf *elf);

/* The function at `offset` in the module, and in `*into` how far into it; or
   NULL.  Valid until cel__elf_close(). */
const char *cel__elf_find(const struct cel__elf *elf, uintptr_t offset,
                          uintptr_t *into);

#endif
