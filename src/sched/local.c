/* SPDX-License-Identifier: MIT */
/*
 * A coroutine's own values, and what it has deferred.
 *
 * Keys are the process's, in a table of fixed size, so that nothing here needs
 * a lock, which a fork could find taken.  A key that is closed and opened
 * again gets a new generation, and values of older ones are no values.  A
 * coroutine's values are an array by key that grows when one is first set;
 * most coroutines have none.
 *
 * Threads: see celadon/local.h.
 *
 * Tests: unit/test_local.c
 */
#include "sched/local.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "sched/worker.h"

/* Keys of a process; their numbers fill the low bits of a cel_key. */
#define NKEYS 256U

/* How often destructors that set values are followed by another round. */
#define ROUNDS 4

/* Invariant: generation is odd while the key is open. */
struct key {
    atomic_uint generation;
    _Atomic(void (*)(void *value)) destroy;
};

struct slot {
    unsigned generation; /* of the key when it was set */
    void *value;
};

struct deferred {
    struct deferred *next; /* what was deferred before */
    void (*fn)(void *arg);
    void *arg;
};

struct cel__locals {
    struct deferred *deferred; /* what to call at the end, the last first */
    size_t nslots;
    struct slot slots[];
};

static struct key keys[NKEYS];

int
cel_key_open(cel_key *out, void (*destroy)(void *value))
{
    for (cel_key i = 0; i < NKEYS; i++) {
        struct key *key = &keys[i];
        unsigned was = atomic_load(&key->generation);
        if (was % 2 == 0 &&
            atomic_compare_exchange_strong(&key->generation, &was, was + 1)) {
            /* Nobody knows of it until we return. */
            atomic_store(&key->destroy, destroy);
            *out = i | ((was + 1) * NKEYS);
            return 0;
        }
    }
    return -EAGAIN;
}

/* The generation in a cel_key, as far as it has room for one. */
static bool
is_open(cel_key key, unsigned *generation)
{
    *generation = atomic_load_explicit(&keys[key % NKEYS].generation,
                                       memory_order_relaxed);
    return *generation % 2 == 1 && *generation * NKEYS == key - key % NKEYS;
}

void
cel_key_close(cel_key key)
{
    unsigned generation;

    if (is_open(key, &generation)) {
        /* Unless another has closed it meanwhile. */
        (void)atomic_compare_exchange_strong(&keys[key % NKEYS].generation,
                                             &generation, generation + 1);
    }
}

/* Room for `nslots` slots, maybe none.  Returns NULL where memory is short. */
static struct cel__locals *
reach(struct cel_coro *self, size_t nslots)
{
    struct cel__locals *locals = self->locals;
    size_t have = locals == NULL ? 0 : locals->nslots;

    if (locals != NULL && nslots <= have) {
        return locals;
    }
    locals = cel__alloc_resize(locals,
                               sizeof(*locals) + nslots * sizeof(struct slot));
    if (locals == NULL) {
        return NULL;
    }
    if (self->locals == NULL) {
        locals->deferred = NULL;
    }
    memset(&locals->slots[have], 0, (nslots - have) * sizeof(struct slot));
    locals->nslots = nslots;
    self->locals = locals;
    return locals;
}

int
cel_local_set(cel_key key, void *value)
{
    struct cel_coro *self = cel_self();
    size_t index = key % NKEYS;
    unsigned generation;

    if (self == NULL) {
        return -EPERM;
    }
    if (!is_open(key, &generation)) {
        return -EINVAL;
    }
    struct cel__locals *locals = reach(self, (index | 7) + 1);
    if (locals == NULL) {
        return -ENOMEM;
    }
    locals->slots[index].generation = generation;
    locals->slots[index].value = value;
    return 0;
}

void *
cel_local_get(cel_key key)
{
    struct cel_coro *self = cel_self();
    size_t index = key % NKEYS;
    unsigned generation;

    if (self == NULL || self->locals == NULL ||
        index >= self->locals->nslots || !is_open(key, &generation) ||
        self->locals->slots[index].generation != generation) {
        return NULL;
    }
    return self->locals->slots[index].value;
}

/* Destroy all values once; whether there were any. */
static bool
destroy_values(struct cel_coro *self)
{
    bool any = false;

    /* A destructor may set values, so the array may move. */
    for (size_t i = 0; i < self->locals->nslots; i++) {
        struct slot slot = self->locals->slots[i];
        struct key *key = &keys[i];
        self->locals->slots[i].value = NULL;
        if (slot.value == NULL ||
            slot.generation != atomic_load(&key->generation)) {
            continue;
        }
        void (*destroy)(void *) = atomic_load(&key->destroy);
        if (destroy != NULL) {
            destroy(slot.value);
            any = true;
        }
    }
    return any;
}

int
cel_defer(void (*fn)(void *arg), void *arg)
{
    struct cel_coro *self = cel_self();

    if (self == NULL) {
        return -EPERM;
    }
    struct cel__locals *locals = reach(self, 0);
    if (locals == NULL) {
        return -ENOMEM;
    }
    struct deferred *deferred = cel__alloc(sizeof(*deferred));
    if (deferred == NULL) {
        return -ENOMEM;
    }
    deferred->fn = fn;
    deferred->arg = arg;
    deferred->next = locals->deferred;
    locals->deferred = deferred;
    return 0;
}

/* Take back what was deferred last, which there is, and maybe call it. */
static void
undefer(struct cel_coro *self, bool call)
{
    struct deferred deferred = *self->locals->deferred;

    free(self->locals->deferred);
    self->locals->deferred = deferred.next;
    if (call) {
        deferred.fn(deferred.arg);
    }
}

int
cel_undefer(int call)
{
    struct cel_coro *self = cel_self();

    if (self == NULL) {
        return -EPERM;
    }
    if (self->locals == NULL || self->locals->deferred == NULL) {
        return -ENOENT;
    }
    undefer(self, call != 0);
    return 0;
}

void
cel__local_leave(struct cel_coro *coro)
{
    int round = 0;

    if (coro->locals == NULL) {
        return;
    }
    do {
        while (coro->locals->deferred != NULL) {
            undefer(coro, true);
        }
    } while (round++ < ROUNDS && destroy_values(coro));
    free(coro->locals);
    coro->locals = NULL;
}
