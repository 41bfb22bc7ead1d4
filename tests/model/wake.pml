/* SPDX-License-Identifier: MIT */
/*
 * Sleeping and messages: cel__worker_post() and cel__worker_turn().
 *
 * The owner sets `asleep`, looks at the inbox, sleeps; a sender pushes, looks
 * at `asleep`, wakes the owner if it was the one to clear it: by the eventfd,
 * or, where the owner waits at `asleep` itself, by a futex, which keeps nothing
 * for who is not there yet but lets nobody sleep at a changed word.  Shown:
 * all messages are taken in, so nobody sleeps beside one (spin reports an
 * owner that sleeps for ever as an invalid end state).  The accesses are
 * sequentially consistent in the code, so plain interleaving is the truth.
 *
 * With -DBROKEN the owner looks first and then says that it sleeps: spin must
 * find the sleeper.
 */
#define NSENDERS 3
#define EACH     2

byte inbox;    /* messages in it */
#define AWAKE   0
#define POLLING 1
#define WAITING 2

byte asleep;   /* the senders must wake the owner, and how */
byte wakes;    /* the eventfd */
bool waiting;  /* the owner is in futex_wait() */
byte received;
byte senders;  /* threads inside cel__worker_post() */
bool closed;   /* the worker is gone */

proctype sender()
{
    byte i;
    byte was;

    for (i : 1 .. EACH) {
        senders++;
        assert(!closed);
        inbox++;
        was = AWAKE;
        if
        :: asleep != AWAKE ->
            atomic {
                was = asleep;
                asleep = AWAKE
            }
        :: else
        fi;
        if
        :: was == POLLING ->
            assert(!closed);
            wakes++
        :: was == WAITING ->
            assert(!closed);
            waiting = false
        :: else
        fi;
        senders--
    }
}

proctype owner()
{
    byte n;
    byte how;
    bool nothing;

    do
    :: received == NSENDERS * EACH -> break
    :: else ->
        if
        :: how = POLLING
        :: how = WAITING
        fi;
#ifdef BROKEN
        nothing = inbox == 0;
        asleep = how;
#else
        asleep = how;
        nothing = inbox == 0;
#endif
        if
        :: nothing && how == POLLING ->
            /* The poll: its events are those of the moment it returns. */
            atomic {
                wakes > 0;
                wakes = 0
            }
        :: nothing && how == WAITING ->
            /* The kernel looks at the word and sleeps in one step. */
            atomic {
                waiting = asleep == WAITING
            }
            !waiting
        :: else
        fi;
        asleep = AWAKE;
        atomic {
            n = inbox;
            inbox = 0
        }
        received = received + n
    od;
    /* cel__worker_close() */
    senders == 0;
    closed = true
}

init
{
    byte i;

    atomic {
        run owner();
        for (i : 1 .. NSENDERS) {
            run sender()
        }
    }
}
