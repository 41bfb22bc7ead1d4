/* SPDX-License-Identifier: MIT */
/* The example of celadon_base(3): how long something takes. */
#include <celadon.h>

#include <stdio.h>

int
main(void)
{
    cel_time begin = cel_now();
    cel_time end = cel_after(2 * CEL_MSEC);
    long rounds = 0;

    while (cel_now() < end) {
        rounds++;
    }
    printf("%ld rounds in %lld us\n", rounds,
           (long long)((cel_now() - begin) / CEL_USEC));
    return 0;
}
