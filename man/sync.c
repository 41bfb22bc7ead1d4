/* SPDX-License-Identifier: MIT */
/*
 * The example of celadon_sync(3):
 * three workers share a count, and a mutex guards it.
 */
#include <celadon.h>

#include <stdio.h>

static cel_mutex *mutex;
static cel_wg *left;
static int count;

static void
work(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) {
        if (cel_mutex_lock(mutex, CEL_FOREVER) < 0) {
            break;
        }
        int seen = count;
        (void)cel_yield(); /* the others run, and wait for the mutex */
        count = seen + 1;
        (void)cel_mutex_unlock(mutex);
    }
    cel_wg_done(left);
}

static int
first(void *arg)
{
    (void)arg;
    int err = cel_mutex_open(&mutex);
    if (err == 0) {
        err = cel_wg_open(&left);
    }
    for (int i = 0; err == 0 && i < 3; i++) {
        err = cel_go(NULL, work, NULL);
        if (err == 0) {
            err = cel_wg_add(left, 1);
        }
    }
    if (err == 0) {
        err = cel_wg_wait(left, CEL_FOREVER);
    }
    printf("%d\n", count);
    cel_wg_close(left);
    cel_mutex_close(mutex);
    return err;
}

int
main(void)
{
    return cel_run(first, NULL, NULL) < 0;
}
