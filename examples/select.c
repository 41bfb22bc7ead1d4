/* SPDX-License-Identifier: MIT */
/*
 * Select: what comes from several channels, whichever has something, until
 * all are shut down.
 */
#include <celadon.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct source {
    cel_chan *numbers;
    int first; /* and every other one, up to 9 */
};

static void
count(void *arg)
{
    struct source *source = arg;

    for (int n = source->first; n < 10; n += 2) {
        if (cel_chan_send(source->numbers, &n, CEL_FOREVER) < 0) {
            return;
        }
    }
    cel_chan_shutdown(source->numbers);
}

static int
print_all(cel_chan *even, cel_chan *odd)
{
    int n;
    cel_case cases[] = {
        {.chan = even, .value = &n, .op = CEL_RECV},
        {.chan = odd, .value = &n, .op = CEL_RECV},
    };

    for (int open = 2; open > 0;) {
        int i = cel_select(cases, 2, cel_after(10 * CEL_SEC));
        if (i < 0) {
            return i;
        }
        if (cases[i].result == -EPIPE) {
            cases[i].chan = NULL; /* from now on this case never happens */
            open--;
        }
        else {
            printf("%s %d\n", i == 0 ? "even" : "odd", n);
        }
    }
    return 0;
}

static int
select_all(void *arg)
{
    struct source sources[2] = {{.first = 0}, {.first = 1}};
    int err = 0;

    (void)arg;
    for (int i = 0; err == 0 && i < 2; i++) {
        err = cel_chan_open(&sources[i].numbers, sizeof(int), 0);
        if (err == 0) {
            err = cel_go(NULL, count, &sources[i]);
        }
    }
    if (err == 0) {
        err = print_all(sources[0].numbers, sources[1].numbers);
    }
    for (int i = 0; err == 0 && i < 2; i++) {
        cel_chan_close(sources[i].numbers);
    }
    return err;
}

int
main(void)
{
    int err = cel_run(select_all, NULL, NULL);

    if (err < 0) {
        fprintf(stderr, "select: %s\n", strerror(-err));
    }
    return err < 0;
}
