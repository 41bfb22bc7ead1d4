/* SPDX-License-Identifier: MIT */
/*
 * A fork beside latches: src/sched/latch.h.
 *
 * A worker that goes in notes that, and then looks whether a fork is under
 * way; its processor may keep the note back for a while, so it goes through a
 * buffer that is emptied at any time, or by the forking thread's membarrier().
 * What is shown: nobody is inside at the moment of a fork, and neither the
 * worker nor who forks waits for ever.
 *
 * With -DBROKEN there is no membarrier: spin must find one inside.
 */
#define NWORKERS 2
#define ROUNDS   2

bool halt;
bool gate;                 /* the mutex of who forks, and of who waits */
bool latched[NWORKERS];    /* as the others see it */
byte ninside;

chan buffer0 = [2] of { bool }; /* a worker's stores on their way */
chan buffer1 = [2] of { bool };

inline drain()
{
    do
    :: buffer0 ? latched[0]
    :: buffer1 ? latched[1]
    :: empty(buffer0) && empty(buffer1) -> break
    od
}

/* The processors: stores arrive, in order. */
active proctype memory()
{
end:
    do
    :: buffer0 ? latched[0]
    :: buffer1 ? latched[1]
    od
}

inline note(what)
{
    if
    :: me == 0 -> buffer0 ! what
    :: me == 1 -> buffer1 ! what
    fi
}

active [NWORKERS] proctype worker()
{
    byte me = _pid - 1;
    byte i;

    for (i : 1 .. ROUNDS) {
        note(true);
        do
        :: !halt -> break
        :: else ->
            note(false);
            /* Sleep until the fork is over. */
            atomic { !gate; gate = true };
            gate = false;
            note(true)
        od;
        ninside++;
        ninside--;
        note(false)
    }
}

active proctype forker()
{
    byte i;

    for (i : 1 .. ROUNDS) {
        atomic { !gate; gate = true };
        halt = true;
#ifndef BROKEN
        atomic { drain() };
#endif
        !latched[0];
        !latched[1];
        assert(ninside == 0);
        halt = false;
        gate = false
    }
}
