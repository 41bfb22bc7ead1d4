/* SPDX-License-Identifier: MIT */
/*
 * Who gives back the block of a coroutine that ends at another worker than its
 * home, while others join it from elsewhere and cancel it: src/sched/run.c,
 * src/sched/join.c, message_for() in src/sched/wait.c.
 *
 * The home has the handle and a list of those who asked; the worker has the
 * stack; a joiner asks, and may give up whenever it likes and then asks once
 * more; a canceller sends two messages.  The handle is the joiner's, and the
 * canceller is done before the joiner has let go of it.  What is shown: nobody
 * touches the block after it was given back, it is given back once, each asker
 * is released once, and a joiner that gave up still has the handle.
 *
 * With -DBROKEN the joiner gives up without the exchange: spin must find that
 * the answer lets go of a handle that is in use.
 */
#define SENT 1
#define LAST 2

byte remote;     /* bits */
byte nasked;
byte refs = 2;   /* its home's: the stack's, until it is told, the handle's */
bool handle = true;
bool away;
bool ended;
bool halfway;
bool given;
bool told;
bool unstacked;
byte nlast;      /* the worker's word, in the home's inbox */
byte nwake;      /* a cancel, in the worker's inbox */

/* The two askers, one after the other. */
mtype = { OPEN, ANSWERED, LEFT };
mtype verdict[2] = OPEN;
bool asked[2];   /* in the home's inbox */
bool left[2];
bool answered[2]; /* in the joiner's inbox */
bool listed[2];
byte freed[2];

inline touch()
{
    assert(!given)
}

inline give()
{
    d_step {
        assert(!given);
        assert(nasked == 0);
        given = true
    }
}

/* At home. */
inline give_back()
{
    if
    :: nasked != 0
    :: else ->
        d_step {
            mine = !away || halfway;
            if
            :: away -> halfway = true
            :: else
            fi
        }
        if
        :: !mine
        :: else ->
            refs = 1;
            d_step {
                touch();
                old = remote;
                remote = remote | LAST
            }
            if
            :: (old & SENT) != 0
            :: else -> give()
            fi
        fi
    fi
}

inline unref()
{
    touch();
    refs--;
    if
    :: refs == 0 -> give_back()
    :: else
    fi
}

inline answer(k)
{
    d_step {
        v = verdict[k];
        verdict[k] = ANSWERED
    }
    if
    :: v == LEFT
    :: else ->
        if
        :: handle -> handle = false; unref()
        :: else
        fi;
        answered[k] = true
    fi
}

active proctype home()
{
    byte k;
    byte old;
    bool mine;
    mtype v;

end:
    do
    :: nlast > 0 ->
        nlast--;
        touch();
        away = true;
        ended = true;
        for (k : 0 .. 1) {
            if
            :: listed[k] ->
                listed[k] = false;
                answer(k);
                unref()
            :: else
            fi
        }
        unref()
    :: asked[0] || (asked[1] && !left[0]) ->
        /* In the order they were sent. */
        if
        :: asked[0] -> k = 0
        :: else -> k = 1
        fi;
        asked[k] = false;
        touch();
        refs++;
        nasked--;
        if
        :: !ended -> listed[k] = true
        :: else -> answer(k); unref()
        fi
    :: left[0] && !asked[0] ->
        left[0] = false;
        touch();
        refs++;
        nasked--;
        if
        :: listed[0] -> listed[0] = false; unref()
        :: else
        fi;
        freed[0]++;
        unref()
    od
}

/* On the coroutine's worker: its stack is free, or a message has come. */
inline release_away()
{
    if
    :: !unstacked ->
        unstacked = true;
        d_step {
            mine = halfway;
            halfway = true
        }
    :: else -> mine = true
    fi;
    if
    :: !mine
    :: mine && remote == 0 -> give()
    :: else ->
        d_step {
            touch();
            remote = remote | LAST
        }
    fi
}

active proctype worker()
{
    byte old;
    bool mine;

end:
    do
    :: nwake > 0 ->
        nwake--;
        d_step {
            touch();
            old = remote;
            remote = 0
        }
        if
        :: (old & LAST) != 0 -> release_away()
        :: (old & LAST) == 0 && !unstacked -> touch()
        :: else
        fi
    :: !told ->
        told = true;
        nlast++;
        touch()
    :: told && !unstacked -> release_away()
    od
}

active proctype joiner()
{
    byte k;

    for (k : 0 .. 1) {
        assert(handle);
        nasked++;
        touch();
        asked[k] = true;
        if
        :: answered[k] -> freed[k]++; break
        :: k == 0 ->
            /* It gives up. */
#ifdef BROKEN
            skip;
            left[0] = true;
            nasked++;
            verdict[0] = LEFT
#else
            if
            :: d_step { verdict[0] == OPEN -> verdict[0] = LEFT };
                nasked++;
                left[0] = true
            :: verdict[0] == ANSWERED ->
                answered[0];
                freed[0]++;
                break
            fi
#endif
        fi
    }
    /* The handle was let go of. */
    assert(!handle);
    given && nwake == 0;
    assert(freed[0] <= 1 && freed[1] <= 1)
}

active proctype canceller()
{
    byte i;
    byte old;

    for (i : 1 .. 2) {
        /* Whoever cancels has the handle. */
        d_step {
            if
            :: handle ->
                touch();
                old = remote;
                remote = remote | SENT
            :: else -> old = SENT
            fi
        }
        if
        :: (old & SENT) == 0 -> nwake++
        :: else
        fi
    }
}
