/* SPDX-License-Identifier: MIT */
/*
 * Asking, answering and giving up.
 *
 * Threads: see join.h.
 *
 * Tests: unit/test_workers.c, model/join.pml
 */
#include "sched/join.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "sched/run.h"
#include "sched/worker.h"
#include "see/awaited.h"

enum verdict {
    OPEN,
    ANSWERED, /* by the home: it has ended, and the handle is let go of */
    LEFT      /* by the joiner: it waits no more */
};

/* Released by who learns last that it is over: the joiner or its worker, by
   the answer; or the home, by the message that the joiner has left. */
struct asker {
    struct cel__message ask; /* and the answer */
    struct cel__message leave;
    struct cel_coro *coro;    /* whose end is asked for */
    struct cel__coro *joiner; /* who waits for it; NULL: nobody, it has */
    struct cel__worker *from; /* the joiner's */
    atomic_uchar verdict;     /* enum verdict */
    struct cel__wait wait;    /* in coro->joiners; its coro is NULL */
    bool listed;              /* it is there; the home's */
    bool answered;            /* the answer has come; the joiner's */
    bool gone;                /* the joiner knew before; the joiner's */
};

/* At the joiner's worker. */
static void
answer_arrived(struct cel__message *message)
{
    struct asker *asker = cel__container(message, struct asker, ask);

    if (asker->gone) {
        free(asker);
        return;
    }
    asker->answered = true;
    cel__wake(asker->joiner);
}

/* At home: let go of the handle, in the joiner's stead, unless it has left. */
static void
answer(struct asker *asker)
{
    struct cel_coro *coro = asker->coro;

    /* Acq_rel: pairs with the exchange in cel__join_away(). */
    if (atomic_exchange_explicit(&asker->verdict, ANSWERED,
                                 memory_order_acq_rel) == LEFT) {
        return; /* it has sent a message, which releases it */
    }
    if (coro->handle) {
        coro->handle = false;
        cel__run_unref(coro);
    }
    if (asker->joiner == NULL) {
        free(asker);
        return;
    }
    asker->ask.fn = answer_arrived;
    cel__worker_post(asker->from, &asker->ask);
}

/* Not inlined: every coroutine that ends would save more registers. */
__attribute__((noinline)) void
cel__join_answer(struct cel__wait *wait)
{
    struct asker *asker = cel__container(wait, struct asker, wait);
    struct cel_coro *coro = asker->coro;

    asker->listed = false;
    answer(asker);
    cel__run_unref(coro);
}

/* At home, both: what is on its way becomes a reference. */
static void
receive(struct cel_coro *coro)
{
    coro->refs++;
    atomic_fetch_sub_explicit(&coro->nasked, 1, memory_order_relaxed);
}

static void
ask_arrived(struct cel__message *message)
{
    struct asker *asker = cel__container(message, struct asker, ask);
    struct cel_coro *coro = asker->coro;

    receive(coro);
    if (!cel__run_ended(coro)) {
        asker->listed = true;
        cel__list_append(&coro->joiners, &asker->wait.link);
        return;
    }
    answer(asker);
    cel__run_unref(coro);
}

static void
leave_arrived(struct cel__message *message)
{
    struct asker *asker = cel__container(message, struct asker, leave);
    struct cel_coro *coro = asker->coro;

    receive(coro);
    if (asker->listed) {
        cel__list_remove(&asker->wait.link);
        cel__run_unref(coro);
    }
    free(asker);
    cel__run_unref(coro);
}

/* By the joiner. */
static void
send_home(struct asker *asker, struct cel__message *message,
          void (*fn)(struct cel__message *))
{
    struct cel_coro *coro = asker->coro;

    message->fn = fn;
    /* Release: pairs with the load before the block is given back. */
    atomic_fetch_add_explicit(&coro->nasked, 1, memory_order_release);
    cel__worker_post(coro->home->worker, message);
}

/* Wait for the answer.  Returns as cel__park() where none has come. */
static int
await_answer(struct asker *asker, struct cel__worker *me, cel_time deadline)
{
    struct cel__awaiting note = {&cel__awaited_end, &asker->coro->coro};
    int code;

    asker->joiner->awaiting = &note;
    do {
        code = cel__park(me, deadline, cel__awaited_end.what);
    } while (!asker->answered && code >= 0);
    asker->joiner->awaiting = NULL;
    return code < 0 && !asker->answered ? code : 0;
}

int
cel__join_away(cel_coro *coro, cel_time deadline)
{
    struct cel__worker *me = cel__worker();
    bool ended = cel__run_ended(coro);

    if (me == NULL) {
        return -EPERM;
    }
    if (coro->is_root || &coro->coro == me->current) {
        return -EDEADLK;
    }
    if (!ended && deadline <= CEL_AT_ONCE) {
        return me->current->cancelled ? -ECANCELED : -ETIMEDOUT;
    }
    struct asker *asker = cel__alloc_zeroed(1, sizeof(*asker));
    if (asker == NULL) {
        return -ENOMEM;
    }
    asker->coro = coro;
    asker->joiner = ended ? NULL : me->current;
    asker->from = me;
    send_home(asker, &asker->ask, ask_arrived);
    if (ended) {
        return 0;
    }
    int code = await_answer(asker, me, deadline);
    if (code == 0) {
        free(asker);
        return 0;
    }
    /* Acq_rel: pairs with the exchange in answer(). */
    if (atomic_exchange_explicit(&asker->verdict, LEFT,
                                 memory_order_acq_rel) == ANSWERED) {
        asker->gone = true;
        return 0;
    }
    send_home(asker, &asker->leave, leave_arrived);
    return code;
}
