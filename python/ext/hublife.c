/* SPDX-License-Identifier: MIT */
/*
 * The life of a hub: made at a thread's first wait, ended with the thread.
 *
 * A capsule in the thread state's dictionary ends it: that is dropped in the
 * ending thread, with the GIL, while the state still works.  What is suspended
 * then gets GreenletExit and a few turns to clean up; the worker is closed,
 * or, where something will not end, left behind without its descriptors.
 *
 * The GIL is held while anything is ready and let go around a poll that may
 * sleep.
 *
 * Threads: with the GIL.
 *
 * Tests: tests/python/test_hub.py, test_farewell.py
 */
#include "ext/hub.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fork.h"
#include "celadon/info.h"
#include "ext/compat.h"
#include "ext/farewell.h"
#include "ext/hubtype.h"
#include "ext/local.h"
#include "ext/offload.h"
#include "see/overflow.h"

/* The name under which a thread's state keeps what ends its hub. */
#define KEEPER "celadon._core.hub"

/* Turns that an ending thread gives its greenlets; each is killed in each, so
   one may catch as many exceptions less one. */
#define LAST_TURNS 8

/* How long it waits in the first turn for those that wait again, in their
   finally blocks.  After that it waits for nobody. */
#define GRACE CEL_SEC

/* The hubs of the process's threads, under `hubs_mutex`. */
static struct cel__link hubs = {&hubs, &hubs};
static struct celext_mutex hubs_mutex;

/* The state of this thread whose hub has ended: it is about to go, and what
   its clearing still runs must not make another hub. */
static _Thread_local uint64_t last_ended;

struct hub_totals hub_totals = {.timed = true};

/* ---- what the engine asks */

static void /* cpylint: after_sleep() takes it again */
before_sleep(struct cel__loop *loop)
{
    wakeup_before_sleep(
        cel__container(loop, struct cel__worker, loop)->embedder);
    (void)PyEval_SaveThread();
}

static void /* cpylint: before_sleep() has let it go */
after_sleep(struct cel__loop *loop)
{
    struct hub *hub = cel__container(loop, struct cel__worker, loop)->embedder;

    PyEval_RestoreThread(hub->ts);
    wakeup_after_sleep(hub);
}

static void
signalled(struct cel__worker *worker)
{
    struct hub *hub = worker->embedder;

    hub_call_queue(&hub->chores);
}

/* has_company() where other threads' states may go while one looks at them:
   only our own is. */
static bool
has_free_company(const struct hub *hub)
{
    if (PyInterpreterState_ThreadHead(hub->ts->interp) == hub->ts &&
        PyThreadState_Next(hub->ts) == NULL) {
        return false;
    }
    if (offload_states() == 0) {
        return true;
    }
    /* CPython's own function, which stops them and runs no Python. */
    PyObject *threads = PyObject_CallNoArgs(hub->state->list_threads);
    if (threads == NULL) {
        PyErr_Clear();
        return true;
    }
    Py_ssize_t others = PyDict_Size(threads) - 1 - offload_states();
    Py_DECREF(threads);
    return others > 0;
}

/* Whether other threads are at work that may wake somebody. */
static bool
has_company(const struct hub *hub)
{
    if (CELEXT_FREE_THREADED) {
        return has_free_company(hub);
    }
    PyThreadState *ts = PyInterpreterState_ThreadHead(hub->ts->interp);
    int others = -1 - offload_states();

    for (; ts != NULL; ts = PyThreadState_Next(ts)) {
        others++;
    }
    return others > 0;
}

/*
 * Nothing is ready and nothing can become so.  Where other threads run Python
 * they may still wake somebody; else the main greenlet gets LoopExit.
 */
static struct cel__coro *
stuck(struct cel__worker *worker)
{
    struct hub *hub = worker->embedder;
    struct cel__coro *root = &worker->root;

    if (has_company(hub) || hub->finished) {
        return NULL;
    }
    if (root->state == CEL__FORSAKEN) {
        /* A child whose one thread, which called fork(), has ended. */
        _exit(0);
    }
    if (root->state != CEL__PARKED || root->firm) {
        return NULL;
    }
    root->code = -EDEADLK;
    return root;
}

/* ---- making */

/* Bytes of C stack: CELADON_STACK_SIZE (KiB) of the environment or ours. */
static size_t
stack_size(void)
{
    const char *text = Py_GETENV("CELADON_STACK_SIZE");
    long kib = text == NULL ? 0 : strtol(text, NULL, 10);

    return kib >= 64 && kib <= 1024L * 1024 ? (size_t)kib * 1024
                                            : PYSTATE_STACK;
}

