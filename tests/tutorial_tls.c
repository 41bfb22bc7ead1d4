/* SPDX-License-Identifier: MIT */
/*
 * The last step of the tutorial, over TLS.
 */
#include <unistd.h>

#include "play.h"
#include "tls_pair.h"

/* What the clients have in common. */
static cel_tls_context *clients;

static void
save(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    CHECK(file != NULL);
    CHECK(fputs(text, file) >= 0);
    CHECK_EQ(fclose(file), 0);
}

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
    char chain[64];
    char key[64];
    const struct alias aliases[] = {
        {"chain.pem", chain},
        {"key.pem", key},
        {NULL, NULL},
    };
    struct world w;

    make_world(&w);
    clients = w.client;
    (void)snprintf(chain, sizeof(chain), "/tmp/celadon-%d.chain", getpid());
    (void)snprintf(key, sizeof(key), "/tmp/celadon-%d.key", getpid());
    save(chain, w.cert.text);
    save(key, w.cert.key);
    play(&(struct play){.script = "step10.txt",
                        .any_order = true,
                        .aliases = aliases,
                        .open = open_secure});
    CHECK_EQ(unlink(chain), 0);
    CHECK_EQ(unlink(key), 0);
    free_world(&w);
}
