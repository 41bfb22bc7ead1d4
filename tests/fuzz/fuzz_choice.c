/* SPDX-License-Identifier: MIT */
/* The system's configuration of names, whatever stands in the file. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "names/choice.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    char path[64];
    char word[32];

    if (fd < 0) {
        fd = memfd_create("file", MFD_CLOEXEC);
    }
    MUST(fd >= 0 && ftruncate(fd, 0) == 0);
    MUST(pwrite(fd, data, size, 0) == (ssize_t)size);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    memset(word, 'x', sizeof(word));
    if (cel__choice_stranger(path, word, sizeof(word))) {
        MUST(memchr(word, '\0', sizeof(word)) != NULL);
    }
    return 0;
}
