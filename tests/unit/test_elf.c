/* SPDX-License-Identifier: MIT */
/*
 * Names of functions out of files: of this very program, of what is not one,
 * of what was cut short or replaced.
 */
#include "see/elf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "see/names.h"
#include "see/sys_trace.h"
#include "tap.h"

/* One that is not exported. */
__attribute__((noinline)) static int
hidden_function(int n)
{
    __asm__ volatile("" : "+r"(n));
    return n + 1;
}

static const char *
address_in_it(void)
{
    const char *address;
    int (*fn)(int) = hidden_function;

    memcpy(&address, &fn, sizeof(address));
    return address + 1;
}

/* This program, open; and where it is loaded. */
static int
open_self(const char **base)
{
    struct cel__symbol symbol;

    cel__sys_symbol(address_in_it(), &symbol);
    CHECK(symbol.module != NULL);
    *base = address_in_it() - symbol.offset;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK_GE(fd, 0);
    return fd;
}

TEST(a_function_that_is_not_exported_has_its_name)
{
    struct cel__elf elf;
    const char *base;
    uintptr_t into = 0;

    int fd = open_self(&base);
    CHECK_EQ(cel__elf_open(&elf, fd, base), 0);
    CHECK_EQ(close(fd), 0);
    uintptr_t offset = (uintptr_t)(address_in_it() - base);
    CHECK_STR(cel__elf_find(&elf, offset, &into), "hidden_function");
    CHECK_EQ(into, 1);
    CHECK(cel__elf_find(&elf, UINTPTR_MAX / 2, &into) == NULL);
    cel__elf_close(&elf);
    cel__elf_close(&elf);
    CHECK_EQ(hidden_function(1), 2);
}

TEST(what_is_no_program_is_refused)
{
    struct cel__elf elf;
    const char *base;

    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    CHECK_GE(fd, 0);
    CHECK_EQ(cel__elf_open(&elf, fd, NULL), -ENOEXEC);
    CHECK_EQ(close(fd), 0);
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK_EQ(cel__elf_open(&elf, fd, NULL), -ENOEXEC);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(cel__elf_open(&elf, fd, NULL), -EBADF);
    /* Another's header. */
    static const char other[64] = "\177ELF";
    fd = open_self(&base);
    CHECK_EQ(cel__elf_open(&elf, fd, other), -ESTALE);
    CHECK_EQ(close(fd), 0);
}

TEST(a_file_that_was_cut_short_is_refused)
{
    static char bytes[1 << 16];
    struct cel__elf elf;
    const char *base;

    int fd = open_self(&base);
    int copy = memfd_create("copy", MFD_CLOEXEC);
    CHECK_GE(copy, 0);
    CHECK_EQ(read(fd, bytes, sizeof(bytes)), sizeof(bytes));
    for (size_t len = 1; len <= sizeof(bytes); len *= 4) {
        CHECK_EQ(pwrite(copy, bytes, len, 0), (ssize_t)len);
        CHECK_EQ(cel__elf_open(&elf, copy, NULL), -ENOEXEC);
        CHECK(elf.memory == NULL);
    }
    CHECK_EQ(close(copy), 0);
    CHECK_EQ(close(fd), 0);
}

TEST(a_module_without_a_file_has_no_names)
{
    struct cel__symbol symbol = {.module = "/nowhere/lib.so", .offset = 16};
    struct cel__text text;

    cel__text_init(&text, -1);
    /* More than are kept at a time. */
    for (int i = 0; i < 20; i++) {
        static const char code[64];
        CHECK(!cel__names_put(&text, code + 16 + i, &symbol));
    }
    CHECK_STR(cel__text_string(&text), "");
    cel__names_forget();
    cel__sys_symbol(address_in_it(), &symbol);
    CHECK(symbol.name == NULL);
    CHECK(cel__names_put(&text, address_in_it(), &symbol));
    CHECK_STR(cel__text_string(&text), "hidden_function+0x1 ");
    cel__names_forget();
}
