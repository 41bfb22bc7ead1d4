/* SPDX-License-Identifier: MIT */
/*
 * The example of celadon_local(3):
 * a coroutine's own value, and what is done at its end.
 */
#include <celadon.h>

#include <stdio.h>
#include <stdlib.h>

static cel_key user;

static void
greet(void)
{
    printf("hello, %s\n", (char *)cel_local_get(user));
}

static void
bye(void *arg)
{
    printf("bye, %s\n", (char *)arg);
}

static void
serve(void *arg)
{
    if (cel_local_set(user, arg) < 0 || cel_defer(bye, arg) < 0) {
        return;
    }
    greet();
    (void)cel_yield();
    greet();
}

static int
both(void *arg)
{
    static char ada[] = "Ada";
    static char bob[] = "Bob";

    (void)arg;
    int err = cel_key_open(&user, NULL);
    if (err == 0) {
        err = cel_go(NULL, serve, ada);
    }
    if (err == 0) {
        err = cel_go(NULL, serve, bob);
    }
    for (int i = 0; err == 0 && i < 10; i++) {
        err = cel_yield();
    }
    return err;
}

int
main(void)
{
    return cel_run(both, NULL, NULL) < 0;
}
