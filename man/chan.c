/* SPDX-License-Identifier: MIT */
/* The example of celadon_chan(3): a producer, two consumers and a channel. */
#include <celadon.h>

#include <stdio.h>

static void
consume(void *arg)
{
    cel_chan *chan = arg;
    int value;

    while (cel_chan_recv(chan, &value, CEL_FOREVER) == 0) {
        printf("%d\n", value);
    }
}

static int
produce(void *arg)
{
    cel_coro *consumers[2] = {NULL, NULL};
    cel_chan *chan;

    (void)arg;
    int err = cel_chan_open(&chan, sizeof(int), 4);
    for (int i = 0; err == 0 && i < 2; i++) {
        err = cel_go(&consumers[i], consume, chan);
    }
    for (int i = 0; err == 0 && i < 10; i++) {
        err = cel_chan_send(chan, &i, CEL_FOREVER);
    }
    cel_chan_shutdown(chan); /* the consumers get -EPIPE when it is empty */
    for (int i = 0; err == 0 && i < 2; i++) {
        err = cel_join(consumers[i], CEL_FOREVER);
    }
    cel_chan_close(chan);
    return err;
}

int
main(void)
{
    return cel_run(produce, NULL, NULL) < 0;
}
