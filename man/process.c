/* SPDX-License-Identifier: MIT */
/* The example of celadon_process(3): a program is run. */
#include <celadon.h>

#include <stdio.h>
#include <stdlib.h>

static int
run(void *arg)
{
    const char *argv[] = {"tr", "a-z", "A-Z", NULL};
    cel_process_input input = {.data = "hello\n", .len = 6, .limit = 1000};
    cel_process_output output;

    (void)arg;
    int err = cel_process_run(argv, NULL, &input, &output,
                              cel_after(10 * CEL_SEC));
    if (err == 0) {
        printf("%s", output.out);
    }
    free(output.out);
    free(output.err);
    return err;
}

int
main(void)
{
    return cel_run(run, NULL, NULL) < 0;
}
