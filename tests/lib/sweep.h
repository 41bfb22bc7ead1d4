/* SPDX-License-Identifier: MIT */
/*
 * What a test may leave behind: processes of its group, and a folder.
 *
 * Threads: one; sweep_folder() on any thread and stack of a test.
 */
#ifndef CEL_TEST_SWEEP_H
#define CEL_TEST_SWEEP_H

#include <sys/types.h>

/* Before the first test: from here on nothing is left, even where the caller
   is killed. */
void sweep_start(void);

/* The group of the test that is about to run; its members die with it. */
void sweep_expect(pid_t group);

/* The test has ended: kill what is left of its group, remove its folder. */
void sweep(void);

/* In a test: its folder, made now if it was not yet there; NULL where it can't
   be made. */
const char *sweep_folder(void);

#endif
