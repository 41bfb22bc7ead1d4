/* SPDX-License-Identifier: MIT */
/*
 * The hub: a thread's worker, seen from Python.
 *
 * Every OS thread that waits gets one at its first wait.  The hub is also a
 * greenlet, but one that seldom runs: a greenlet that waits switches straight
 * to the next ready one.  The hub greenlet runs only Python callables that
 * were handed to run_callback(), signal handlers, and reports of errors.
 *
 * The rules for everything that waits (read sched/wait.h first):
 *
 *   - A greenlet that waits here owns a reference to itself meanwhile.
 *   - While a function of the engine runs (a callback, a timer's fire, done()
 *     of an operation) no Python code may run: no DECREF that can reach
 *     zero, no allocation that can start the collector.  Put the work on the
 *     hub with hub_call() instead.
 *   - A waiter that is woken and, before it runs, killed or timed out, sees
 *     wait->done and an exception at once: it must undo what it was given or
 *     pass the wake-up on.
 *   - Across a wait: no borrowed reference but those the caller's frame
 *     keeps, no pointer into a container, no critical section.
 *
 * Threads: a hub belongs to its thread, but any thread may finish a wait of
 * another's (the guard of what is waited for orders the queues, cel__wake()
 * does the rest).  With the GIL a thread may even change another's hub, whose
 * owner stands still then; free-threaded it sends a message: hub_is_ours().
 */
#ifndef CELEXT_HUB_H
#define CELEXT_HUB_H

#include "ext/state.h"

#include <stdatomic.h>

#include "ext/guard.h"
#include "ext/wakeup.h"
#include "io/backend.h"
#include "sched/wait.h"
#include "sched/worker.h"

struct glet;
struct parcel;
struct timeoutobject;

/* Python work for the hub greenlet, in the order of the run queue. */
struct hub_call {
    struct cel__callback callback;
    struct hub *hub;
    struct cel__link link; /* in hub->due, once its turn has come */
    /* Runs in the hub greenlet; may run any Python code but not wait.
       An exception it leaves is reported by Hub.handle_error(). */
    void (*fn)(struct hub_call *call);
};

/* Invariants: until finished worker->embedder == this and ts is the thread's
   state.  Its memory goes with that of the main greenlet, which every greenlet
   that runs here keeps through its parents. */
struct hub {
    struct cel__worker *worker;
    PyThreadState *ts;           /* of the thread; borrowed */
    struct celext_state *state;  /* borrowed: the module outlives hubs */
    struct glet *main;           /* of the thread's first greenlet */
    struct glet *glet;           /* of the hub greenlet; NULL: not yet made */
    PyObject *leaving;           /* reference given up by who was left by
                                    switch(); dropped by who runs next */
    struct cel__link all;        /* in the process's, until finished */
    struct cel__link dead;       /* glets of finished greenlets, to be freed
                                    by who runs next */
    struct cel__link doomed;     /* glets whose last reference was dropped in
                                    another thread, and those that lived on,
                                    see farewell.c; under `mutex` */
    struct timeoutobject *fired; /* timeouts that fired, each with a reference
                                    to be dropped by who runs next */
    struct parcel *spent;        /* delivered, to be freed by who runs next */
    atomic_bool untidy;        /* dead, doomed, fired or spent has something */
    bool told;                 /* `news` is in the inbox; under `mutex` */
    bool nag;                  /* some who are away have things to raise */
    atomic_bool finished;      /* the thread ends: nothing switches;
                                    becomes true under `mutex` */
    struct cel__link due;      /* calls the hub greenlet was woken for */
    struct hub_call chores;    /* signals' handlers, and whatever is untidy */
    struct cel__message news;  /* from other threads: there are chores */
    struct wakeup wakeup;      /* signals that end a sleep */
    PyObject *tracefunc;       /* greenlet.settrace()'s; NULL: none */
    struct celext_mutex mutex; /* for what other threads ask of it */
    char *scratch; /* owned; free-threaded: what sockets receive into */
};

/* Of the hubs of the process; any thread. */
struct hub_totals {
    atomic_long made;   /* there are, of threads that have ended as well */
    atomic_long ending; /* threads that are just ending theirs */
    atomic_long clocks; /* processor time that took, while measured */
    atomic_bool timed;  /* it is measured */
};

extern struct hub_totals hub_totals;

/*
 * The calling thread's hub, made where there is none.  Borrowed.
 * NULL with an exception (MemoryError, OSError: no descriptors left).
 */
struct hub *hub_make(struct celext_state *state);

/* The main greenlet is freed. */
void hub_free(struct hub *hub);

static inline struct hub *
hub_get(struct celext_state *state)
{
    struct cel__worker *worker = cel__worker();

    return cel__likely(worker != NULL) ? worker->embedder : hub_make(state);
}

/*
 * `fd` is about to be closed: let the loops of all other threads forget it.
 * With the GIL that is done on return, and its waits end with -EBADF;
 * free-threaded it is on its way, and they end with -ECANCELED, which tells
 * who waits to look at what became of it: the number may be another's by then.
 */
void hub_forget_fd(int fd);

/* Whether the calling thread may change what belongs to the thread of `hub`:
   it is that thread, or the GIL makes that one stand still. */
static inline bool
hub_is_ours(const struct hub *hub)
{
    return !CELEXT_FREE_THREADED || hub->worker == cel__worker();
}

/*
 * Let `message->fn(message)` run in the thread of `hub`, in the engine.  Any
 * thread.  Returns false, and does nothing, where that thread has ended.
 */
bool hub_post(struct hub *hub, struct cel__message *message);

/* The glet that runs now in this hub's thread.  Borrowed. */
static inline struct glet *
hub_current(const struct hub *hub)
{
    struct cel__coro *coro = hub->worker->current;

    return coro == &hub->worker->root ? hub->main : (struct glet *)coro;
}

