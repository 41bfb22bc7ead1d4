/* SPDX-License-Identifier: MIT */
/*
 * Notes which errors the public calls of a test have returned, in the file
 * that CELADON_RECORD names: a byte for each call and each error, which
 * scripts/errors.py makes and reads.
 *
 * The file is mapped, so that noting takes no system call, no descriptor and
 * no memory, in whatever straits the test has brought itself.
 *
 * Threads: any.
 */
#include "record.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile unsigned char *noted; /* NULL: nobody asks */

__attribute__((constructor)) static void
open_record(void)
{
    const char *path = getenv("CELADON_RECORD");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        return;
    }
    off_t size = lseek(fd, 0, SEEK_END);
    void *bytes = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED,
                       fd, 0);
    (void)close(fd);
    noted = bytes == MAP_FAILED ? NULL : bytes;
}

void
record_note(size_t call, intmax_t result)
{
    if (noted != NULL && result < 0 && result > -RECORD_ERRORS) {
        noted[call * RECORD_ERRORS + (size_t)-result] = 1;
    }
}
