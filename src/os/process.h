/* SPDX-License-Identifier: MIT */
/*
 * What is behind a cel_process; the rest is celadon/process.h.
 *
 * Threads: see there.
 */
#ifndef CEL_PROCESS_H
#define CEL_PROCESS_H

#include <pthread.h>
#include <stdbool.h>

#include "celadon/process.h"
#include "io/backend.h"

/*
 * Invariants: ended => its status has been fetched and its number may be
 * another's; pidfd >= 0.
 */
struct cel_process {
    struct cel__op op;        /* once it is closed: the wait for its end */
    struct cel_process *next; /* once it is closed: among those left over */
    unsigned forks;           /* cel__fork_count() at its start */
    pid_t pid;
    int pidfd;
    int pipes[3];         /* our ends; -1: none */
    bool leads;           /* a group; its number is pid */
    pthread_mutex_t lock; /* of the two below; never across a suspension */
    bool ended;           /* somebody has fetched `status` */
    int status;           /* as waitpid(2) */
};

#endif
