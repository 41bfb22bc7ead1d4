/* SPDX-License-Identifier: MIT */
/*
 * Sweeps up after tests.
 *
 * The harness does it when a test has ended.  Where the harness itself is
 * killed, by Ctrl-C or by whoever runs it, its sweeper does: a process that
 * waits for nothing else, in a session of its own, where what is sent to the
 * harness's group does not reach it.  Both see what there is to sweep in a
 * page that they share with the test.
 */
#include "sweep.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

struct left {
    pid_t group;     /* of the test that runs; 0: none does */
    char folder[32]; /* "": it has none */
};

static struct left *left;

/* Wait for the end of `harness`, and sweep. */
_Noreturn static void
wait_and_sweep(pid_t harness)
{
    sigset_t ends;
    int signo;

    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    (void)setsid();
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == harness) {
        (void)sigwait(&ends, &signo);
    }
    sweep();
    _exit(0);
}

void
sweep_start(void)
{
    pid_t harness = getpid();

    left = mmap(NULL, sizeof(*left), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (left == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    pid_t sweeper = fork();
    if (sweeper == 0) {
        wait_and_sweep(harness);
    }
    if (sweeper < 0) {
        perror("fork");
        exit(1);
    }
}

void
sweep_expect(pid_t group)
{
    left->group = group;
}

static int
remove_one(const char *path, const struct stat *status, int kind,
           struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

void
sweep(void)
{
    if (left->group != 0) {
        (void)kill(-left->group, SIGKILL);
        left->group = 0;
    }
    if (left->folder[0] != '\0') {
        (void)nftw(left->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        left->folder[0] = '\0';
    }
}

const char *
sweep_folder(void)
{
    char folder[sizeof(left->folder)] = "/tmp/celadon-test-XXXXXX";

    if (left->folder[0] == '\0') {
        if (mkdtemp(folder) == NULL) {
            return NULL;
        }
        memcpy(left->folder, folder, sizeof(folder));
    }
    return left->folder;
}
