/* SPDX-License-Identifier: MIT */
/* The example of celadon_workers(3): the same work on two cores. */
#include <celadon.h>

#include <stdint.h>
#include <stdio.h>

static void
add_up(void *arg)
{
    uint64_t *sum = arg;
    uint64_t last = *sum;

    for (uint64_t i = 0; i < last; i++) {
        *sum += i;
    }
}

static int
first(void *arg)
{
    static uint64_t sums[] = {1000, 2000};
    cel_coro *coros[2];

    (void)arg;
    for (int i = 0; i < 2; i++) {
        int err = cel_go_on(&coros[i], i % cel_workers(), add_up, &sums[i]);
        if (err < 0) {
            return err;
        }
    }
    for (int i = 0; i < 2; i++) {
        int err = cel_join(coros[i], CEL_FOREVER);
        if (err < 0) {
            return err;
        }
        printf("%llu\n", (unsigned long long)sums[i]);
    }
    return 0;
}

int
main(void)
{
    cel_options options;

    cel_options_init(&options);
    options.workers = 2;
    return cel_run(first, NULL, &options) < 0;
}
