/* SPDX-License-Identifier: MIT */
/*
 * A socket's descriptor: who owns it, waiting for it, letting it go.
 *
 * Every call has one shape: try without blocking; where that fails wait until
 * the descriptor is ready, holding nothing; try again.  The wait is for
 * readiness and not for the call's completion, so that a greenlet killed or
 * timed out meanwhile has lost no data, and one that waits to receive 64 KiB
 * holds no buffer.
 *
 * A loop that owns a descriptor registers it once.  So the loop of each thread
 * that uses a socket owns it, and closing tells all of them (hub_forget_fd()).
 *
 * Two objects may have the same descriptor for a moment (SSLSocket takes over
 * from a plain one that way), so they are counted by descriptor.
 *
 * Threads: any; a socket is guarded (guard.h) while it is tried and closed.
 *
 * Tests: tests/python/test_socket.py, test_socket_errors.py
 */
#include "ext/socket.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "base/sys.h"
#include "ext/greenlet.h"
#include "ext/hub.h"
#include "io/op.h"

/* How often a unix datagram socket asks whether its receiver has room: the
   kernel announces it only to those who are connected. */
#define UNIX_RETRY (10 * CEL_MSEC)

/* ---- how many objects have a descriptor */

static struct celext_mutex counting; /* guards these two */
static uint8_t *users; /* by descriptor; 255: more than can be counted */
static size_t nusers;

/* Returns false where memory is short; then it is counted as the only one. */
static bool
make_room(size_t fd)
{
    size_t n = nusers == 0 ? 256 : nusers;

    while (n <= fd) {
        n *= 2;
    }
    uint8_t *more = PyMem_RawRealloc(users, n);
    if (more == NULL) {
        return false;
    }
    memset(more + nusers, 0, n - nusers);
    users = more;
    nusers = n;
    return true;
}

static void
count_in(int fd)
{
    size_t index = (size_t)fd;

    celext_lock(&counting);
    if ((index < nusers || make_room(index)) && users[index] < UINT8_MAX) {
        users[index]++;
    }
    celext_unlock(&counting);
}

/* Returns whether nobody else has it. */
static bool
count_out(int fd)
{
    size_t index = (size_t)fd;
    bool last = true;

    celext_lock(&counting);
    if (index < nusers && users[index] > 0) {
        if (users[index] < UINT8_MAX) {
            users[index]--;
        }
        last = users[index] == 0;
    }
    celext_unlock(&counting);
    return last;
}

/* ---- owning */

void
sock_opened(sockobject *self, int listener)
{
    celext_guard(self);
    struct cel__worker *worker = cel__worker();
    struct sock_own *own = sock_own(self);

    own->worker = worker;
    own->shared = false;
    count_in(self->fd);
    if (worker == NULL) {
        return;
    }
    if (listener < 0) {
        cel__loop_own(&worker->loop, self->fd);
    }
    else {
        cel__loop_own_accepted(&worker->loop, self->fd, listener);
    }
}

void
sock_adopt(sockobject *self, struct cel__worker *worker)
{
    struct sock_own *own = sock_own(self);
    const struct cel__fd *entry = cel__fd_find(&worker->loop.fds, self->fd);

    if (own->worker == worker || self->fd < 0) {
        return;
    }
    /* An entry that is owned is this socket's only if others share it; else
       somebody closed an earlier descriptor of the number without a word. */
    if (entry == NULL ||
        (cel__fd_idle(entry) && !(entry->owned && own->shared))) {
        cel__loop_own(&worker->loop, self->fd);
    }
    own->shared = own->shared || own->worker != NULL;
    own->worker = worker;
}

/* Let every loop that may know `fd` forget it. */
static void
forget(int fd, bool everywhere)
{
    struct cel__worker *worker = cel__worker();

    if (worker != NULL) {
        cel__loop_forget(&worker->loop, fd, -EBADF);
    }
    if (everywhere) {
        hub_forget_fd(fd);
    }
}

int
sock_take_fd(sockobject *self, bool closing, bool *last)
{
    struct sock_own *own = sock_own(self);
    int fd = self->fd;

    if (fd < 0) {
        return -1;
    }
    self->fd = -1;
    *last = count_out(fd);
    if (closing || *last) {
        forget(fd, own->shared || own->worker != cel__worker());
    }
    own->worker = NULL;
    return fd;
}

void
sock_set_blocking(int fd, bool blocking)
{
    int on = !blocking;

    (void)ioctl(fd, FIONBIO, &on);
}

struct celext_state *
sock_state(sockobject *self)
{
    return celext_state_of(Py_TYPE((PyObject *)self));
}

/* ---- waiting */

cel_time
sock_deadline(sockobject *self)
{
    cel_time timeout = sock_own(self)->timeout;

    return timeout < 0 ? CEL_FOREVER : cel_after(timeout);
}

