/* SPDX-License-Identifier: MIT */
/*
 * Joining a coroutine whose home is another worker.
 *
 * Who joins whom is known at the coroutine's home alone, where it costs
 * nothing (see sched/run.h).  From elsewhere one asks there, by a message that
 * lies in the list of joiners until the coroutine has ended, and comes back as
 * the answer.  Who gives up before says so by another; which of the two was
 * first is settled by an exchange, for the answer lets go of the handle.
 *
 * As long as a message is on its way to its home, counted in `nasked`, a
 * coroutine's block is not given back.
 *
 * Threads: the joiner's worker, or the home, as said.
 *
 * Tests: unit/test_workers.c, model/join.pml
 */
#ifndef CEL_JOIN_H
#define CEL_JOIN_H

#include "celadon/run.h"
#include "sched/wait.h"

/* cel_join(), where the caller is not at home. */
int cel__join_away(cel_coro *coro, cel_time deadline);

/* At home: its coroutine has ended, and `wait`, which has no coroutine, was
   taken out of the list of those who join it. */
void cel__join_answer(struct cel__wait *wait);

#endif
