/* SPDX-License-Identifier: MIT */
/*
 * Text put together without stdio: whatever is put, it comes out whole and in
 * order where there is a descriptor, and its beginning where there is none.
 */
#include "see/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

#define MOST 8192 /* bytes that are put */

static struct cel__text texts[2]; /* to a file; to nowhere */
static char model[2 * MOST];
static size_t nmodel;

static void
put(const char *string)
{
    nmodel += (size_t)snprintf(model + nmodel, sizeof(model) - nmodel, "%s",
                               string);
    cel__text_put(&texts[0], string);
    cel__text_put(&texts[1], string);
}

static void
put_number(uint64_t n, bool hex)
{
    nmodel += (size_t)snprintf(model + nmodel, sizeof(model) - nmodel,
                               hex ? "0x%llx" : "%llu", (unsigned long long)n);
    for (int i = 0; i < 2; i++) {
        if (hex) {
            cel__text_hex(&texts[i], n);
        }
        else {
            cel__text_number(&texts[i], n);
        }
    }
}

/* Put a piece of the bytes, by its first one.  Returns its length. */
static size_t
put_piece(const char *at, size_t left)
{
    uint64_t n = 0;

    if ((at[0] & 3) != 0) {
        put(at);
        return strlen(at) + 1;
    }
    size_t len = left < sizeof(n) ? left : sizeof(n);
    memcpy(&n, at, len);
    put_number(n, (at[0] & 4) != 0);
    return len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char bytes[MOST / 4];
    static char got[sizeof(model)];
    static int fd = -1;

    if (size >= sizeof(bytes)) {
        return 0;
    }
    if (fd < 0) {
        fd = memfd_create("text", MFD_CLOEXEC);
    }
    MUST(fd >= 0 && ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    memcpy(bytes, data, size);
    bytes[size] = '\0';
    nmodel = 0;
    cel__text_init(&texts[0], fd);
    cel__text_init(&texts[1], -1);
    for (size_t at = 0; at < size;) {
        at += put_piece(bytes + at, size - at);
    }
    cel__text_flush(&texts[0]);
    MUST(texts[0].error == 0);
    MUST(pread(fd, got, sizeof(got), 0) == (ssize_t)nmodel);
    MUST(memcmp(got, model, nmodel) == 0);
    const char *kept = cel__text_string(&texts[1]);
    MUST(strlen(kept) < CEL__TEXT && strncmp(kept, model, strlen(kept)) == 0);
    return 0;
}
