/* SPDX-License-Identifier: MIT */
/*
 * Callables that want to be told: rawlink() and unlink().
 *
 * Each is called once, in the hub, with the object it was linked to, after
 * that became ready; who links to a ready object is told soon.  They run in
 * the hub of the thread that linked first, whichever thread makes the object
 * ready.  An object without links pays one NULL pointer.
 *
 * Threads: any; guarded (guard.h).
 *
 * Tests: tests/python/test_event.py, test_semaphore.py
 */
#ifndef CELEXT_LINKS_H
#define CELEXT_LINKS_H

#include "ext/hub.h"

struct links;

/*
 * Let `callable` be called with `source`, the object that keeps `*links`.
 * `ready`, where not NULL, is asked before each call: it returns false when
 * the rest must wait for the next links_fire().  Where `now` the object is
 * ready already.  Returns None, new, or NULL with an exception.
 */
PyObject *links_add(struct links **links, PyObject *source, PyObject *callable,
                    bool (*ready)(PyObject *source), bool now);

/* Take `callable`, or one that equals it, out again; harmless where there is
   none.  Returns None, new, or NULL with an exception. */
PyObject *links_remove(struct links *links, PyObject *callable);

/* Let those that are linked now be called; at once, where the thread of their
   hub has ended.  Cannot fail. */
void links_fire_all(struct links *links, PyObject *source);

static inline void
links_fire(struct links *links, PyObject *source)
{
    if (cel__unlikely(links != NULL)) {
        links_fire_all(links, source);
    }
}

int links_traverse(struct links *links, visitproc visit, void *arg);

/* Drop the callables and what was kept for them: the object goes away, or the
   collector clears it, which it does to none that is about to call. */
void links_free(struct links **links);

#endif
