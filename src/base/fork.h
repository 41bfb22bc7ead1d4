/* SPDX-License-Identifier: MIT */
/*
 * Whether we are still the process we were.
 *
 * A child inherits the descriptors of its parent's backends, which still
 * belong to the parent in all that matters; so whoever keeps such a thing
 * keeps the count beside it and makes it anew when they differ.
 *
 * Seen are fork() and what calls it; a child made by vfork() or a bare
 * clone() runs no handlers, and must exec before it comes here.
 *
 * Threads: any.
 */
#ifndef CEL_FORK_H
#define CEL_FORK_H

/* How many forks this process is away from the one that first asked. */
unsigned cel__fork_count(void);

/*
 * Have forks run these from now on, as pthread_atfork(3) does; NULL: nothing.
 * For what threads that a child has not got may be at: a lock that one of them
 * holds at the fork stays taken there.  pthread_once(3) needs none, a child
 * begins again what was cut short.
 */
void cel__fork_handle(void (*before)(void), void (*parent)(void),
                      void (*child)(void));

#endif
