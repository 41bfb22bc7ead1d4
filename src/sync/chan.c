/* SPDX-License-Identifier: MIT */
/*
 * Channels.
 *
 * Sender and receiver meet under the channel's latch: the one who comes
 * second copies the value straight from, or to, the stack of the one who
 * waits, notes the result there and wakes it.  A buffer lies between them
 * only while nobody waits for values.
 *
 * One who waits may be a select and may have been taken by another channel
 * already; whoever finds it must win it first (claim()).
 *
 * Threads: see celadon/chan.h.
 *
 * Tests: unit/test_chan.c, unit/test_select.c, unit/test_threads.c
 */
#include "sync/chan.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"

static const struct cel__awaited awaited_room = {.what = "room in a channel"};
static const struct cel__awaited awaited_value = {
    .what = "a value in a channel"};

int
cel_chan_open(cel_chan **out, size_t size, size_t capacity)
{
    size_t bytes;

    if (__builtin_mul_overflow(size, capacity, &bytes) ||
        __builtin_add_overflow(bytes, sizeof(struct cel_chan), &bytes)) {
        return -EINVAL;
    }
    struct cel_chan *chan = cel__alloc_zeroed(1, bytes);
    if (chan == NULL) {
        return -ENOMEM;
    }
    cel__latch_init(&chan->latch);
    cel__list_init(&chan->senders);
    cel__list_init(&chan->receivers);
    chan->size = size;
    chan->capacity = capacity;
    *out = chan;
    return 0;
}

void
cel_chan_close(cel_chan *chan)
{
    cel__assert(chan == NULL || (cel__list_empty(&chan->senders) &&
                                 cel__list_empty(&chan->receivers)));
    free(chan);
}

/* Whether `wait`, which is in a queue, is still to be had. */
static inline bool
claim(struct cel__chan_wait *wait)
{
    int open = CEL__SELECT_OPEN;

    /* Acq_rel: the loser goes on to free what the winner read. */
    return wait->select == NULL ||
           atomic_compare_exchange_strong_explicit(
               &wait->select->winner, &open, wait->index, memory_order_acq_rel,
               memory_order_acquire);
}

/* Who waits longest in `queue` and is to be had, or NULL. */
static inline struct cel__chan_wait *
take_first(struct cel__link *queue)
{
    struct cel__link *link;

    while ((link = cel__list_first(queue)) != NULL) {
        struct cel__chan_wait *wait = cel__container(
            link, struct cel__chan_wait, wait.link);
        if (claim(wait)) {
            return wait;
        }
        cel__list_remove(link); /* happened elsewhere */
    }
    return NULL;
}

/* The place of the value `n` behind the oldest. */
static inline char *
place(struct cel_chan *chan, size_t n)
{
    size_t at = chan->head + n;

    if (at >= chan->capacity) {
        at -= chan->capacity;
    }
    return chan->buffer + at * chan->size;
}

int
cel__chan_try_send(struct cel_chan *chan, const void *value,
                   struct cel__worker *me)
{
    if (cel__unlikely(chan->shut)) {
        return -EPIPE;
    }
    struct cel__chan_wait *receiver = take_first(&chan->receivers);
    if (receiver != NULL) {
        cel__chan_copy(receiver->value, value, chan->size);
        cel__queue_finish(&receiver->wait, 0, me);
        return 0;
    }
    if (chan->count < chan->capacity) {
        cel__chan_copy(place(chan, chan->count), value, chan->size);
        chan->count++;
        return 0;
    }
    return -EAGAIN;
}

int
cel__chan_try_recv(struct cel_chan *chan, void *value, struct cel__worker *me)
{
    if (chan->count == 0) {
        struct cel__chan_wait *sender = take_first(&chan->senders);
        if (sender != NULL) {
            cel__chan_copy(value, sender->value, chan->size);
            cel__queue_finish(&sender->wait, 0, me);
            return 0;
        }
        return chan->shut ? -EPIPE : -EAGAIN;
    }
    cel__chan_copy(value, place(chan, 0), chan->size);
    if (++chan->head == chan->capacity) {
        chan->head = 0;
    }
    chan->count--;
    /* Who waited for room comes in, behind the rest. */
    struct cel__chan_wait *sender = take_first(&chan->senders);
    if (sender != NULL) {
        cel__chan_copy(place(chan, chan->count), sender->value, chan->size);
        chan->count++;
        cel__queue_finish(&sender->wait, 0, me);
    }
    return 0;
}

void
cel_chan_shutdown(cel_chan *chan)
{
    struct cel__worker *me = cel__queue_enter(&chan->latch, CEL_AT_ONCE);
    struct cel__chan_wait *wait;

    chan->shut = true;
    /* There are receivers only where nothing is left to receive. */
    while ((wait = take_first(&chan->senders)) != NULL ||
           (wait = take_first(&chan->receivers)) != NULL) {
        cel__queue_finish(&wait->wait, -EPIPE, me);
    }
    cel__latch_give(&chan->latch, me);
}

/* Send or receive, whichever is known where this is called. */
CEL__HOT int
transfer(cel_chan *chan, bool send, void *value, cel_time deadline)
{
    struct cel__worker *me = cel__queue_enter(&chan->latch, deadline);
    int code = send ? cel__chan_try_send(chan, value, me)
                    : cel__chan_try_recv(chan, value, me);

    if (code == -EAGAIN) {
        struct cel__chan_wait wait;

        wait.value = value;
        wait.select = NULL;
        return cel__queue_wait_as(
            &wait.wait, send ? &chan->senders : &chan->receivers, &chan->latch,
            me, deadline, send ? &awaited_room : &awaited_value);
    }
    cel__latch_give(&chan->latch, me);
    return code;
}

int
cel_chan_send(cel_chan *chan, const void *value, cel_time deadline)
{
    return transfer(chan, true, (void *)(uintptr_t)value, deadline);
}

int
cel_chan_recv(cel_chan *chan, void *value, cel_time deadline)
{
    return transfer(chan, false, value, deadline);
}

size_t
cel_chan_count(cel_chan *chan)
{
    struct cel__worker *me = cel__queue_enter(&chan->latch, CEL_AT_ONCE);
    size_t count = chan->count;
    cel__latch_give(&chan->latch, me);
    return count;
}