/* The two greenlets every hub has, not yet known to the engine. */
static int
make_greenlets(struct hub *hub)
{
    PyTypeObject *type = hub->state->greenlet_type;
    PyGreenlet *main = (PyGreenlet *)type->tp_alloc(type, 0);

    if (main == NULL || glet_new(main, NULL) == NULL) {
        Py_XDECREF((PyObject *)main);
        return -1;
    }
    hub->main = main->glet;
    hub->main->is_main = true;
    hub->main->state = GLET_ACTIVE;
    hub->main->hub = hub;
    PyGreenlet *object = (PyGreenlet *)hubtype_new(hub, main);
    if (object == NULL) {
        return -1;
    }
    hub->glet = object->glet;
    hub->glet->is_hub = true;
    hub->glet->main = hub_main;
    return 0;
}

/* Let the thread's state end the hub with it. */
static int
keep(struct hub *hub, PyCapsule_Destructor end)
{
    PyObject *dict = PyThreadState_GetDict();
    PyObject *capsule = PyCapsule_New(hub, KEEPER, end);
    int err = -1;

    if (capsule != NULL && dict != NULL) {
        err = PyDict_SetItemString(dict, KEEPER, capsule);
    }
    Py_XDECREF(capsule);
    return err;
}

void
hub_free(struct hub *hub)
{
    hub_totals.made--;
    PyMem_RawFree(hub->scratch);
    PyMem_Free(hub);
}

/* Drop the greenlets of a hub that the engine knows no more; the main one
   takes the hub's memory with it. */
static void
drop_greenlets(struct hub *hub)
{
    PyObject *main = hub->main == NULL ? NULL : (PyObject *)hub->main->self;

    if (hub->glet != NULL) {
        PyObject *object = (PyObject *)hub->glet->self;
        hub->glet = NULL;
        Py_DECREF(object);
    }
    if (main == NULL) {
        hub_free(hub);
        return;
    }
    hub->main->state = GLET_FINISHED;
    Py_DECREF(main);
}

/* Raise what the worker was refused with; the backend, by its reason. */
static void
set_refusal(int err)
{
    const char *name = getenv("CELADON_BACKEND");
    const char *why = err == -ENOSYS || err == -EINVAL ? cel_info_refusal(NULL)
                                                       : NULL;

    if (why == NULL || name == NULL) {
        celext_oserror(err);
        return;
    }
    PyObject *args = Py_BuildValue(
        "(iN)", -err,
        PyUnicode_FromFormat("CELADON_BACKEND=%s: %s", name, why));
    if (args != NULL) {
        PyErr_SetObject(PyExc_OSError, args);
        Py_DECREF(args);
    }
}

/* Make `hub` the thread's.  Returns 0 or -1 with an exception. */
static int
begin(struct hub *hub, PyCapsule_Destructor end)
{
    struct cel__worker_options options = {
        .stack_size = stack_size(),
        .stack_tail = PYSTATE_TAIL,
        .hooks = {.before_sleep = before_sleep,
                  .after_sleep = after_sleep,
                  .signalled = signalled,
                  .stuck = stuck},
        .embedder = hub,
    };
    int err = cel__worker_open(&hub->worker, &options);
    if (err < 0) {
        set_refusal(err);
        return -1;
    }
    /* Without it an overflow ends the process too, only less politely. */
    (void)cel__overflow_install();
    if (hub_call_init(hub, &hub->chores, hub_chores) < 0) {
        goto close_worker;
    }
    if (greenlet_hold(hub, hub->glet->self) < 0) {
        goto fini_chores;
    }
    if (keep(hub, end) < 0) {
        goto let_go;
    }
    celext_lock(&hubs_mutex);
    cel__list_append(&hubs, &hub->all);
    celext_unlock(&hubs_mutex);
    return 0;

let_go:
    greenlet_let_go(hub->glet->self);
fini_chores:
    hub_call_fini(&hub->chores);
close_worker:
    cel__worker_close(hub->worker);
    return -1;
}

bool
hub_post(struct hub *hub, struct cel__message *message)
{
    celext_lock(&hub->mutex);
    bool open = !hub->finished;
    if (open) {
        cel__worker_post(hub->worker, message);
    }
    celext_unlock(&hub->mutex);
    return open;
}

