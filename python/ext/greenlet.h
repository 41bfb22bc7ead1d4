/* SPDX-License-Identifier: MIT */
/*
 * Greenlets: the object people hold, and the coroutine behind it.
 *
 * PyGreenlet has the 40 bytes that compiled users of greenlet embed; all
 * state is in the glet, which outlives the object where a stack must still
 * be left.
 *
 * References.  The C stack of a greenlet holds none to it, so that a
 * suspended greenlet nobody can reach is killed.  A greenlet that runs, and
 * one that waits in the engine, is kept by one reference ("the running one"):
 * taken by who resumes it, given up through hub->leaving when it switches
 * away by hand.
 *
 * Threads: with the GIL, the hub's thread.
 */
#ifndef CELEXT_GREENLET_H
#define CELEXT_GREENLET_H

#include "ext/state.h"

#include "coro/coro.h"
#include "ext/hub.h"
#include "ext/pystate.h"

typedef struct {
    PyObject_HEAD
    PyObject *weakreflist;
    PyObject *dict;
    struct glet *glet;
} PyGreenlet;

/* Where a greenlet is in its life. */
enum glet_state {
    GLET_UNSTARTED, /* never switched to */
    GLET_ACTIVE,    /* started and not finished */
    GLET_FINISHED
};

/* How an UnswitchableGreenlet refuses a switch. */
enum {
    GLET_REFUSE = 1,        /* SystemError */
    GLET_REFUSE_FATALLY = 2 /* the process ends */
};

/* An exception to be raised at the next wait; a list, oldest first. */
struct glet_pending {
    struct glet_pending *next;
    PyObject *exc; /* owned */
};

/* What the first switch brought; each owned, or NULL. */
struct glet_first {
    PyObject *run;
    PyObject *args;   /* a tuple */
    PyObject *kwargs; /* a dict; in the call a tuple of the names, whose
                         values are the last of `args` */
    PyObject *exc;
};

/*
 * Invariants: held => the engine has, or will have, a stack for it, and
 * calls glet_release() when that is over; scheduled => held and not started;
 * value and exc are never both set.
 */
struct glet {
    struct cel__coro coro; /* first: a coroutine of a hub's worker, but for
                              the root, is one of these */
    struct pystate ps;     /* the thread state's fields while suspended */
    PyGreenlet *self;      /* borrowed; NULL: the object is gone */
    struct hub *hub;       /* where it runs; NULL: not started */
    PyGreenlet *parent;    /* owned; NULL for a main greenlet; another thread
                              may set it: see glet_parent() */
    PyObject *run;         /* owned; the callable until it is called */
    PyObject *found;       /* owned; what was found as `run` at the first
                              switch, if another; it is called instead */
    PyObject *value;       /* owned; what a switch hands over; before the
                              start the tuple of arguments; or NULL */
    PyObject *kwargs;      /* owned; the keywords of the start, or NULL */
    PyObject *exc;         /* owned; the exception a switch hands over */
    PyObject *context;     /* owned; contextvars.Context before the start
                              and after the end */
    struct glet_pending *pending; /* see hub_throw_later() */
    struct glet_first *first;     /* on its stack while `run` is called */
    struct share *shares;         /* its values in locals, see local.h */
    struct cel__link link;        /* in hub->dead */
    struct cel__link doomed;      /* in hub->doomed, which owns a reference */
    /* What runs on the new stack; NULL: the callable `run`.  Returns the
       result, new, or NULL with an exception. */
    PyObject *(*main)(struct glet *glet);
    /* The arguments of the switch() in which it is suspended, as they were
       passed; NULL: it is in another call.  See frames.c. */
    PyObject *const *args;
    PyObject *const *args_end;
    uint8_t state;  /* enum glet_state */
    uint8_t refuse; /* GLET_REFUSE, … */
    bool is_main;   /* the thread's first */
    bool is_hub;    /* the hub's: must not wait */
    bool held;      /* by the engine */
    bool killing;   /* it waits for one that it kills, see farewell.c */
    bool revived;   /* in hub->doomed not to be killed, see farewell.c */
    bool spared;    /* the collector must not look at its frames any more */
    bool scheduled; /* in the run queue to be started, which owns the
                              running reference */
};

/* Whether `object` is a greenlet of this module. */
#define greenlet_check(state, object)                                         \
    PyObject_TypeCheck(object, (state)->greenlet_type)

/* The engine's coroutine of `glet`: a main one is the worker's root. */
static inline struct cel__coro *
glet_coro(struct glet *glet)
{
    return cel__unlikely(glet->is_main) ? &glet->hub->worker->root
                                        : &glet->coro;
}

