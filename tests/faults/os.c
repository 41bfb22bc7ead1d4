/* SPDX-License-Identifier: MIT */
/* Faults in files, on the pool, and in looking up names. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "faults.h"

static void
use_file(int fd)
{
    struct stat st;
    char bytes[8];

    (void)CALL(cel_file_write, fd, "hello", 5, soon());
    (void)CALL(cel_file_pwrite, fd, "J", 1, 0, soon());
    (void)CALL(cel_file_sync_data, fd, soon());
    (void)CALL(cel_file_sync, fd, soon());
    (void)CALL(cel_file_pread, fd, bytes, sizeof(bytes), 0, soon());
    (void)CALL(cel_file_read, fd, bytes, sizeof(bytes), soon());
    (void)CALL(cel_file_fstat, fd, &st, soon());
}

SCENARIO(file)
{
    char path[32];
    struct stat st;

    int made = memfd_create("file", MFD_CLOEXEC);
    MUST(made >= 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", made);
    int fd = CALL(cel_file_open, path, O_RDWR | O_CREAT, 0600, soon());
    if (fd >= 0) {
        use_file(fd);
        (void)CALL(cel_file_stat, path, &st, soon());
        (void)CALL(cel_file_close, fd);
    }
    MUST(close(made) == 0);
}

static int
work(void *arg)
{
    *(int *)arg += 1;
    return 3;
}

SCENARIO(pool)
{
    int result = -1;
    int n = 0;

    DO(cel_pool_set_threads, 2);
    /* First, so that it is the one without room for its deadline. */
    int *other = calloc(1, sizeof(*other));
    MUST(other != NULL);
    int err = CALL(cel_offload, &result, work, other, free, soon());
    if (err != -ETIMEDOUT && err != -ECANCELED) {
        free(other);
    }
    if (CALL(cel_offload, &result, work, &n, NULL, soon()) == 0) {
        MUST(n == 1 && result == 3);
    }
}

SCENARIO(resolve)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};

    for (int i = 0; i < 2; i++) {
        struct addrinfo *found = NULL;
        int err = CALL(cel_resolve, hosts[i], "80", &hints, &found, soon());
        MUST((err == 0) == (found != NULL));
        DO(cel_resolve_free, found);
    }
}
