/* SPDX-License-Identifier: MIT */
/*
 * Waiting at several channels at once.
 *
 * The latches of all channels are taken, in the order of their addresses, so
 * that two selects can't wait for each other's; then the cases are tried, and
 * where none can be done a node is left at each.  With all latches held
 * nobody can come between the look and the leaving.
 *
 * From then on several threads may find a node each.  The first to change
 * `winner` has the select; the others pass their node by.  The select itself
 * is one of them, when a deadline passes or it is cancelled.  Before it
 * returns it takes its nodes out one by one, each under its latch: after that
 * nobody looks at them any more, and what the winner copied is there.
 *
 * Threads: see celadon/chan.h.
 *
 * Tests: unit/test_select.c, unit/test_threads.c
 */
#include <errno.h>

#include "base/check.h"
#include "base/clock.h"
#include "sync/chan.h"

/* What cel_case.opaque is. */
struct node {
    struct cel__chan_wait wait;
    cel_case *next; /* by the address of its channel */
};

CEL__STATIC_ASSERT(sizeof(struct node) <= sizeof(((cel_case *)0)->opaque),
                   "a case has room for its node");

static struct node *
node_of(cel_case *one)
{
    return (struct node *)(void *)one->opaque;
}

/* Those of the cases that can happen, linked in the order of addresses.
   Returns NULL where there are none. */
static cel_case *
in_order(cel_case *cases, size_t ncases)
{
    cel_case *first = NULL;

    /* Backwards, so that cases in order are sorted without a step. */
    for (size_t i = ncases; i-- > 0;) {
        cel_case **at = &first;
        if (cases[i].chan == NULL) {
            continue;
        }
        while (*at != NULL &&
               (uintptr_t)(*at)->chan < (uintptr_t)cases[i].chan) {
            at = &node_of(*at)->next;
        }
        node_of(&cases[i])->next = *at;
        *at = &cases[i];
    }
    return first;
}

/* Take the latches of all, or give them back. */
CEL__HOT void
latch_all(cel_case *first, struct cel__worker *me, bool take)
{
    const cel_chan *last = NULL;

    for (cel_case *one = first; one != NULL; one = node_of(one)->next) {
        cel_chan *chan = one->chan;
        if (chan != last && take) {
            cel__latch_take(&chan->latch, me);
        }
        else if (chan != last) {
            cel__latch_give(&chan->latch, me);
        }
        last = chan;
    }
}

static int
attempt(cel_case *one, struct cel__worker *me)
{
    if (one->chan == NULL) {
        return -EAGAIN;
    }
    return one->op == CEL_SEND ? cel__chan_try_send(one->chan, one->value, me)
                               : cel__chan_try_recv(one->chan, one->value, me);
}

/* Do the first case that can be done; all latches are held.  Returns its
   index or -EAGAIN. */
static int
attempt_all(cel_case *cases, size_t ncases, struct cel__worker *me)
{
    /* Where to begin: at random, so that no rhythm of the caller's prefers
       one.  The constants are those of Numerical Recipes' generator. */
    uint32_t before = me != NULL ? me->random : (uint32_t)cel__clock_ticks();
    uint32_t random = before * 1664525U + 1013904223U;
    size_t from = ((uint64_t)random * ncases) >> 32;
    if (me != NULL) {
        me->random = random;
    }
    for (size_t i = 0; i < ncases; i++) {
        size_t at = from + i < ncases ? from + i : from + i - ncases;
        int code = attempt(&cases[at], me);
        if (code != -EAGAIN) {
            cases[at].result = code;
            return (int)at;
        }
    }
    return -EAGAIN;
}

