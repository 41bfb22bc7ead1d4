/* SPDX-License-Identifier: MIT */
/*
 * The biased latch: src/sched/latch.h.
 *
 * The owner takes it by storing `inside` and loading `shared`; its processor
 * may keep the store back for a while, so `inside` goes through a buffer that
 * is emptied at any time, or by another's membarrier().  What is shown: the
 * owner and the others are never in together, and none waits for ever.
 *
 * With -DBROKEN there is no membarrier: spin must find the two inside.
 */
#define NOTHERS 2
#define ROUNDS  2

bool inside; /* as the others see it */
bool shared;
bool word;
byte ninside; /* how many are in */

chan buffer = [4] of { bool }; /* the owner's stores on their way */
bool own;                      /* `inside` as the owner sees it */

inline drain()
{
    do
    :: buffer ? inside
    :: empty(buffer) -> break
    od
}

/* The owner's processor: stores arrive, in order. */
active proctype memory()
{
end:
    do
    :: buffer ? inside
    od
}

inline take_word()
{
    /* An exchange: it drains the buffer of who makes it. */
    atomic {
        !word;
        word = true
    }
}

inline visit()
{
    ninside++;
    assert(ninside == 1);
    ninside--
}

active proctype owner()
{
    byte i;
    bool biased;

    for (i : 1 .. ROUNDS) {
        own = true;
        buffer ! true;
        biased = !shared;
        if
        :: biased
        :: else ->
            own = false;
            buffer ! false;
            atomic {
                !word;
                drain();
                word = true
            }
        fi;
        visit();
        if
        :: own ->
            own = false;
            buffer ! false
        :: else ->
            word = false
        fi
    }
}

active [NOTHERS] proctype other()
{
    byte i;

    for (i : 1 .. ROUNDS) {
        take_word();
        if
        :: !shared ->
            shared = true;
#ifndef BROKEN
            atomic { drain() }
#endif
            !inside
        :: else
        fi;
        visit();
        word = false
    }
}
