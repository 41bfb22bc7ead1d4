/* SPDX-License-Identifier: MIT */
/* The example of celadon_group(3): the first that fails ends the others. */
#include <celadon.h>

#include <errno.h>
#include <stdio.h>

static int
work(void *arg)
{
    int seconds = *(int *)arg;

    if (seconds == 0) {
        return -EIO;
    }
    int err = cel_sleep(cel_after(seconds * CEL_SEC));
    printf("%d: %s\n", seconds, err == -ECANCELED ? "cancelled" : "done");
    return err;
}

static int
all(void *arg)
{
    static int seconds[] = {3600, 60, 0};
    cel_group *group;

    (void)arg;
    int err = cel_group_open(&group, 0);
    if (err < 0) {
        return err;
    }
    for (int i = 0; err == 0 && i < 3; i++) {
        err = cel_group_go(group, work, &seconds[i]);
    }
    if (err == 0) {
        err = cel_group_wait(group, CEL_FOREVER);
    }
    int first = cel_group_close(group);
    printf("the group: %d\n", first);
    return first == -EIO ? err : -EINVAL;
}

int
main(void)
{
    return cel_run(all, NULL, NULL) < 0;
}
