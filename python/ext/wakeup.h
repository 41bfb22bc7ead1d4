/* SPDX-License-Identifier: MIT */
/*
 * Signals that end a sleep.
 *
 * CPython's C handler only notes that a signal came; Python's handlers run
 * later, between bytecodes or where PyErr_CheckSignals() is called.  A signal
 * that comes after the last look and before the poll sleeps would be noticed
 * when something else ends the sleep.  CPython also writes to a descriptor,
 * its wake-up descriptor, whichever thread the signal comes in: that is a pipe
 * of ours, and the poll watches its other end.
 *
 * A descriptor of the user's (signal.set_wakeup_fd(), asyncio) stays in place
 * but for the time of the sleep, and is written to then in CPython's stead.
 *
 * The pipe is made at the main thread's first sleep, and made anew after a
 * fork, whose child would else wake its parent.
 *
 * Threads: the hub's; those of other threads do nothing.
 *
 * Tests: tests/python/test_interrupt.py
 */
#ifndef CELEXT_WAKEUP_H
#define CELEXT_WAKEUP_H

#include "ext/state.h"

#include "io/backend.h"

struct hub;

enum wakeup_state {
    WAKEUP_NEW,   /* never slept */
    WAKEUP_ASKED, /* the hub's chores will make the pipe */
    WAKEUP_READY, /* there is a pipe */
    WAKEUP_NONE   /* not CPython's main thread, or no descriptors left */
};

/* Invariants: state == WAKEUP_READY => fds are open, set and ours are not
   NULL, and op is armed or the hub's chores are queued. */
struct wakeup {
    enum wakeup_state state;
    int fds[2];        /* where signals are read from, and written to */
    PyObject *set;     /* owned; _signal.set_wakeup_fd */
    PyObject *warn;    /* owned; the name of its argument, in a tuple */
    PyObject *ours;    /* owned; fds[1] */
    PyObject *users;   /* owned; the user's descriptor; NULL: none */
    cel_time checked;  /* when whose it is was last looked at */
    unsigned forks;    /* cel__fork_count() when fds were made */
    struct cel__op op; /* the wait for fds[0] */
};

/* Around a poll that may sleep, with the GIL; runs no Python. */
void wakeup_before_sleep(struct hub *hub);
void wakeup_after_sleep(struct hub *hub);

/* The hub's chore: make the pipe where that was asked for, and watch it.  May
   run Python code; leaves no exception. */
void wakeup_tend(struct hub *hub);

/* The hub ends. */
void wakeup_close(struct hub *hub);

#endif
