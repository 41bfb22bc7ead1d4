/* SPDX-License-Identifier: MIT */
/* The example of celadon_signals(3): a signal, received. */
#include <celadon.h>

#include <signal.h>
#include <stdio.h>

static int
receive(void *arg)
{
    const int which[] = {SIGHUP, SIGUSR1};
    cel_signals *signals;

    (void)arg;
    int err = cel_signals_open(&signals, which, 2);
    if (err < 0) {
        return err;
    }
    (void)raise(SIGUSR1);
    int signo = cel_signals_wait(signals, cel_after(5 * CEL_SEC));
    printf("%s\n", signo == SIGUSR1 ? "SIGUSR1" : "another");
    cel_signals_close(signals);
    return signo < 0 ? signo : 0;
}

int
main(void)
{
    return cel_run(receive, NULL, NULL) < 0;
}
