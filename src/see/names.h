/* SPDX-License-Identifier: MIT */
/*
 * What functions are called, whose names the C library does not know.
 *
 * Threads: any, also in a signal handler.
 */
#ifndef CEL_NAMES_H
#define CEL_NAMES_H

#include <stdbool.h>

#include "see/sys_trace.h"
#include "see/text.h"

/*
 * Put the name of the function at `symbol`, which has a module and no name,
 * and how far into it.  False: it is not known, or somebody else looks one up.
 */
bool cel__names_put(struct cel__text *text, const void *address,
                    const struct cel__symbol *symbol);

/* Give back the memory that was needed for them, once they are put. */
void cel__names_forget(void);

#endif
