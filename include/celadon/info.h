/* SPDX-License-Identifier: MIT */
/*
 * What this library is, what it has chosen on this system, and why.
 *
 * Threads: any.
 */
#ifndef CELADON_INFO_H
#define CELADON_INFO_H

#include "celadon/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The version, as "1.2.3".  Does not suspend. */
CEL_API const char *cel_info_version(void);

/**
 * Why the backend of the name `backend` ("uring", "epoll", "poll") can't be
 * had here: a sentence's part, for people; NULL: it can.  `backend` NULL asks
 * for the one that CELADON_BACKEND names, or else for any.
 *
 * Tries it, which makes a few descriptors and closes them.  Does not suspend.
 */
CEL_API const char *cel_info_refusal(const char *backend);

/**
 * Write a report in lines of "name: text" into `text` of `size` bytes, as
 * snprintf(3) does: the version, the system, the backend that the calling
 * thread's run has, or that one would have, and what there is to say of the
 * others.  For people; it may change.
 *
 * Does not suspend.  Returns the length of the whole report; where that is
 * `size` or more the text is cut.
 */
CEL_API size_t cel_info_report(char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
