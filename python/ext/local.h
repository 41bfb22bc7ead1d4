/* SPDX-License-Identifier: MIT */
/*
 * Greenlet-local storage, seen from the greenlets: see local.c.
 *
 * Threads: with the GIL.
 */
#ifndef CELEXT_LOCAL_H
#define CELEXT_LOCAL_H

struct glet;

/* Drop the values of `glet` in all locals.  Runs any Python code. */
void local_forget(struct glet *glet);

#endif
