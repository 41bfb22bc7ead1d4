/* SPDX-License-Identifier: MIT */
/*
 * The example of celadon_file(3):
 * a file is written, brought to the disk and measured.
 */
#include <celadon.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

static int
save(void *arg)
{
    static const char text[] = "hello\n";
    cel_time deadline = cel_after(5 * CEL_SEC);
    const char *path = arg;
    struct stat st;

    int fd = cel_file_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666, deadline);
    if (fd < 0) {
        return fd;
    }
    ssize_t n = cel_file_write(fd, text, sizeof(text) - 1, deadline);
    int err = n < 0 ? (int)n : cel_file_sync(fd, deadline);
    cel_file_close(fd);
    if (err == 0) {
        err = cel_file_stat(path, &st, deadline);
    }
    if (err == 0) {
        printf("%s has %lld bytes\n", path, (long long)st.st_size);
    }
    return err;
}

int
main(void)
{
    static char path[] = "hello.txt";

    return cel_run(save, path, NULL) < 0;
}
