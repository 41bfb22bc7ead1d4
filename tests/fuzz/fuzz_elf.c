/* SPDX-License-Identifier: MIT */
/*
 * Files that may be programs: what is found lies within them, and every name
 * ends.
 */
#include "see/elf.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "see/text.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct cel__elf elf;
    uintptr_t into;

    if (fd < 0) {
        fd = memfd_create("file", MFD_CLOEXEC);
    }
    MUST(fd >= 0 && ftruncate(fd, 0) == 0);
    MUST(pwrite(fd, data, size, 0) == (ssize_t)size);
    int err = cel__elf_open(&elf, fd, NULL);
    MUST(err == 0 || err == -ENOEXEC || err == -ENOMEM);
    if (err < 0) {
        MUST(elf.memory == NULL);
        return 0;
    }
    /* Both tables are in the file; one may be a part of the other. */
    MUST(elf.len <= 2 * size + 1);
    /* Around what is likely to be there, and anywhere. */
    for (uintptr_t i = 0; i < 256; i++) {
        uintptr_t offset = i < 128 ? i * 32 : i * (UINTPTR_MAX / 256);
        const char *name = cel__elf_find(&elf, offset, &into);
        MUST(name == NULL || strlen(name) <= elf.nstrings);
        struct cel__text text;
        cel__text_init(&text, -1);
        cel__text_put(&text, name);
        MUST(strlen(cel__text_string(&text)) < CEL__TEXT);
    }
    cel__elf_close(&elf);
    return 0;
}
