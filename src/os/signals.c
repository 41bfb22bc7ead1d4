/* SPDX-License-Identifier: MIT */
/*
 * Signals: a handler notes them, and wakes whoever waits.
 *
 * Not signalfd(2): that wants the signal blocked in every thread there is,
 * and threads of others don't ask us.  A handler runs in whichever thread the
 * system chose, so what it does is what any thread may do at any time: it
 * walks a list, sets bits and writes to descriptors.
 *
 * The list is written under a lock, which the handler does not take.  Who
 * takes an object out waits until no handler is at work that may have found
 * it: the handler counts itself in and then reads the list, the other writes
 * the list and then reads the count, both sequentially consistent.
 *
 * Threads: see celadon/signals.h.
 *
 * Tests: unit/test_signals.c
 */
#include "os/signals.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/fork.h"
#include "base/sys.h"
#include "base/sys_memory.h"
#include "base/sys_signal.h"
#include "celadon/net.h"
#include "sched/io.h"

/* As many as the kernel has; the last one's number. */
#define LAST 64

/* Invariant: in `all` <=> open. */
struct cel_signals {
    struct cel_signals *_Atomic next; /* in `all`; handlers read it */
    uint64_t wanted;                  /* bit N - 1: signal N; constant */
    atomic_uint_fast64_t arrived;     /* the same: it came; handlers write */
    atomic_int last;                  /* the one received last */
    int fd;                           /* an eventfd, poked when a bit is set */
};

/* What is set for a signal while it is received. */
struct disposition {
    unsigned nusers;         /* objects that receive it */
    struct sigaction before; /* what the last of them brings back */
};

/* Of the two below; handlers do not take it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct disposition dispositions[LAST + 1];
static struct cel_signals *_Atomic all;

static atomic_uint ninside; /* handlers at work */

static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint64_t
bit_of(int signal)
{
    return UINT64_C(1) << (signal - 1);
}

static void
handle(int signal)
{
    struct cel_signals *self;

    /* Seq_cst, these three: see the file comment. */
    atomic_fetch_add_explicit(&ninside, 1, memory_order_seq_cst);
    for (self = atomic_load_explicit(&all, memory_order_seq_cst); self != NULL;
         self = atomic_load_explicit(&self->next, memory_order_seq_cst)) {
        uint64_t bit = bit_of(signal) & self->wanted;
        /* Release: what was done before the signal was sent by this thread is
           seen by who receives it; pairs with the acquire there. */
        if ((atomic_fetch_or_explicit(&self->arrived, bit,
                                      memory_order_release) &
             bit) != bit) {
            cel__sys_poke(self->fd);
        }
    }
    /* Release: pairs with the load in leave_handlers(). */
    atomic_fetch_sub_explicit(&ninside, 1, memory_order_release);
}

/* Wait until no handler knows of what was taken out of the list. */
static void
leave_handlers(void)
{
    while (atomic_load_explicit(&ninside, memory_order_seq_cst) != 0) {
        sched_yield();
    }
}

static void
before_fork(void)
{
    (void)pthread_mutex_lock(&lock);
}

static void
after_fork(void)
{
    (void)pthread_mutex_unlock(&lock);
}

/* The descriptors are the parent's too, and so would be what wakes us: each
   becomes one of our own, under its number, which the loop knows. */
static void
after_fork_in_child(void)
{
    struct cel_signals *self;

    atomic_store_explicit(&ninside, 0, memory_order_relaxed);
    for (self = atomic_load_explicit(&all, memory_order_relaxed); self != NULL;
         self = atomic_load_explicit(&self->next, memory_order_relaxed)) {
        int fd = cel__sys_eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (fd >= 0) {
            (void)dup3(fd, self->fd, O_CLOEXEC);
            (void)cel__sys_close(fd);
        }
        atomic_store_explicit(&self->arrived, 0, memory_order_relaxed);
    }
    (void)pthread_mutex_unlock(&lock);
}

static void
watch_forks(void)
{
    cel__fork_handle(before_fork, after_fork, after_fork_in_child);
}

static bool
is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) == 0 &&
           action->sa_handler == handle;
}

/* Under the lock: let `signal` come to us.  Returns 0 or -EINVAL. */
static int
take_over(int signal)
{
    /* On the alternate stack, for coroutines' are small; and calls of others
       that know nothing of it go on. */
    struct sigaction action = {.sa_flags = SA_RESTART | SA_ONSTACK};
    struct sigaction before;

    action.sa_handler = handle;
    sigfillset(&action.sa_mask);
    int err = cel__sys_sigaction(signal, &action, &before);
    if (err < 0) {
        return err;
    }
    if (!is_ours(&before)) {
        dispositions[signal].before = before;
    }
    dispositions[signal].nusers++;
    return 0;
}

/* Under the lock: undo take_over(). */
static void
hand_back(int signal)
{
    struct sigaction now;

    if (--dispositions[signal].nusers == 0 &&
        cel__sys_sigaction(signal, NULL, &now) == 0 && is_ours(&now)) {
        (void)cel__sys_sigaction(signal, &dispositions[signal].before, NULL);
    }
}

