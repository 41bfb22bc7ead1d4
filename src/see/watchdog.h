/* SPDX-License-Identifier: MIT */
/*
 * The thread that notices workers which do not switch; the rest is
 * celadon/see.h.
 *
 * Threads: any.
 */
#ifndef CEL_WATCHDOG_H
#define CEL_WATCHDOG_H

/* Start it where CELADON_WATCHDOG says so. */
void cel__watchdog_from_environment(void);

/* In the child of a fork, before fork() returns: the thread did not come
   along. */
void cel__watchdog_in_child(void);

/* Later in the child: start it again. */
void cel__watchdog_forked(void);

#endif
