/* SPDX-License-Identifier: MIT */
/*
 * Greenlets for extension modules: greenlet's C interface, by its names.
 *
 * An extension compiled against this header, or against greenlet's own, runs
 * on whatever provides the module `greenlet`: the table of twelve pointers
 * and the layout of PyGreenlet are fixed for ever.
 *
 * Call PyGreenlet_Import() in the module's init function, and look whether an
 * exception is set.  Everything here needs the GIL, or an attached thread
 * state.  What is not a greenlet is refused with TypeError ("bad argument
 * type for built-in operation").
 *
 * The names with a leading underscore are part of that interface.
 */
#ifndef Py_GREENLETOBJECT_H
#define Py_GREENLETOBJECT_H

#include <Python.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of the interface; it does not change. */
#define GREENLET_VERSION "1.0.0"

/* May be embedded at the head of an extension's own objects. */
typedef struct _greenlet {
    PyObject_HEAD
    PyObject *weakreflist;
    PyObject *dict;
    void *pimpl; /* the implementation's own */
} PyGreenlet;

#define PyGreenlet_Check(op) ((op) && PyObject_TypeCheck(op, &PyGreenlet_Type))

/* Places in the table. */
#define PyGreenlet_Type_NUM       0
#define PyExc_GreenletError_NUM   1
#define PyExc_GreenletExit_NUM    2
#define PyGreenlet_New_NUM        3
#define PyGreenlet_GetCurrent_NUM 4
#define PyGreenlet_Throw_NUM      5
#define PyGreenlet_Switch_NUM     6
#define PyGreenlet_SetParent_NUM  7
#define PyGreenlet_MAIN_NUM       8
#define PyGreenlet_STARTED_NUM    9
#define PyGreenlet_ACTIVE_NUM     10
#define PyGreenlet_GET_PARENT_NUM 11

#define PyGreenlet_API_pointers 12

#ifndef GREENLET_MODULE

/* The table; NULL before PyGreenlet_Import(), and after one that failed. */
static void **_PyGreenlet_API = NULL;

#define PyGreenlet_Type (*(PyTypeObject *)_PyGreenlet_API[PyGreenlet_Type_NUM])

#define PyExc_GreenletError                                                   \
    ((PyObject *)_PyGreenlet_API[PyExc_GreenletError_NUM])

#define PyExc_GreenletExit                                                    \
    ((PyObject *)_PyGreenlet_API[PyExc_GreenletExit_NUM])

/* greenlet(run, parent), new; each may be NULL.  NULL with an exception. */
#define PyGreenlet_New                                                        \
    (*(PyGreenlet * (*)(PyObject * run, PyGreenlet * parent))                 \
         _PyGreenlet_API[PyGreenlet_New_NUM])

/* getcurrent(), new.  NULL with an exception. */
#define PyGreenlet_GetCurrent                                                 \
    (*(PyGreenlet * (*)(void)) _PyGreenlet_API[PyGreenlet_GetCurrent_NUM])

/* g.throw(type, value, traceback), new; the last two may be NULL.  Runs other
   code before it returns.  NULL with an exception. */
#define PyGreenlet_Throw                                                      \
    (*(PyObject * (*)(PyGreenlet * g, PyObject * type, PyObject * value,      \
                      PyObject * traceback))                                  \
         _PyGreenlet_API[PyGreenlet_Throw_NUM])

/* g.switch(*args, **kwargs), new; each may be NULL, and what is no dict is as
   no keywords.  Runs other code before it returns.  NULL with an exception. */
#define PyGreenlet_Switch                                                     \
    (*(PyObject * (*)(PyGreenlet * g, PyObject * args, PyObject * kwargs))    \
         _PyGreenlet_API[PyGreenlet_Switch_NUM])

/* g.parent = parent.  0, or -1 with an exception. */
#define PyGreenlet_SetParent                                                  \
    (*(int (*)(PyGreenlet * g, PyGreenlet * parent))                          \
         _PyGreenlet_API[PyGreenlet_SetParent_NUM])

/* Whether it is its thread's first.  1, 0, or -1 with an exception. */
#define PyGreenlet_MAIN                                                       \
    (*(int (*)(PyGreenlet *))_PyGreenlet_API[PyGreenlet_MAIN_NUM])

/* Whether it has been switched to.  1, 0, or -1 with an exception. */
#define PyGreenlet_STARTED                                                    \
    (*(int (*)(PyGreenlet *))_PyGreenlet_API[PyGreenlet_STARTED_NUM])

/* Whether it has started and not finished.  1, 0, or -1 with an exception. */
#define PyGreenlet_ACTIVE                                                     \
    (*(int (*)(PyGreenlet *))_PyGreenlet_API[PyGreenlet_ACTIVE_NUM])

/* g.parent, new; NULL without an exception where there is none. */
#define PyGreenlet_GetParent                                                  \
    (*(PyGreenlet * (*)(PyGreenlet *))                                        \
         _PyGreenlet_API[PyGreenlet_GET_PARENT_NUM])

/* The older name of the same. */
#define PyGreenlet_GET_PARENT PyGreenlet_GetParent

/* Import the module and fill the table. */
#define PyGreenlet_Import()                                                   \
    {                                                                         \
        _PyGreenlet_API = (void **)PyCapsule_Import("greenlet._C_API", 0);    \
    }

#endif /* GREENLET_MODULE */

#ifdef __cplusplus
}
#endif

#endif /* Py_GREENLETOBJECT_H */
