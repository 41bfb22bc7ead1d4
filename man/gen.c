/* SPDX-License-Identifier: MIT */
/* The example of celadon_gen(3): the squares, one when it is asked for. */
#include <celadon.h>

#include <stdio.h>

static void
squares(cel_gen *gen, void *arg)
{
    long square;

    (void)arg;
    for (long n = 1; n <= 5; n++) {
        square = n * n;
        if (cel_gen_yield(gen, &square, NULL) < 0) {
            return; /* it is being closed */
        }
    }
}

static int
print(void *arg)
{
    void *value;
    cel_gen *gen;
    int more;

    int err = cel_gen_open(&gen, squares, arg);
    if (err < 0) {
        return err;
    }
    while ((more = cel_gen_send(gen, NULL, &value)) == 1) {
        printf("%ld\n", *(long *)value);
    }
    cel_gen_close(gen);
    return more;
}

int
main(void)
{
    return cel_run(print, NULL, NULL) < 0;
}