static int
raise_code(int64_t code)
{
    if (code == -ETIMEDOUT) {
        PyErr_SetString(PyExc_TimeoutError, "timed out");
    }
    else {
        celext_oserror(code);
    }
    return -1;
}

/* The calling thread's hub.  Borrowed; NULL with an exception. */
static struct hub *
hub_of(sockobject *self)
{
    struct cel__worker *worker = cel__worker();

    if (cel__likely(worker != NULL)) {
        return worker->embedder;
    }
    struct celext_state *state = sock_state(self);
    return state == NULL ? NULL : hub_make(state);
}

int
sock_wait_until(sockobject *self, uint8_t bit, cel_time deadline,
                const char *what)
{
    celext_guard(self);
    struct hub *hub = hub_of(self);
    int fd = self->fd;
    int64_t result;

    if (hub == NULL) {
        return -1;
    }
    sock_adopt(self, hub->worker);
    struct cel__op op = {.code = CEL__OP_POLL,
                         .fd = fd,
                         .events = bit,
                         .tried = true,
                         .urgent = sock_own(self)->listens};
    cel_time until = deadline;
    if (bit == CEL__WRITABLE && self->family == AF_UNIX &&
        self->type == SOCK_DGRAM) {
        cel_time soon = cel_after(UNIX_RETRY);
        until = soon < deadline ? soon : deadline;
        /* Refused by the receiver and not by its own buffer: each attempt
           would be announced as room for the next. */
        if (cel__op_look(fd, bit) > 0) {
            op.events = 0;
        }
    }
    if (!hub_await(hub, &op, until, what, &result)) {
        return -1;
    }
    if (self->fd != fd) {
        return raise_code(-EBADF);
    }
    /* Whatever else ended the wait, the next try tells. */
    return result == -ETIMEDOUT && until == deadline;
}

int
sock_wait(sockobject *self, uint8_t bit, cel_time deadline, const char *what)
{
    if (sock_own(self)->timeout == 0) {
        return raise_code(-EAGAIN);
    }
    int ended = sock_wait_until(self, bit, deadline, what);
    return ended > 0 ? raise_code(-ETIMEDOUT) : ended;
}

/*
 * accept4() itself, which the loop would put off until poll(2) has seen a
 * connection: a socket that does not listen would wait for ever.
 */
static bool
accept_once(struct cel__op *op)
{
    op->result = cel__sys_accept4(op->fd, op->addr, op->addrlen,
                                  SOCK_NONBLOCK | SOCK_CLOEXEC);
    return op->result != -EAGAIN;
}

/* Make the call without waiting.  Returns whether it ended. */
static bool
try_once(sockobject *self, struct cel__op *op, struct cel__worker *worker)
{
    struct cel__fd *entry = worker == NULL
                                ? NULL
                                : cel__fd_find(&worker->loop.fds, op->fd);

    if (op->code == CEL__OP_ACCEPT) {
        /* Registered: it listens. */
        return entry != NULL && (entry->edge & CEL__READABLE) != 0
                   ? cel__loop_try(&worker->loop, op)
                   : accept_once(op);
    }
    if (worker == NULL) {
        return cel__op_try(NULL, op);
    }
    /* The bits of a non-blocking socket may be old: somebody else's event
       loop looks after it, and ours does not turn. */
    if (sock_own(self)->timeout != 0 &&
        !cel__fd_worth_trying(entry, cel__op_bit(op))) {
        return false;
    }
    return cel__loop_try(&worker->loop, op);
}

/* Before the call, not after: a greenlet that is killed while it yields
   would lose what it received. */
int
sock_spend(sockobject *self)
{
    struct cel__worker *worker = cel__worker();

    return worker == NULL || sock_own(self)->timeout == 0
               ? 0
               : hub_spend(worker->embedder);
}

int
sock_attempt(sockobject *self, struct cel__op *op, const char *what)
{
    celext_guard(self);
    struct cel__worker *worker = cel__worker();
    struct sock_own *own = sock_own(self);

    if (sock_spend(self) < 0) {
        return -1;
    }
    if (worker != NULL && own->worker != worker) {
        sock_adopt(self, worker);
    }
    op->fd = self->fd;
    if (cel__likely(try_once(self, op, worker))) {
        return 0;
    }
    if (own->timeout == 0) {
        op->result = -EAGAIN;
        return 0;
    }
    cel_time deadline = sock_deadline(self);
    uint8_t bit = cel__op_bit(op);
    do {
        if (sock_wait(self, bit, deadline, what) < 0) {
            return -1;
        }
    } while (!try_once(self, op, cel__worker()));
    return 0;
}

int
sock_run(sockobject *self, struct cel__op *op, const char *what)
{
    int err = sock_attempt(self, op, what);

    if (cel__likely(err == 0 && op->result >= 0)) {
        return 0;
    }
    if (err == 0) {
        celext_oserror(op->result);
    }
    return -1;
}
