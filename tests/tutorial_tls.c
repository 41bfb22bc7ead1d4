/* SPDX-License-Identifier: MIT */
/*
 * The last step of the tutorial, over TLS.
 */
#include <unistd.h>

#include "play.h"
#include "tls_pair.h"

/* What the clients have in common. */
static cel_tls_context *clients;

static int
open_secure(cel_stream **out, int fd)
{
    cel_tls *tls;

    CHECK_EQ(cel_tls_open(&tls, clients, fd, "www.test"), 0);
    CHECK_EQ(cel_tls_handshake(tls, late()), 0);
    return cel_tls_stream(out, tls);
}

TEST(step10_says_all_that_over_tls)
{
    struct world w;

    make_world(&w);
    clients = w.client;
    const struct alias aliases[] = {
        {"chain.pem", tap_save("chain.pem", w.cert.text)},
        {"key.pem", tap_save("key.pem", w.cert.key)},
        {NULL, NULL},
    };
    play(&(struct play){.script = "step10.txt",
                        .any_order = true,
                        .aliases = aliases,
                        .open = open_secure});
    free_world(&w);
}
