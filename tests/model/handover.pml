/* SPDX-License-Identifier: MIT */
/*
 * Handing over to a waiter of another worker: src/sync/queue.h.
 *
 * A waiter puts its node in the queue and parks with a deadline, which passes
 * whenever it likes; a sender of another thread hands it an item under the
 * latch and sends the wake-up as a message.  What is shown: the item is either
 * handed over or still the sender's, never lost and never two times there;
 * who wakes never touches a waiter that has gone; the waiter never sleeps
 * beside an item; wake-ups that come late do no harm.
 *
 * With -DBROKEN the wake-up is sent after the latch was let go of: spin must
 * find that the waiter is gone by then.
 */
#define ROUNDS 2

bool latch;
bool queued;   /* the node is in the queue */
bool done;     /* the node's */
bool alive;    /* the waiter is there: its stack may be touched */
bool parked;
bool remote;   /* the message is on its way */
bool message;  /* it is in the inbox */
bool late;     /* why the park ended: its deadline */
bool finished; /* nobody will wait any more */
byte handed;
byte taken;

inline take()
{
    atomic {
        !latch;
        latch = true
    }
}

/* The waiter's worker between two of its coroutines. */
inline park()
{
    late = false;
    parked = true;
    do
    :: atomic { message -> message = false };
        atomic { remote = false };
        parked = false; /* to be run, maybe for nothing */
        break
    :: true -> /* its deadline passes */
        late = true;
        parked = false;
        break
    od
}

active proctype waiter()
{
    byte i;

    for (i : 1 .. ROUNDS) {
        alive = true;
        take();
        done = false;
        queued = true;
        latch = false;
        do
        :: park();
            take();
            if
            :: done ->
                taken++;
                latch = false;
                break
            :: !done && late ->
                queued = false;
                latch = false;
                break
            :: else ->
                latch = false
            fi
        od;
        /* It may have ended only where no message is on its way; until then
           its block is an orphan (cel__coro_reap()), so `remote` and the
           message itself may be touched, the node may not. */
        alive = false
    }
    take();
    assert(handed == taken);
    finished = true;
    latch = false
}

active proctype sender()
{
    byte i;
    bool woken;

    do
    :: handed == ROUNDS || finished -> break
    :: else ->
        take();
        woken = false;
        if
        :: queued ->
            assert(alive);
            queued = false;
            done = true;
            handed++;
            woken = true
        :: else
        fi;
#ifdef BROKEN
        latch = false;
#endif
        if
        :: woken ->
            bool was;
            assert(alive);
            atomic {
                was = remote;
                remote = true
            }
            if
            :: !was -> message = true
            :: else
            fi
        :: else
        fi;
#ifndef BROKEN
        latch = false;
#endif
        skip
    od
}
