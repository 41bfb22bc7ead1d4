/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target over the files of a folder: fuzz_NAME FOLDER.  For
 * builds without libFuzzer, whose own main() does the same and more.
 *
 * Threads: one.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz.h"

static int
replay(int folder, const char *name)
{
    static uint8_t bytes[1 << 16];
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));

    if (n < 0) {
        perror(name);
        exit(1);
    }
    (void)close(fd);
    return LLVMFuzzerTestOneInput(bytes, (size_t)n);
}

int
main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    struct dirent *entry;
    int n = 0;

    if (dir == NULL) {
        (void)fprintf(stderr, "%s FOLDER\n", argv[0]);
        return 2;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            n += replay(dirfd(dir), entry->d_name) == 0;
        }
    }
    (void)closedir(dir);
    printf("%d passed, 0 failed\n", n);
    return n == 0;
}
