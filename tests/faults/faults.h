/* SPDX-License-Identifier: MIT */
/*
 * What happens when the Nth system call or allocation fails: the scenarios'
 * side of it; see main.c for how they are run.
 *
 * A scenario is a function that runs as the first coroutine of a run or, where
 * it is ALONE(), on a thread that runs no coroutines.  It uses the public
 * calls as a careful program does: each may fail, and then it gives back what
 * it has and returns.  Of a call that fails the driver wants to know with
 * what, so calls are made by CALL(); what may not be, also after a fault, is
 * said by broken().
 *
 * Threads: any.
 */
#ifndef CEL_TEST_FAULTS_H
#define CEL_TEST_FAULTS_H

#include <stdint.h>

#include <celadon.h>

struct scenario {
    const char *name;
    void (*run)(void);
    int alone; /* no run is made for it */
    struct scenario *next;
};

#define SCENARIO(noun) ADD_SCENARIO(noun, 0)
#define ALONE(noun)    ADD_SCENARIO(noun, 1)

#define ADD_SCENARIO(noun, alone)                                             \
    static void noun##_scenario(void);                                        \
    __attribute__((constructor)) static void add_##noun##_scenario(void)      \
    {                                                                         \
        static struct scenario self = {#noun, noun##_scenario, alone, NULL};  \
        add_scenario(&self);                                                  \
    }                                                                         \
    static void noun##_scenario(void)

/* Make the public call, tell the driver, and have its result: CALL() of what
   returns a number, DO() of what returns nothing. */
#define CALL(fn, ...) note(#fn, (intmax_t)(fn)(__VA_ARGS__))
#define DO(fn, ...)   ((fn)(__VA_ARGS__), (void)note(#fn, 0))

/* Whether it holds, fault or no fault. */
#define MUST(condition)                                                       \
    ((condition) ? (void)0 : broken(#condition, __FILE__, __LINE__))

void add_scenario(struct scenario *scenario);
int note(const char *name, intmax_t result);
_Noreturn void broken(const char *what, const char *file, int line);

/* A deadline that is never reached. */
static inline cel_time
soon(void)
{
    return cel_after(3600 * CEL_SEC);
}

/* Join it; the fault may hit one attempt, but not the next. */
static inline void
finish(cel_coro *coro)
{
    int err = CALL(cel_join, coro, soon());

    if (err < 0) {
        cel_cancel(coro);
        err = CALL(cel_join, coro, CEL_FOREVER);
    }
    MUST(err == 0);
}

#endif
