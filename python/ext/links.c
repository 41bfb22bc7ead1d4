/* SPDX-License-Identifier: MIT */
/*
 * Callables that want to be told.
 *
 * The call to the hub is made ready when the first callable comes, so that
 * firing, which may happen anywhere, allocates nothing.  From another thread
 * it goes through the hub's inbox.  What has been fired keeps its object
 * alive until it has run.
 *
 * Threads: see links.h.
 *
 * Tests: tests/python/test_event.py, test_semaphore.py
 */
#include "ext/links.h"

#include "base/fork.h"
#include "ext/greenlet.h"

/*
 * Invariants: head + now + next <= end <= room; fired => source is an owned
 * reference and `call` is queued, or on its way to the hub's thread.
 */
struct links {
    struct hub_call call;
    struct cel__message message; /* brings `call` from another thread */
    PyObject *main;              /* owned; the main greenlet of call.hub,
                                    which keeps the hub's memory */
    unsigned forks;              /* cel__fork_count() when that was made */
    PyObject **items;            /* owned callables from head to end */
    size_t head;
    size_t end;
    size_t room;
    size_t now;  /* how many the call that runs still calls */
    size_t next; /* how many behind those the next one calls:
                                    who links again in a link must wait */
    bool (*ready)(PyObject *source);
    PyObject *source;
    bool fired;
};

/* Call what is due. */
static void
call_due(struct links *links, PyObject *source)
{
    celext_guard(source);
    struct hub_call *call = &links->call;

    links->source = NULL;
    links->fired = false;
    links->now = links->next;
    links->next = 0;
    while (links->now > 0 && (links->ready == NULL || links->ready(source))) {
        PyObject *callable = links->items[links->head++];
        links->now--;
        PyObject *result = PyObject_CallOneArg(callable, source);
        if (result == NULL && !call->hub->finished) {
            hub_report(call->hub, callable);
        }
        else if (result == NULL) {
            PyErr_WriteUnraisable(callable);
        }
        Py_XDECREF(result);
        Py_DECREF(callable);
    }
    links->now = 0;
}

/* In the hub greenlet, or where that is gone. */
static void
run(struct hub_call *call)
{
    struct links *links = cel__container(call, struct links, call);
    PyObject *source = links->source;

    call_due(links, source);
    Py_DECREF(source); /* may free `links` */
}

/* In the hub's thread: somebody else has fired. */
static void
arrived(struct cel__message *message)
{
    hub_call_queue(&cel__container(message, struct links, message)->call);
}

/* Whether the thread that would run the links is there no more. */
static bool
orphaned(const struct links *links)
{
    const struct hub *hub = links->call.hub;

    return hub->finished ||
           (links->forks != cel__fork_count() && hub->worker != cel__worker());
}

/* Let `links`, which has no callables, belong to this thread's hub. */
static int
move_to(struct links *links, struct hub *hub)
{
    if (links->main != NULL) {
        hub_call_fini(&links->call);
        Py_CLEAR(links->main);
    }
    if (hub_call_init(hub, &links->call, run) < 0) {
        return -1;
    }
    links->main = Py_NewRef((PyObject *)hub->main->self);
    links->forks = cel__fork_count();
    return 0;
}

static struct links *
make(struct hub *hub, bool (*ready)(PyObject *source))
{
    struct links *links = PyMem_Calloc(1, sizeof(*links));

    if (links == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    links->ready = ready;
    links->message.fn = arrived;
    if (move_to(links, hub) < 0) {
        PyMem_Free(links);
        return NULL;
    }
    return links;
}

static int
append(struct links *links, PyObject *callable)
{
    size_t count = links->end - links->head;

    if (links->end == links->room) {
        size_t room = count < 4 ? 4 : count * 2;
        PyObject **items = PyMem_New(PyObject *, room);
        if (items == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        for (size_t i = 0; i < count; i++) {
            items[i] = links->items[links->head + i];
        }
        PyMem_Free(links->items);
        links->items = items;
        links->head = 0;
        links->end = count;
        links->room = room;
    }
    links->items[links->end++] = Py_NewRef(callable);
    return 0;
}

PyObject *
links_add(struct links **links, PyObject *source, PyObject *callable,
          bool (*ready)(PyObject *source), bool now)
{
    if (!PyCallable_Check(callable)) {
        return PyErr_Format(PyExc_TypeError, "Expected callable: %R",
                            callable);
    }
    struct hub *hub = hub_get(celext_state_of(Py_TYPE(source)));
    if (hub == NULL) {
        return NULL;
    }
    if (*links == NULL) {
        *links = make(hub, ready);
        if (*links == NULL) {
            return NULL;
        }
    }
    struct links *self = *links;
    bool movable = orphaned(self) ||
                   (self->head == self->end && hub_is_ours(self->call.hub));
    if (!self->fired && self->call.hub != hub && movable &&
        move_to(self, hub) < 0) {
        return NULL;
    }
    if (append(self, callable) < 0) {
        return NULL;
    }
    if (now) {
        links_fire_all(self, source);
    }
    Py_RETURN_NONE;
}

PyObject *
links_remove(struct links *links, PyObject *callable)
{
    if (links == NULL) {
        Py_RETURN_NONE;
    }
    for (size_t i = 0; i < links->end - links->head; i++) {
        PyObject *item = Py_NewRef(links->items[links->head + i]);
        int same = PyObject_RichCompareBool(item, callable, Py_EQ);
        Py_DECREF(item);
        if (same < 0) {
            return NULL;
        }
        /* Comparing may have changed everything: look again. */
        size_t at = links->head + i;
        if (same == 0 || at >= links->end || links->items[at] != item) {
            continue;
        }
        for (size_t j = at + 1; j < links->end; j++) {
            links->items[j - 1] = links->items[j];
        }
        links->end--;
        if (i < links->now) {
            links->now--;
        }
        else if (i < links->now + links->next) {
            links->next--;
        }
        Py_DECREF(item);
        break;
    }
    Py_RETURN_NONE;
}

void
links_fire_all(struct links *links, PyObject *source)
{
    links->next = links->end - links->head - links->now;
    if (links->next == 0 || links->fired) {
        return;
    }
    links->fired = true;
    links->source = Py_NewRef(source);
    bool here = orphaned(links);
    if (!here && links->call.hub->worker == cel__worker()) {
        hub_call_queue(&links->call);
        return;
    }
    if (here || !hub_post(links->call.hub, &links->message)) {
        run(&links->call);
    }
}

int
links_traverse(struct links *links, visitproc visit, void *arg)
{
    if (links != NULL) {
        for (size_t i = links->head; i < links->end; i++) {
            Py_VISIT(links->items[i]);
        }
    }
    return 0;
}

/* Free what has no callables. */
static void
release(struct links *links)
{
    PyObject *main = links->main;

    hub_call_fini(&links->call);
    PyMem_Free(links->items);
    PyMem_Free(links);
    Py_DECREF(main);
}

/* In the hub's thread: the object is gone.  That hub keeps its main greenlet,
   so no Python runs. */
static void
release_arrived(struct cel__message *message)
{
    release(cel__container(message, struct links, message));
}

void
links_free(struct links **links)
{
    struct links *self = *links;

    if (self == NULL) {
        return;
    }
    *links = NULL;
    while (self->end > self->head) {
        PyObject *callable = self->items[--self->end];
        Py_DECREF(callable);
    }
    self->message.fn = release_arrived;
    if (hub_is_ours(self->call.hub) || orphaned(self) ||
        !hub_post(self->call.hub, &self->message)) {
        release(self);
    }
}
