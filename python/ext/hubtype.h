/* SPDX-License-Identifier: MIT */
/*
 * The hub's greenlet type and the callbacks it runs.
 *
 * Threads: with the GIL.
 */
#ifndef CELEXT_HUBTYPE_H
#define CELEXT_HUBTYPE_H

#include "ext/greenlet.h"

/*
 * The hub greenlet of `hub`, child of `main`: an instance of the class given
 * to set_hub_class(), or of Hub.  New, or NULL with an exception.
 */
PyObject *hubtype_new(struct hub *hub, PyGreenlet *main);

#endif