/* What hub_tidy() does where there is something. */
void hub_tidy_up(struct hub *hub);

/* There is something for hub_tidy(); any thread. */
static inline void
hub_litter(struct hub *hub)
{
    /* Release: who sees it sees what it is about; pairs with the acquire in
       hub_tidy_up(). */
    atomic_store_explicit(&hub->untidy, true, memory_order_release);
}

/*
 * Drop the references that greenlets gave up when they switched away or
 * ended: the first thing after every switch.  May run any Python code.
 */
static inline void
hub_tidy(struct hub *hub)
{
    PyObject *leaving = hub->leaving;

    if (leaving != NULL) {
        hub->leaving = NULL;
        Py_DECREF(leaving);
    }
    if (cel__unlikely(
            atomic_load_explicit(&hub->untidy, memory_order_relaxed))) {
        hub_tidy_up(hub);
    }
}

/*
 * Park the current greenlet, with its thread state's fields put away.
 *
 * Suspends.  Returns 0 (woken, perhaps for nothing), 1 (`deadline` passed) or
 * -1 with an exception: killed, Timeout, LoopExit, or called in the hub.
 */
int hub_park(struct hub *hub, cel_time deadline, const char *what);

/*
 * Wait until `wait`, which the caller has put in a queue, is done.
 *
 * Suspends the greenlet.  Returns 1 (wait->result is valid), 0 (`deadline`
 * passed), or -1 with an exception (killed, Timeout, LoopExit, called in the
 * hub).  After 0 and -1 `wait` is in no queue; after -1 wait->done tells
 * whether a wake-up was received that must be undone or passed on.
 */
int hub_wait(struct hub *hub, struct cel__wait *wait, cel_time deadline,
             const char *what);

/*
 * Run `op` (see io/backend.h) to its end; buffers stay pinned by the caller.
 *
 * Suspends.  Returns true with the result in `*result` (a negative errno is
 * a result too; -ETIMEDOUT where `deadline` passed), or false with an
 * exception; then the operation had no effect.
 */
bool hub_await(struct hub *hub, struct cel__op *op, cel_time deadline,
               const char *what, int64_t *result);

/*
 * Wait until `fd` is ready for one of `events` (CEL__READABLE, …).
 * Suspends.  As hub_await(); the result is what it is ready for.
 */
bool hub_await_fd(struct hub *hub, int fd, uint32_t events, cel_time deadline,
                  const char *what, int64_t *result);

/*
 * Wait until somebody switches to the current greenlet by hand.
 * Suspends.  Returns what was handed over, new, or NULL with an exception.
 */
PyObject *hub_switch_out(struct hub *hub);

/* Let the others run.  Suspends.  Returns 0, or -1 with an exception. */
int hub_yield(struct hub *hub);

/* Suspend until `deadline`.  Returns 0, or -1 with an exception. */
int hub_sleep(struct hub *hub, cel_time deadline);

/* As hub_yield(), but in the hub greenlet, which must not wait, nothing. */
int hub_give_way(struct hub *hub);

/*
 * Before a call that may not have to wait: yield if many such have gone by.
 * Before and not after it, for the yield may raise (a kill, a Timeout), and
 * what the call had moved by then would be lost.
 * May suspend.  Returns 0, or -1 with an exception.
 */
static inline int
hub_spend(struct hub *hub)
{
    return cel__unlikely(cel__worker_spent(hub->worker)) ? hub_give_way(hub)
                                                         : 0;
}

/*
 * Let `exc` (an exception instance; a new reference is taken) be raised in
 * `glet`, of any thread, in its turn: where it waits now, or when it next
 * does.  An unstarted one dies of it.  Does not suspend and runs no Python:
 * a timer may call it.  Returns 0, or -1 where memory is short.
 */
int hub_throw_later(struct glet *glet, PyObject *exc);

/* Take back what hub_throw_later() has not delivered yet, if it is there. */
void hub_throw_cancel(struct glet *glet, PyObject *exc);

/*
 * Make `call` ready to be queued: its room in the run queue is reserved until
 * hub_call_fini().  Returns 0, or -1 with MemoryError.
 */
int hub_call_init(struct hub *hub, struct hub_call *call,
                  void (*fn)(struct hub_call *call));
void hub_call_fini(struct hub_call *call);

/* Queue it; harmless where it is queued, or the hub has ended.  Runs no
   Python, cannot fail. */
void hub_call_queue(struct hub_call *call);

/* hub->chores: runs signals' handlers. */
void hub_chores(struct hub_call *call);

/* What runs on the hub greenlet's stack. */
PyObject *hub_main(struct glet *me);

/* Queue callable(*args) for the hub.  Returns a Callback object, new, whose
   stop() takes it back; NULL with an exception. */
PyObject *hub_run_callback(struct hub *hub, PyObject *callable,
                           PyObject *args);

/* Raise LoopExit: nothing is left that could wake the current greenlet. */
void hub_raise_stuck(struct hub *hub);

/*
 * The exception that is set now came out of a greenlet or callback (`context`,
 * may be NULL) that nobody waits for: hand it to Hub.handle_error().  None is
 * set after.
 */
void hub_report(struct hub *hub, PyObject *context);

/*
 * `timeout` as users give it: None (no deadline) or a number of seconds; a
 * negative one or 0 is CEL_AT_ONCE.  Returns 0, or -1 with TypeError,
 * ValueError (nan) or OverflowError.
 */
int celext_deadline(PyObject *timeout, cel_time *deadline);

/* Raise the OSError of a negative errno.  Returns NULL. */
PyObject *celext_oserror(int64_t code);

#endif
