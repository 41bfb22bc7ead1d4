/* SPDX-License-Identifier: MIT */
/*
 * What cel_run() may be told.
 *
 * Threads: any.
 *
 * Tests: unit/test_run.c, unit/test_workers.c
 */
#include "sched/run.h"

#include <errno.h>
#include <string.h>

#include "base/sized.h"
#include "base/sys_thread.h"

void
cel_options_init(cel_options *options)
{
    memset(options, 0, sizeof(*options));
    options->size = sizeof(*options);
    options->workers = 1;
}

/* How many workers `given` stands for, or -EINVAL. */
static int
count_workers(int given)
{
    if (given == CEL_WORKERS_ALL) {
        given = cel__sys_processors();
        return given < CEL_WORKERS_MAX ? given : CEL_WORKERS_MAX;
    }
    if (given < 0 || given > CEL_WORKERS_MAX) {
        return -EINVAL;
    }
    return given == 0 ? 1 : given;
}

int
cel__options_read(cel_options *options, const cel_options *given)
{
    cel_options_init(options);
    int err = cel__sized_read(options, sizeof(*options), given);
    if (err < 0) {
        return err;
    }
    options->workers = count_workers(options->workers);
    return options->workers < 0 ? options->workers : 0;
}
