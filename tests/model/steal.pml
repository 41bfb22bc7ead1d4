/* SPDX-License-Identifier: MIT */
/*
 * A coroutine that may begin anywhere is cancelled: begin() in
 * src/sched/spread.c, cel__cancel_late() in src/sched/wait.c.
 *
 * One of two workers takes it; it says where it begins, then asks whether it
 * is cancelled.  Who cancels it notes that, then asks where it is: nowhere, and
 * it will see the note; else a message goes there.  Where it begins at its
 * maker's the store may be kept back for a while, so it goes through a buffer
 * that is emptied at any time, or by the membarrier() of who cancels.  What is
 * shown: it is taken once, and learns that it is cancelled.
 *
 * With -DBROKEN there is no membarrier: spin must find one that never learns.
 */
byte worker; /* where it is, as others see it; 0: nowhere */
bool cancel;
byte ntaken;
bool seen; /* when it began it was cancelled */
bool told; /* a message was sent */
byte ndone;

chan buffer = [1] of { byte }; /* the maker's store on its way */

/* The maker's processor. */
active proctype memory()
{
end:
    do
    :: buffer ? worker
    od
}

inline ask()
{
    if
    :: cancel -> seen = true
    :: else
    fi
}

active proctype maker()
{
    if
    :: atomic { ntaken == 0 -> ntaken++ };
        buffer ! 1;
        ask()
    :: ntaken > 0
    fi;
    ndone++
}

active proctype thief()
{
    if
    :: atomic { ntaken == 0 -> ntaken++ };
        worker = 2;
        ask()
    :: ntaken > 0
    fi;
    ndone++
}

active proctype canceller()
{
    cancel = true;
#ifndef BROKEN
    atomic {
        do
        :: buffer ? worker
        :: empty(buffer) -> break
        od
    }
#endif
    if
    :: worker == 0
    :: worker != 0 -> told = true
    fi;
    ndone++
}

active proctype judge()
{
    ndone == 3;
    assert(ntaken == 1 && (seen || told))
}
