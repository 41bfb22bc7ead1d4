/* SPDX-License-Identifier: MIT */
/*
 * The end of a run of several workers: src/sched/team.c.
 *
 * Coroutines start others at their own worker, elsewhere and anywhere, as many
 * as BUDGET allows, and end.  Those that begin anywhere lie at a worker until
 * it or one that has a token, and does not end yet, takes them.  Each worker has a token, and so has each coroutine
 * on its way; when the run is ending, a worker without coroutines gives its
 * own away, and one that arrives there brings it another.  Who gives the last
 * away tells all, and each closes when it was told.  What is shown: nobody
 * closes who has a coroutine or to whom one is on its way, and all close.
 *
 * With -DBROKEN a coroutine on its way has no token: spin must find one that
 * comes to a closed worker.
 */
#define N      3
#define BUDGET 3

byte tokens = N;
byte alive[N];  /* coroutines at each */
byte births[N]; /* messages to each: coroutines on their way */
byte loose[N];  /* at each: coroutines that have not begun */
bool token[N];
bool ending[N];
bool over[N];
bool closed[N];
byte left = BUDGET;

inline give_token(w)
{
    d_step {
        tokens--;
        last = tokens == 0
    }
    if
    :: last ->
        for (i : 0 .. N - 1) {
            assert(!closed[i]);
            over[i] = true
        }
    :: else
    fi
}

proctype worker(byte w)
{
    byte i;
    byte to;
    bool last;

    do
    :: births[w] > 0 ->
        births[w]--;
        alive[w]++;
#ifndef BROKEN
        if
        :: token[w] -> give_token(w)
        :: else -> token[w] = true
        fi
#endif
    :: alive[w] > 0 && left > 0 ->
        /* Start one more, here or at another. */
        d_step {
            if
            :: left > 0 -> left--; to = (w + 1) % N
            :: else -> to = N
            fi
        }
        if
        :: to == N
        :: to < N -> alive[w]++
        :: to < N -> loose[w]++
        :: to < N ->
            to = (w + 1) % N
#ifndef BROKEN
            ;
            tokens++
#endif
            ;
            assert(!closed[to]);
            births[to]++
        fi
    :: alive[w] > 0 -> alive[w]--
    :: atomic { loose[w] > 0 -> loose[w]--; alive[w]++ }
    :: atomic { loose[(w + 1) % N] > 0 && token[w] && !ending[w] ->
           loose[(w + 1) % N]--; loose[w]++ }
    :: w == 0 && !ending[0] ->
        /* fn has returned: tell all. */
        for (i : 0 .. N - 1) {
            ending[i] = true
        }
    :: ending[w] && alive[w] == 0 && loose[w] == 0 && token[w] ->
        token[w] = false;
        give_token(w)
    :: over[w] -> break
    od;
    assert(alive[w] == 0 && births[w] == 0 && loose[w] == 0);
    closed[w] = true
}

init
{
    byte w;

    atomic {
        for (w : 0 .. N - 1) {
            alive[w] = w < 2;
            token[w] = true
        }
        for (w : 0 .. N - 1) {
            run worker(w)
        }
    }
}