/* Under the lock: hand back all of `wanted`. */
static void
hand_back_all(uint64_t wanted)
{
    for (int signal = 1; signal <= LAST; signal++) {
        if ((wanted & bit_of(signal)) != 0) {
            hand_back(signal);
        }
    }
}

/* Under the lock: take `self` out of the list. */
static void
take_out(struct cel_signals *self)
{
    struct cel_signals *_Atomic *link = &all;
    struct cel_signals *at;

    while ((at = atomic_load_explicit(link, memory_order_relaxed)) != self) {
        link = &at->next;
    }
    struct cel_signals *next = atomic_load_explicit(&self->next,
                                                    memory_order_relaxed);
    /* Seq_cst: see the file comment. */
    (void)atomic_exchange_explicit(link, next, memory_order_seq_cst);
    leave_handlers();
}

/* Under the lock: put `self` into the list and take its signals over. */
static int
put_in(struct cel_signals *self)
{
    uint64_t taken = 0;

    /* First the list, so that none is missed. */
    atomic_store_explicit(&self->next,
                          atomic_load_explicit(&all, memory_order_relaxed),
                          memory_order_relaxed);
    (void)atomic_exchange_explicit(&all, self, memory_order_seq_cst);
    for (int signal = 1; signal <= LAST; signal++) {
        if ((self->wanted & bit_of(signal)) == 0) {
            continue;
        }
        int err = take_over(signal);
        if (err < 0) {
            hand_back_all(taken);
            take_out(self);
            return err;
        }
        taken |= bit_of(signal);
    }
    return 0;
}

static bool
can_be_received(int signal)
{
    switch (signal) {
    case SIGKILL:
    case SIGSTOP:
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
        return false;
    default:
        return signal > 0 && signal <= LAST;
    }
}

int
cel_signals_open(cel_signals **out, const int signals[], size_t count)
{
    uint64_t wanted = 0;

    if (cel__worker() == NULL) {
        return -EPERM;
    }
    for (size_t i = 0; i < count; i++) {
        if (!can_be_received(signals[i])) {
            return -EINVAL;
        }
        wanted |= bit_of(signals[i]);
    }
    if (wanted == 0) {
        return -EINVAL;
    }
    struct cel_signals *self = cel__alloc_zeroed(1, sizeof(*self));
    if (self == NULL) {
        return -ENOMEM;
    }
    self->wanted = wanted;
    self->fd = cel__sys_eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int err = self->fd;
    if (err < 0) {
        goto free_self;
    }
    (void)pthread_once(&once, watch_forks);
    (void)pthread_mutex_lock(&lock);
    err = put_in(self);
    (void)pthread_mutex_unlock(&lock);
    if (err < 0) {
        goto close_fd;
    }
    *out = self;
    return 0;

close_fd:
    (void)cel__sys_close(self->fd);
free_self:
    free(self);
    return err;
}

int
cel__signals_fd(const cel_signals *signals)
{
    return signals->fd;
}

/* The first of `bits` after `last`, in a circle: none starves another. */
static int
next_after(uint64_t bits, int last)
{
    for (int i = 0; i < LAST; i++) {
        int signal = (last + i) % LAST + 1;
        if ((bits & bit_of(signal)) != 0) {
            return signal;
        }
    }
    return 0;
}

/* Of what has arrived, the next; 0: nothing. */
static int
take_next(cel_signals *self)
{
    for (;;) {
        uint64_t bits = atomic_load_explicit(&self->arrived,
                                             memory_order_relaxed);
        int signal = next_after(
            bits, atomic_load_explicit(&self->last, memory_order_relaxed));
        if (signal == 0) {
            return 0;
        }
        uint64_t bit = bit_of(signal);
        /* Acquire: pairs with the release in handle().  Another thread may
           have been faster. */
        bits = atomic_fetch_and_explicit(&self->arrived, ~bit,
                                         memory_order_acquire);
        if ((bits & bit) == 0) {
            continue;
        }
        atomic_store_explicit(&self->last, signal, memory_order_relaxed);
        if ((bits & ~bit) != 0) {
            cel__sys_poke(self->fd); /* there is one for others, too */
        }
        return signal;
    }
}

int
cel__signals_take(cel_signals *signals)
{
    uint64_t count;

    /* Empty the descriptor first: who sets a bit after we have looked pokes
       it after that. */
    (void)cel__sys_read(signals->fd, &count, sizeof(count));
    return take_next(signals);
}

int
cel_signals_wait(cel_signals *signals, cel_time deadline)
{
    struct cel__worker *worker = cel__worker();
    int signal;

    if (worker == NULL) {
        return -EPERM;
    }
    while ((signal = cel__signals_take(signals)) == 0) {
        int64_t events = cel__fd_await(worker, signals->fd, CEL__READABLE,
                                       deadline, "signals_wait");
        if (events < 0) {
            return (int)events;
        }
    }
    return (int)cel__io_charge(worker, signal);
}

void
cel_signals_close(cel_signals *signals)
{
    if (signals == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&lock);
    hand_back_all(signals->wanted);
    take_out(signals);
    (void)pthread_mutex_unlock(&lock);
    (void)cel_close(signals->fd);
    free(signals);
}
