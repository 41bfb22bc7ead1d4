/* SPDX-License-Identifier: MIT */
/*
 * What a generator is; the rest is celadon/gen.h.
 *
 * Threads: the run's.
 */
#ifndef CEL_GEN_H
#define CEL_GEN_H

#include <stdbool.h>

#include "celadon/gen.h"
#include "sched/run.h"

/* Who waits for a generator's next value, or for its end, on the stack of the
   one who waits; the generator fills it in and forgets it. */
struct cel__gen_ask {
    struct cel__coro *coro; /* who waits */
    bool done;              /* the fields below are valid */
    int result;             /* 1: a value came; 0: the generator has ended */
    void *value;
};

/*
 * Invariants: idle => it is parked in cel_gen_yield() and ask == NULL;
 * ask != NULL => !ask->done.
 */
struct cel_gen {
    struct cel_coro coro; /* first; coro.arg is what fn gets */
    void (*fn)(struct cel_gen *gen, void *arg);
    struct cel__gen_ask *ask;   /* who waits for the next value, or NULL */
    struct cel__gen_ask *close; /* who waits for the end, or NULL */
    void *in;                   /* what was sent last */
    unsigned nasked;            /* how often; counted for fairness */
    bool idle;                  /* it may be asked */
};

#endif