static void hub_end(PyObject *capsule);

struct hub *
hub_make(struct celext_state *state)
{
    PyThreadState *ts = PyThreadState_Get();

    if (PyThreadState_GetID(ts) == last_ended) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this thread is ending: no greenlet can run in it");
        return NULL;
    }
    struct hub *hub = PyMem_Calloc(1, sizeof(*hub));
    if (hub == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    hub_totals.made++;
    hub->ts = ts;
    hub->state = state;
    cel__list_init(&hub->all);
    cel__list_init(&hub->dead);
    cel__list_init(&hub->doomed);
    cel__list_init(&hub->due);
    int err = make_greenlets(hub);
    if (cel__worker() != NULL) {
        /* The collector ran meanwhile, and something that needed a hub. */
        drop_greenlets(hub);
        PyErr_Clear();
        return cel__worker()->embedder;
    }
    if (err < 0 || begin(hub, hub_end) < 0) {
        drop_greenlets(hub);
        return NULL;
    }
    return hub;
}

/* ---- ending */

/* The wait for one that is being killed has been long enough. */
struct patience {
    struct cel__timer timer;
    struct cel__coro *root; /* who waits */
};

static void
lose_patience(struct cel__timer *timer)
{
    cel__wake(cel__container(timer, struct patience, timer)->root);
}

/* Kill `self`; wait for its end until `deadline` at most. */
static void
kill_one(struct hub *hub, PyGreenlet *self, cel_time deadline)
{
    struct patience patience = {.timer.fire = lose_patience,
                                .root = &hub->worker->root};

    cel__heap_node_init(&patience.timer.node);
    if (cel__timer_start(hub->worker, &patience.timer, deadline) == 0) {
        (void)glet_kill(hub, self);
        cel__timer_stop(hub->worker, &patience.timer);
    }
}

/* Kill what has started in the thread, and what would. */
static void
kill_all(struct hub *hub, cel_time deadline)
{
    const struct cel__link *all = &hub->worker->all;
    Py_ssize_t count = (Py_ssize_t)hub->worker->nalive;
    PyObject *greenlets = PyTuple_New(count);
    Py_ssize_t i = 0;

    if (greenlets == NULL) {
        PyErr_Clear();
        return;
    }
    for (const struct cel__link *link = all->next; link != all && i < count;
         link = link->next) {
        struct cel__coro *coro = cel__container(link, struct cel__coro, all);
        struct glet *glet = (struct glet *)coro;
        if (coro != &hub->worker->root && coro->state != CEL__FORSAKEN &&
            !glet->is_hub && glet->self != NULL) {
            PyTuple_SET_ITEM(greenlets, i++,
                             Py_NewRef((PyObject *)glet->self));
        }
    }
    while (i-- > 0) {
        PyGreenlet *self = (PyGreenlet *)PyTuple_GET_ITEM(greenlets, i);
        if (self->glet->held && !farewell_spares(self->glet)) {
            kill_one(hub, self, deadline);
        }
    }
    Py_DECREF(greenlets);
}

/* Whether nothing but the main and the hub greenlet is left to run. */
static bool
is_quiet(struct hub *hub)
{
    struct cel__worker *worker = hub->worker;

    return worker->nalive == 2 && cel__ring_count(&worker->ready) == 0 &&
           worker->timers.count == 0 && cel__inbox_empty(&worker->inbox) &&
           cel__list_empty(&hub->doomed) &&
           !atomic_load_explicit(&hub->untidy, memory_order_relaxed);
}

/* Let the timers that are left fire now: some hold references. */
static void
fire_timers(struct hub *hub)
{
    struct cel__heap *heap = &hub->worker->timers;

    for (size_t left = heap->count; left > 0 && heap->count > 0; left--) {
        struct cel__heap_node *node = cel__heap_first(heap);
        struct cel__timer *timer = cel__container(node, struct cel__timer,
                                                  node);
        cel__heap_remove(heap, node);
        timer->fire(timer);
    }
    /* What they wanted to raise here comes too late. */
    PyObject *exc;
    while ((exc = glet_take_pending(hub->main)) != NULL) {
        Py_DECREF(exc);
    }
}

/* From here on nobody sends anything; but where something has come already
   that is put off, unless it is `forced`.  Returns whether it is so now. */