/* Leave a node at each channel; all latches are held. */
static void
enqueue(cel_case *first, const cel_case *cases, struct cel__select *select,
        struct cel__coro *self)
{
    for (cel_case *one = first; one != NULL; one = node_of(one)->next) {
        struct cel__chan_wait *wait = &node_of(one)->wait;
        cel__wait_init(&wait->wait, self);
        wait->value = one->value;
        wait->select = select;
        wait->index = (int)(one - cases);
        cel__list_append(one->op == CEL_SEND ? &one->chan->senders
                                             : &one->chan->receivers,
                         &wait->wait.link);
    }
}

static void
dequeue(cel_case *first, struct cel__worker *me)
{
    for (cel_case *one = first; one != NULL; one = node_of(one)->next) {
        cel__latch_take(&one->chan->latch, me);
        cel__list_remove(&node_of(one)->wait.wait.link);
        cel__latch_give(&one->chan->latch, me);
    }
}

/* Cases that are named; of the rest it is said that they are. */
#define NAMED 8

/* What the note of a select points to. */
struct choice {
    const cel_case *cases;
    size_t ncases;
};

static void
describe(const void *object, struct cel__text *text)
{
    const struct choice *choice = object;

    for (size_t i = 0; i < choice->ncases && i <= NAMED; i++) {
        const cel_case *one = &choice->cases[i];
        cel__text_put(text, i == 0 ? " (" : ", ");
        if (i == NAMED) {
            cel__text_put(text, "and others");
            break;
        }
        cel__text_put(text, one->op == CEL_SEND ? "to send " : "to receive ");
        cel__text_hex(text, (uintptr_t)one->chan);
    }
    cel__text_put(text, choice->ncases > 0 ? ")" : "");
}

static const struct cel__awaited awaited_choice = {
    .what = "one of several channels", .describe = describe};

/* Park until a case has happened.  Returns its index or why not. */
static int
await(struct cel__select *select, struct cel__worker *me, cel_time deadline)
{
    for (;;) {
        int code = cel__park(me, deadline, awaited_choice.what);
        int winner = CEL__SELECT_OPEN;

        if (code < 0) {
            /* Acq_rel, both: pairs with claim() in chan.c. */
            if (atomic_compare_exchange_strong_explicit(
                    &select->winner, &winner, CEL__SELECT_LEFT,
                    memory_order_acq_rel, memory_order_acquire)) {
                return code;
            }
            return winner;
        }
        winner = atomic_load_explicit(&select->winner, memory_order_acquire);
        if (winner != CEL__SELECT_OPEN) {
            return winner;
        }
    }
}

static bool
are_valid(const cel_case *cases, size_t ncases)
{
    if (ncases > INT32_MAX) {
        return false;
    }
    for (size_t i = 0; i < ncases; i++) {
        if (cases[i].op != CEL_RECV && cases[i].op != CEL_SEND) {
            return false;
        }
    }
    return true;
}

int
cel_select(cel_case *cases, size_t ncases, cel_time deadline)
{
    struct cel__select select;

    if (!are_valid(cases, ncases)) {
        return -EINVAL;
    }
    struct cel__worker *me = cel__queue_charge(deadline);
    cel_case *first = in_order(cases, ncases);
    latch_all(first, me, true);
    int index = attempt_all(cases, ncases, me);
    if (index >= 0 || me == NULL || deadline <= CEL_AT_ONCE) {
        latch_all(first, me, false);
        return index >= 0                ? index
               : deadline <= CEL_AT_ONCE ? -ETIMEDOUT
                                         : -EPERM;
    }
    atomic_init(&select.winner, CEL__SELECT_OPEN);
    enqueue(first, cases, &select, me->current);
    latch_all(first, me, false);
    me->nshared++;
    struct choice choice = {cases, ncases};
    struct cel__awaiting note = {&awaited_choice, &choice};
    me->current->awaiting = &note;
    index = await(&select, me, deadline);
    me->current->awaiting = NULL;
    dequeue(first, me);
    me->nshared--;
    if (index >= 0) {
        cases[index].result = node_of(&cases[index])->wait.wait.result;
    }
    return index;
}
