/* SPDX-License-Identifier: MIT */
/*
 * The example of celadon_see(3):
 * what two coroutines do, on standard output.
 */
#include <celadon.h>

#include <unistd.h>

static void
nap(void *arg)
{
    (void)arg;
    cel_set_name("napper");
    (void)cel_sleep(cel_after(3600 * CEL_SEC));
}

static int
look(void *arg)
{
    int err = cel_go(NULL, nap, arg);

    if (err == 0) {
        err = cel_yield();
    }
    return err == 0 ? cel_dump(STDOUT_FILENO, CEL_DUMP_BRIEF) : err;
}

int
main(void)
{
    return cel_run(look, NULL, NULL) < 0;
}