static bool
finish(struct hub *hub, bool forced)
{
    celext_lock(&hub->mutex);
    bool finished = forced || (cel__list_empty(&hub->doomed) &&
                               cel__inbox_empty(&hub->worker->inbox));
    if (finished) {
        hub->finished = true;
    }
    celext_unlock(&hub->mutex);
    return finished;
}

/* Kill what is left.  Returns whether nothing but the main and the hub
   greenlet is. */
static bool
clear_out(struct hub *hub)
{
    long began = hub_totals.timed ? clock() : 0;
    cel_time deadline = cel_after(GRACE);

    for (int turn = 0; turn < LAST_TURNS && !is_quiet(hub); turn++) {
        kill_all(hub, turn == 0 ? deadline : CEL_AT_ONCE);
        fire_timers(hub);
        /* To sleep, and not only to yield, is to read the inbox. */
        if (hub_sleep(hub, cel_after(1)) < 0) {
            PyErr_WriteUnraisable(NULL);
        }
    }
    if (hub_totals.timed) {
        hub_totals.clocks += clock() - began;
    }
    return is_quiet(hub);
}

/* End everything but the main greenlet.  Returns whether that is done. */
static bool
settle(struct hub *hub)
{
    bool finished = false;

    for (int turn = 0; turn < LAST_TURNS && !finished; turn++) {
        if (!clear_out(hub)) {
            return false;
        }
        finished = finish(hub, false);
    }
    if (!finished) {
        return false;
    }
    cel__list_remove(&hub->chores.link);
    cel__callback_fini(hub->worker, &hub->chores.callback);
    Py_INCREF((PyObject *)hub->glet->self);
    PyObject *result = glet_jump(hub, hub->glet, Py_NewRef(Py_None), NULL);
    Py_XDECREF(result);
    PyErr_Clear();
    return hub->worker->nalive == 1;
}

/* The thread's state is being cleared: its hub ends. */
static void
hub_end(PyObject *capsule)
{
    struct hub *hub = PyCapsule_GetPointer(capsule, KEEPER);

    if (hub == NULL || celext_finalizing()) {
        return;
    }
    celext_lock(&hubs_mutex);
    cel__list_remove(&hub->all);
    celext_unlock(&hubs_mutex);
    if (hub->worker != cel__worker() ||
        hub->worker->current != &hub->worker->root) {
        /* A thread that stayed behind in a fork. */
        (void)finish(hub, true);
        hub->ts = NULL;
        return;
    }
    hub_totals.ending++;
    bool settled = settle(hub);
    hub_totals.ending--;
    last_ended = PyThreadState_GetID(hub->ts);
    (void)finish(hub, true);
    Py_CLEAR(hub->tracefunc);
    local_forget(hub->main);
    wakeup_close(hub);
    hub->ts = NULL; /* another thread's may get its address */
    if (settled) {
        cel__worker_close(hub->worker);
        drop_greenlets(hub);
    }
    else {
        hub->main->state = GLET_FINISHED;
        cel__worker_abandon(hub->worker);
    }
}

/* ---- closed descriptors */

/* Tells another thread of a closed descriptor. */
struct notice {
    struct cel__message message; /* first */
    int fd;
};

static void
notice_arrived(struct cel__message *message)
{
    struct notice *notice = (struct notice *)(void *)message;

    cel__loop_forget(&cel__worker()->loop, notice->fd, -ECANCELED);
    PyMem_RawFree(notice);
}

/* Let the loop of `hub`, another thread's, forget `fd`. */
static void
forget_there(struct hub *hub, int fd)
{
    if (hub_is_ours(hub)) {
        cel__loop_forget(&hub->worker->loop, fd, -EBADF);
        return;
    }
    struct notice *notice = PyMem_RawMalloc(sizeof(*notice));
    if (notice == NULL) {
        return; /* an entry of a closed descriptor makes its next user slow */
    }
    notice->message.fn = notice_arrived;
    notice->fd = fd;
    if (!hub_post(hub, &notice->message)) {
        PyMem_RawFree(notice);
    }
}

void
hub_forget_fd(int fd)
{
    celext_lock(&hubs_mutex);
    for (const struct cel__link *link = hubs.next; link != &hubs;
         link = link->next) {
        struct hub *hub = cel__container(link, struct hub, all);
        /* Not those of threads that stayed behind in a fork. */
        if (hub->worker != cel__worker() &&
            hub->worker->forks == cel__fork_count()) {
            forget_there(hub, fd);
        }
    }
    celext_unlock(&hubs_mutex);
}
