/* SPDX-License-Identifier: MIT */
/*
 * Who gives a coroutine's block back: cel_join() at another worker, its end,
 * and cancels from a third thread (src/sched/run.c, message_for() and
 * cel__wake_to_release() in src/sched/wait.c).
 *
 * References are counted under the latch, here a d_step.  Whoever drops the
 * last gives the block back, or, where a message is on its way or this is not
 * its worker, leaves that to a message.  What is shown: nobody touches the
 * block after it was given back, and it is, once (a block that never is leaves
 * its worker waiting, an invalid end state).
 *
 * With -DBROKEN a message overwrites what is noted of another, instead of
 * adding to it: spin must find a block that is never given back.
 */
#define SENT 1
#define LAST 2

byte remote;   /* bits */
byte inbox;    /* messages to the coroutine's worker */
byte refs = 2; /* its stack's, its handle's */
bool ended;
bool given;
bool cancelled; /* the canceller lets go of the handle */

inline touch()
{
    assert(!given)
}

/* A message to the worker, unless one is on its way. */
inline send(bits)
{
    d_step {
        touch();
        old = remote;
#ifdef BROKEN
        remote = bits
#else
        remote = remote | bits
#endif
    }
    if
    :: (old & SENT) == 0 -> inbox++
    :: else
    fi
}

/* At its worker. */
inline unref()
{
    d_step {
        touch();
        refs--;
        last = refs == 0
    }
    if
    :: last && (remote & SENT) != 0 ->
        refs = 1;
        d_step {
            remote = remote | LAST
        }
    :: last && (remote & SENT) == 0 -> d_step { touch(); given = true }
    :: else
    fi
}

proctype owner()
{
    byte old;
    bool last;
    bool unstacked;

    do
    :: inbox > 0 ->
        inbox--;
        d_step {
            touch();
            old = remote;
            remote = 0
        }
        if
        :: (old & LAST) != 0 -> unref()
        :: else -> touch()
        fi
    :: !ended -> touch(); ended = true
    :: ended && !unstacked ->
        unstacked = true;
        /* cel__coro_reap() */
        if
        :: (remote & SENT) != 0 ->
            d_step {
                remote = remote | LAST
            }
        :: else -> unref()
        fi
    :: given && inbox == 0 -> break
    od
}

proctype joiner()
{
    byte old;
    bool last;

    ended && cancelled;
    d_step {
        touch();
        refs--;
        last = refs == 0
    }
    if
    :: last ->
        refs = 1;
        send(SENT | LAST)
    :: else
    fi
}

proctype canceller()
{
    byte i;
    byte old;

    for (i : 1 .. 2) {
        send(SENT)
    }
    cancelled = true
}

init
{
    atomic {
        run owner();
        run joiner();
        run canceller()
    }
}
