/* SPDX-License-Identifier: MIT */
/*
 * The table of symbols of an ELF file.
 *
 * It is copied and not mapped: a file that is cut short meanwhile would kill
 * who reads its pages.  All that stands in the file is doubted, for it may be
 * anything by now.
 *
 * Threads: see elf.h.
 *
 * Tests: unit/test_elf.c, fuzz/fuzz_elf.c
 */
#include "see/elf.h"

#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>

#include "base/sys.h"
#include "base/sys_memory.h"

/* Bytes of a table: ten times those of the largest program at hand. */
#define TABLE_MOST ((size_t)1 << 28)

/* Modules are mapped from an address that is a multiple of this at least. */
#define PAGE 4096

/* Read all of `len` bytes at `offset`. */
static int
read_at(int fd, void *buf, size_t len, uint64_t offset)
{
    char *at = buf;

    while (len > 0) {
        if (offset > INT64_MAX - len) {
            return -ENOEXEC;
        }
        ssize_t n = cel__sys_pread(fd, at, len, (off_t)offset);
        if (n == -EAGAIN) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? (int)n : -ENOEXEC;
        }
        at += n;
        len -= (size_t)n;
        offset += (size_t)n;
    }
    return 0;
}

static bool
is_ours(const ElfW(Ehdr) * header)
{
    int class = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;

    return memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
           header->e_ident[EI_CLASS] == class &&
           (header->e_type == ET_DYN || header->e_type == ET_EXEC) &&
           header->e_phentsize == sizeof(ElfW(Phdr)) &&
           header->e_shentsize == sizeof(ElfW(Shdr));
}

/* Where the module's first byte is meant to be. */
static int
find_low(int fd, const ElfW(Ehdr) * header, uintptr_t *low)
{
    for (size_t i = 0; i < header->e_phnum; i++) {
        ElfW(Phdr) segment;
        int err = read_at(fd, &segment, sizeof(segment),
                          header->e_phoff + i * sizeof(segment));
        if (err < 0) {
            return err;
        }
        if (segment.p_type == PT_LOAD) {
            *low = segment.p_vaddr & ~(uintptr_t)(PAGE - 1);
            return 0;
        }
    }
    return -ENOEXEC;
}

static int
read_section(int fd, const ElfW(Ehdr) * header, size_t number,
             ElfW(Shdr) * section)
{
    if (number >= header->e_shnum) {
        return -ENOEXEC;
    }
    return read_at(fd, section, sizeof(*section),
                   header->e_shoff + number * sizeof(*section));
}

/* The sections of the symbols and of their names. */
static int
find_tables(int fd, const ElfW(Ehdr) * header, ElfW(Shdr) * symbols,
            ElfW(Shdr) * strings)
{
    size_t i = 0;
    int err;

    do {
        err = read_section(fd, header, i++, symbols);
    } while (err == 0 && symbols->sh_type != SHT_SYMTAB);
    if (err == 0) {
        err = read_section(fd, header, symbols->sh_link, strings);
    }
    if (err == 0 &&
        (symbols->sh_entsize != sizeof(ElfW(Sym)) ||
         strings->sh_type != SHT_STRTAB || symbols->sh_size > TABLE_MOST ||
         strings->sh_size > TABLE_MOST)) {
        err = -ENOEXEC;
    }
    return err;
}

int
cel__elf_open(struct cel__elf *elf, int fd, const void *loaded)
{
    ElfW(Ehdr) header;
    ElfW(Shdr) symbols = {0};
    ElfW(Shdr) strings = {0};

    elf->memory = NULL;
    int err = read_at(fd, &header, sizeof(header), 0);
    if (err < 0) {
        return err;
    }
    if (!is_ours(&header)) {
        return -ENOEXEC;
    }
    if (loaded != NULL && memcmp(loaded, &header, sizeof(header)) != 0) {
        return -ESTALE;
    }
    err = find_low(fd, &header, &elf->low);
    if (err == 0) {
        err = find_tables(fd, &header, &symbols, &strings);
    }
    if (err < 0) {
        return err;
    }
    elf->nsymbols = symbols.sh_size / sizeof(ElfW(Sym));
    elf->nstrings = strings.sh_size;
    size_t before = elf->nsymbols * sizeof(ElfW(Sym));
    elf->len = before + elf->nstrings + 1; /* a 0 byte at the end */
    err = cel__sys_mmap(&elf->memory, elf->len, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (err < 0) {
        return err;
    }
    elf->strings = (char *)elf->memory + before;
    err = read_at(fd, elf->memory, before, symbols.sh_offset);
    if (err == 0) {
        err = read_at(fd, (char *)elf->memory + before, elf->nstrings,
                      strings.sh_offset);
    }
    if (err < 0) {
        cel__elf_close(elf);
    }
    return err;
}

void
cel__elf_close(struct cel__elf *elf)
{
    if (elf->memory != NULL) {
        (void)cel__sys_munmap(elf->memory, elf->len);
        elf->memory = NULL;
    }
}

const char *
cel__elf_find(const struct cel__elf *elf, uintptr_t offset, uintptr_t *into)
{
    const ElfW(Sym) *symbols = elf->memory;
    uintptr_t address = elf->low + offset;

    for (size_t i = 0; i < elf->nsymbols; i++) {
        const ElfW(Sym) *one = &symbols[i];
        /* The type is where it is in both classes. */
        if (ELF64_ST_TYPE(one->st_info) == STT_FUNC &&
            one->st_shndx != SHN_UNDEF &&
            address - one->st_value < one->st_size &&
            one->st_name < elf->nstrings) {
            *into = address - one->st_value;
            return elf->strings + one->st_name;
        }
    }
    return NULL;
}
