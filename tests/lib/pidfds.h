/* SPDX-License-Identifier: MIT */
/*
 * For programs whose tests start processes: all of them are skipped where
 * those have no descriptors.
 *
 * Threads: any.
 */
#ifndef CEL_TEST_PIDFDS_H
#define CEL_TEST_PIDFDS_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/sys_process.h"
#include "tap.h"

/* Skip all where processes have no descriptors: old systems, emulators. */
__attribute__((constructor)) static void
need_descriptors_of_processes(void)
{
    int pidfd = -1;

    if (!tap_valgrind()) {
        long pid = syscall(SYS_clone, CEL__CLONE_PIDFD | SIGCHLD, NULL, &pidfd,
                           NULL, NULL);
        if (pid == 0) {
            _exit(0);
        }
        if (pid > 0) {
            CHECK_EQ(waitpid((pid_t)pid, NULL, 0), pid);
            (void)close(pidfd);
            return;
        }
    }
    printf("1..0 # SKIP processes have no descriptors here\n");
    exit(77);
}

#endif
