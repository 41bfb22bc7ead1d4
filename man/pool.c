/* SPDX-License-Identifier: MIT */
/* The example of celadon_pool(3): a computation, while others run. */
#include <celadon.h>

#include <stdio.h>

static int
count(void *arg)
{
    long *n = arg;

    for (*n = 0; *n < 10000000;) {
        *n += 1;
    }
    return 0;
}

static int
compute(void *arg)
{
    long n;
    int result;

    (void)arg;
    int err = cel_offload(&result, count, &n, NULL, CEL_FOREVER);
    if (err == 0) {
        printf("%d: %ld\n", result, n);
    }
    return err;
}

int
main(void)
{
    return cel_run(compute, NULL, NULL) < 0;
}
