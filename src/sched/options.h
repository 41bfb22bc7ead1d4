/* SPDX-License-Identifier: MIT */
/*
 * What cel_run() may be told; the rest is celadon/run.h.
 *
 * Threads: any.
 */
#ifndef CEL_OPTIONS_H
#define CEL_OPTIONS_H

#include "celadon/run.h"

/*
 * Copy what `given`, or NULL, has of the options that are known here, with
 * the number of workers it stands for.  Returns 0, or -EINVAL (it has others,
 * or no such number of workers).
 */
int cel__options_read(cel_options *options, const cel_options *given);

#endif
