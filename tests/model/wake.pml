/* SPDX-License-Identifier: MIT */
/*
 * Sleeping and messages: cel__worker_post() and cel__worker_turn().
 *
 * The owner sets `asleep`, looks at the inbox, sleeps; a sender pushes, looks
 * at `asleep`, wakes the loop if it was the one to clear it.  What is shown:
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
bool asleep;   /* the senders must wake the loop */
byte wakes;    /* the eventfd */
byte received;
byte senders;  /* threads inside cel__worker_post() */
bool closed;   /* the worker is gone */

proctype sender()
{
    byte i;
    bool was;

    for (i : 1 .. EACH) {
        senders++;
        assert(!closed);
        inbox++;
        was = false;
        if
        :: asleep ->
            atomic {
                was = asleep;
                asleep = false
            }
        :: else
        fi;
        if
        :: was ->
            assert(!closed);
            wakes++
        :: else
        fi;
        senders--
    }
}

proctype owner()
{
    byte n;
    bool nothing;

    do
    :: received == NSENDERS * EACH -> break
    :: else ->
#ifdef BROKEN
        nothing = inbox == 0;
        asleep = true;
#else
        asleep = true;
        nothing = inbox == 0;
#endif
        if
        :: nothing ->
            /* The poll: its events are those of the moment it returns. */
            atomic {
                wakes > 0;
                wakes = 0
            }
        :: else
        fi;
        asleep = false;
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
