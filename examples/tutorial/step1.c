/* SPDX-License-Identifier: MIT */
/* Step 1 of docs/tutorial.md: two coroutines speak in turn. */
#include <celadon.h>

#include <stdio.h>

static void
speak(void *arg)
{
    const char *const *name = arg;

    for (int i = 1; i <= 3; i++) {
        printf("%s: line %d\n", *name, i);
        if (cel_sleep(cel_after(20 * CEL_MSEC)) < 0) {
            return;
        }
    }
}

static int
chat(void *arg)
{
    static const char *names[] = {"Ada", "Bob"};
    cel_coro *people[2];

    (void)arg;
    for (int i = 0; i < 2; i++) {
        int err = cel_go(&people[i], speak, &names[i]);
        if (err < 0) {
            return err;
        }
    }
    for (int i = 0; i < 2; i++) {
        int err = cel_join(people[i], CEL_FOREVER);
        if (err < 0) {
            return err;
        }
    }
    printf("both have ended\n");
    return 0;
}

int
main(void)
{
    return cel_run(chat, NULL, NULL) < 0;
}