/* Whether `glet` has switched to another by hand and waits to be switched to:
   it holds no reference to itself. */
static inline bool
glet_is_away(struct glet *glet)
{
    const struct cel__coro *coro = glet_coro(glet);

    return glet->state == GLET_ACTIVE && coro->state == CEL__PARKED &&
           coro->waits_for == cel__wait_by_hand;
}

/* The hub in which `glet` runs; before the start and after the end its
   parents'.  NULL: there is none any more. */
const struct hub *glet_home(const struct glet *glet);

/* Its parent, new, or NULL.  Any thread. */
PyGreenlet *glet_parent(const struct glet *glet);

/* Let `parent` get what `glet` ends with.  May run any Python code.  Returns
   false, and changes nothing, where it is one of its children.  Any thread. */
bool glet_set_parent(struct glet *glet, PyGreenlet *parent);

/* The running greenlet's object of the calling thread.  Borrowed; NULL with
   an exception. */
PyGreenlet *greenlet_current(struct celext_state *state);

/* greenlet.getcurrent(): the same, new; RuntimeError once the interpreter is
   being finalized. */
PyObject *greenlet_getcurrent(struct celext_state *state);

/* greenlet(run, parent) of the class `type`; each may be NULL.  New, or NULL
   with an exception. */
PyObject *greenlet_make(PyTypeObject *type, PyObject *run, PyObject *parent);

/* greenlet.parent = value; NULL: del greenlet.parent, an error.  Returns 0,
   or -1 with an exception. */
int greenlet_set_parent(PyGreenlet *self, PyObject *value);

/*
 * greenlet.throw(type, value, traceback); each may be NULL.
 * Suspends.  Returns what is handed back, new, or NULL with an exception.
 */
PyObject *greenlet_throw(PyGreenlet *self, PyObject *type, PyObject *value,
                         PyObject *traceback);

/* -1 with SystemError if `glet` is one that refuses to be switched to, else
   0; see unswitchable.c. */
int glet_refuses(const struct glet *glet);

/*
 * Put an unstarted greenlet in the run queue of `hub`: it starts in its turn.
 * Returns 0, or -1 with an exception.
 */
int greenlet_schedule(struct hub *hub, PyGreenlet *greenlet);

/* As greenlet_schedule(), but whoever calls cel__coro_start() on its
   coroutine later starts it. */
int greenlet_hold(struct hub *hub, PyGreenlet *greenlet);

/* Undo greenlet_hold() of one that is not in the run queue. */
void greenlet_let_go(PyGreenlet *greenlet);

/*
 * Switch to `target` by hand as greenlet.switch() does, with the tuple `args`
 * (stolen) and the dict `kwargs` (stolen, may be NULL); where `args` is NULL
 * the exception that is set is thrown there.  Suspends.  Returns what is
 * handed back, new, or NULL with an exception.
 */
PyObject *greenlet_switch(struct hub *hub, PyGreenlet *target, PyObject *args,
                          PyObject *kwargs);

/* A glet for `self`, unstarted, its parent `parent` (a new reference is
   taken).  NULL with MemoryError. */
struct glet *glet_new(PyGreenlet *self, PyGreenlet *parent);

/* `self` is being deallocated: free its glet, at once or when its stack is
   gone. */
void glet_forget(struct glet *glet);

/* Drop what a finished or never started glet still refers to. */
void glet_clear(struct glet *glet);

/* Give an unstarted glet what it needs to run in `hub`: then switching to it
   cannot fail.  Returns 0, or -1 with MemoryError. */
int glet_arm(struct hub *hub, struct glet *glet);

/* Whether `callable` is greenlet.switch, of the class or of a greenlet. */
bool greenlet_is_switch(PyObject *callable);

/*
 * Hand `value` or `exc` (one is NULL; stolen) over and switch to `to`, which
 * is another than the current one, of this hub, and suspended or armed.  The
 * caller's reference to its object is stolen: it is the running one now.
 * As greenlet_switch().
 */
PyObject *glet_jump(struct hub *hub, struct glet *to, PyObject *value,
                    PyObject *exc);

/* The stack of a finished glet, which is in hub->dead, is gone: give up the
   running reference.  May run any Python code. */
void glet_bury(struct glet *glet);

/* The exception that a suspended glet must raise before anything else: taken
   off its pending ones, new; NULL: none. */
PyObject *glet_take_pending(struct glet *glet);

/* For the types that extend it; not found by tp_base, since a class may be
   cleared before its instances. */
int greenlet_traverse(PyObject *op, visitproc visit, void *arg);
int greenlet_clear(PyObject *op);
void greenlet_dealloc(PyObject *op);

#endif
