/* SPDX-License-Identifier: MIT */
/*
 * Channels: values from coroutine to coroutine, in order.
 *
 * A channel has room for some values, or for none: then a send waits until
 * somebody receives.  Values are copied, `size` bytes each.  Who waits longest
 * is served first; what was handed over is never lost: where a deadline or a
 * cancel comes at the same moment as the value, the value counts.
 *
 * Threads: any.  The two ends may be coroutines of different threads.  What
 * would have to wait returns -EPERM outside a coroutine; with CEL_AT_ONCE
 * nothing has to.
 */
#ifndef CELADON_CHAN_H
#define CELADON_CHAN_H

#include "celadon/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A channel. */
typedef struct cel_chan cel_chan;

/**
 * Make a channel for values of `size` bytes (0: it only signals) with room
 * for `capacity` of them.  It is cheapest in the thread that made it.
 * Does not suspend.  Returns 0, -ENOMEM or -EINVAL (more bytes than there can
 * be); on error `*chan` is as it was.
 */
CEL_API CEL_NODISCARD int cel_chan_open(cel_chan **chan, size_t size,
                                        size_t capacity);

/**
 * Release a channel that nobody uses any more: nobody may be waiting at it.
 * Values left in it are gone.  NULL is allowed.  Does not suspend.
 */
CEL_API void cel_chan_close(cel_chan *chan);

/**
 * Say that no more values will be sent: every send, those that wait too,
 * returns -EPIPE; receivers get what is left and then -EPIPE.  May be said
 * again.  Does not suspend.
 */
CEL_API void cel_chan_shutdown(cel_chan *chan);

/**
 * Send the value at `value` (ignored where values have no bytes).
 *
 * Suspends until it is received or there is room for it, or `deadline`.
 * Returns 0, -EPIPE (shut down), -ETIMEDOUT, -ECANCELED, -EDEADLK, -ENOMEM or
 * -EPERM; on error nothing was sent.
 */
CEL_API CEL_NODISCARD int cel_chan_send(cel_chan *chan, const void *value,
                                        cel_time deadline);

/**
 * Receive a value into `*value` (ignored where values have no bytes).
 *
 * Suspends until there is one, or `deadline`.  Returns 0, -EPIPE (shut down,
 * and nothing is left), -ETIMEDOUT, -ECANCELED, -EDEADLK, -ENOMEM or -EPERM;
 * on error `*value` is as it was.
 */
CEL_API CEL_NODISCARD int cel_chan_recv(cel_chan *chan, void *value,
                                        cel_time deadline);

/** How many values lie in the channel just now.  Does not suspend. */
CEL_API size_t cel_chan_count(cel_chan *chan);

/** What a case of cel_select() does. */
enum cel_case_op {
    CEL_RECV = 1, /**< receive into `value` */
    CEL_SEND = 2  /**< send what is at `value` */
};

/** One of the things that cel_select() waits for. */
typedef struct cel_case {
    cel_chan *chan; /**< NULL: a case that never happens */
    void *value;    /**< read by CEL_SEND, written by CEL_RECV */
    int op;         /**< enum cel_case_op */
    int result;     /**< of the case that happened: 0 or -EPIPE */
    void *opaque[8];
} cel_case;

/**
 * Wait until one of `ncases` sends and receives can be done, and do it.
 *
 * A case whose channel is shut down can be done, with the result -EPIPE.  Of
 * several that can be done at once one is chosen at random.  A channel
 * may stand in several cases.  `opaque` need not be set.  Meant for some tens
 * of cases: their order is found anew each time.
 *
 * Suspends until then or `deadline`.  Returns the index of the case that
 * happened, -EINVAL (an unknown `op`), -ETIMEDOUT, -ECANCELED, -EDEADLK,
 * -ENOMEM or -EPERM; on error nothing was sent or received.
 */
CEL_API CEL_NODISCARD int cel_select(cel_case *cases, size_t ncases,
                                     cel_time deadline);

#ifdef __cplusplus
}
#endif

#endif
