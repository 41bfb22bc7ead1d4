/* SPDX-License-Identifier: MIT */
/* The example of celadon_scope(3): a bound for all that is called below. */
#include <celadon.h>

#include <errno.h>
#include <stdio.h>

static int
wait_long(void)
{
    return cel_sleep(cel_after(3600 * CEL_SEC));
}

static int
first(void *arg)
{
    cel_scope scope;

    (void)arg;
    int err = cel_scope_enter(&scope, cel_after(5 * CEL_MSEC));
    if (err < 0) {
        return err;
    }
    err = wait_long(); /* knows nothing of the scope */
    if (cel_scope_leave(&scope) == -ETIMEDOUT) {
        printf("too long: %d\n", err);
        err = 0;
    }
    return err;
}

int
main(void)
{
    return cel_run(first, NULL, NULL) < 0;
}
