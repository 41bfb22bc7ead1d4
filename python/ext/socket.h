/* SPDX-License-Identifier: MIT */
/*
 * Sockets that wait by letting other greenlets run.
 *
 * The type is a subclass of the standard library's own socket.socket, so
 * isinstance() holds, `_ssl` takes it, and what cannot block is inherited.
 * The descriptor is always non-blocking; blocking, timeouts and their errors
 * are made here.  CPython's part of an object always says "non-blocking", so
 * that an inherited method can't stop the thread.
 *
 * Threads: with the GIL; any thread, each waits in its own hub.
 */
#ifndef CELEXT_SOCKET_H
#define CELEXT_SOCKET_H

#include "ext/state.h"

#include <sys/socket.h>

#include "celadon/base.h"
#include "io/backend.h"

struct cel__worker;
struct hub;

/* How the struct of _socket.socket begins, in all versions so far
   (Modules/socketmodule.h); sock_layout_find() makes sure. */
typedef struct {
    PyObject_HEAD
    int fd; /* -1: closed, detached, or never opened */
    int family;
    int type;
    int proto;
} sockobject;

/*
 * Our fields, behind those of socket.socket.
 *
 * Invariant: worker != NULL => its loop owns the descriptor, or could not
 * (then waits are dearer, and that is all).
 */
struct sock_own {
    cel_time timeout;           /* nanoseconds; < 0: none; 0: non-blocking */
    struct cel__worker *worker; /* who last used it; never followed */
    bool shared;                /* loops of other threads may know it too */
    bool listens; /* accept() was called: who waits here goes first */
    bool starved; /* accept() has met EMFILE and said so; cleared by success */
    uint8_t taken; /* connections accepted, modulo ACCEPTS_A_CALL */
};

/* Where what lies in an object; of this interpreter, so the same for all
   modules in the process. */
struct sock_layout {
    Py_ssize_t base_size; /* of _socket.socket's struct */
    Py_ssize_t io_refs;   /* offsets of the slots of socket.socket */
    Py_ssize_t closed;
    Py_ssize_t own; /* offset of struct sock_own */
};

extern struct sock_layout sock_layout;

static inline struct sock_own *
sock_own(sockobject *self)
{
    return (struct sock_own *)(void *)((char *)self + sock_layout.own);
}

/* The slot at `offset`. */
static inline PyObject **
sock_slot(sockobject *self, Py_ssize_t offset)
{
    return (PyObject **)(void *)((char *)self + offset);
}

/* The type behind the Python class: _socket.socket.  Borrowed. */
static inline PyTypeObject *
sock_base_type(const struct celext_state *state)
{
    return state->socket_type->tp_base->tp_base;
}

/*
 * Fill sock_layout from the class socket.socket and compare it with a real
 * socket.  Returns 0, or -1 with ImportError.
 */
int sock_layout_find(PyTypeObject *base);

/*
 * Descriptors (socket_fd.c).
 */

/* `self` has got its descriptor, from `listener` if that is not negative. */
void sock_opened(sockobject *self, int listener);

/* Let the loop of `worker`, the calling thread's, own the descriptor. */
void sock_adopt(sockobject *self, struct cel__worker *worker);

/*
 * Take the descriptor out of `self`, to be closed (`closing`) or given away.
 * Whoever waits on it gets EBADF, unless it is given away and another object
 * has it too; `*last` tells whether none has.  Returns it; -1: there was none.
 */
int sock_take_fd(sockobject *self, bool closing, bool *last);

/* Let the descriptor, which is to outlive its object, block or not. */
void sock_set_blocking(int fd, bool blocking);

/*
 * A timeout as settimeout() takes it, in nanoseconds; -1: none.
 * Returns 0, or -1 with ValueError, OverflowError or TypeError.
 */
int sock_timeout_read(PyObject *value, cel_time *timeout);

/* The timeout of new sockets.  As sock_timeout_read(). */
int sock_timeout_default(struct celext_state *state, cel_time *timeout);

/* The state of the module.  Borrowed; NULL with an exception. */
struct celext_state *sock_state(sockobject *self);

/* When a call that begins now must end. */
cel_time sock_deadline(sockobject *self);

/*
 * Wait until a call in the direction `bit` (CEL__READABLE, CEL__WRITABLE),
 * which has just been refused, is worth another try.
 * Suspends.  Returns 0, or -1 with an exception: TimeoutError, BlockingIOError
 * of a non-blocking socket, OSError(EBADF) where it was closed meanwhile.
 */
int sock_wait(sockobject *self, uint8_t bit, cel_time deadline,
              const char *what);

/*
 * The same, but the timeout is its own: returns 1 where `deadline` passed.
 */
int sock_wait_until(sockobject *self, uint8_t bit, cel_time deadline,
                    const char *what);

/*
 * Let others run if it is time; called before what need not wait.
 * May suspend.  Returns 0, or -1 with an exception.
 */
int sock_spend(sockobject *self);

/*
 * Make the call `op` (code and what it reads are set), waiting where it would
 * block.  Nothing runs between its success and the return.
 * Suspends.  Returns 0 with op->result >= 0, or -1 with an exception.
 */
int sock_run(sockobject *self, struct cel__op *op, const char *what);

/*
 * The same, but a failure of the call itself is left in op->result, as a
 * negative errno: -EAGAIN where it would block and may not wait.
 */
int sock_attempt(sockobject *self, struct cel__op *op, const char *what);

/*
 * Call CPython's own method `name` (of _socket.socket), which never blocks,
 * and again each time the descriptor is ready in the direction `bit`.  `flags`
 * are those among the arguments.
 * Suspends.  Returns the result, new, or NULL with an exception.
 */
PyObject *sock_call_base(sockobject *self, const char *name,
                         PyObject *const *args, Py_ssize_t nargs, uint8_t bit,
                         int flags);

/*
 * Addresses (socket_addr.c).
 */

/* Any address, as large as it needs to be. */
union sock_addr {
    struct sockaddr any;
    struct sockaddr_storage storage;
};

/*
 * `addr`, as users write it, for a socket of self's family.
 * Returns 1 (done), 0 (CPython's own conversion must do it) or -1 with an
 * exception.
 */
int sock_addr_read(sockobject *self, PyObject *addr, union sock_addr *out,
                   socklen_t *len);

/* The other way.  Returns it, new; NULL with an exception; or NULL without
   one where CPython's own conversion must do it. */
PyObject *sock_addr_show(const union sock_addr *addr, socklen_t len);

/* Whether sock_addr_show() knows the addresses of `family`. */
bool sock_addr_known(int family);

/*
 * `addr` with its host name, if it is one, looked up.
 * Suspends.  Returns it, new, or NULL with an exception.
 */
PyObject *sock_addr_resolve(sockobject *self, PyObject *addr);

/*
 * Methods (the other socket_*.c).
 */
extern PyMethodDef sock_conn_methods[];
extern PyMethodDef sock_io_methods[];
extern PyMethodDef sock_message_methods[];

/*
 * PyArg_ParseTupleAndKeywords() of an argument vector; `kwnames` may be NULL.
 * With `names` NULL PyArg_ParseTuple().  Returns 0, or -1 with an exception.
 */
int sock_parse(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
               const char *format, const char *const *names, ...);

#endif
