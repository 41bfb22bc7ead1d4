/* SPDX-License-Identifier: MIT */
/*
 * The errors of TLS that do not depend on who speaks: without a run,
 * cancelled, at a deadline, of a connection that is broken, without memory.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <unistd.h>

#include "tls_pair.h"

static struct world world;
static struct both b;
static char bytes[1 << 16];

static int
connect_and_leave(void *arg)
{
    (void)arg;
    make_world(&world);
    b = connect_both(&world, "www.test");
    return 0;
}

static int
close_all(void *arg)
{
    (void)arg;
    close_both(&b);
    free_world(&world);
    return 0;
}

TEST(outside_a_run_each_is_refused)
{
    run(connect_and_leave);
    CHECK_EQ(cel_tls_handshake(b.client, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_tls_recv(b.client, bytes, 1, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_tls_send(b.client, bytes, 1, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_tls_shutdown(b.client, CEL_FOREVER), -EPERM);
    run(close_all);
}

static void
shake_cancelled(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_tls_handshake(b.client, CEL_FOREVER), -ECANCELED);
}

static void
talk_cancelled(void *arg)
{
    (void)arg;
    CHECK_EQ(cel_tls_recv(b.client, bytes, 1, CEL_FOREVER), -ECANCELED);
    CHECK_EQ(cel_tls_send(b.client, bytes, 1, CEL_FOREVER), -ECANCELED);
    CHECK_EQ(cel_tls_shutdown(b.client, CEL_FOREVER), -ECANCELED);
}

static void
make_cancelled(void (*fn)(void *arg))
{
    cel_coro *coro = go(fn, NULL);

    cel_cancel(coro);
    join(coro);
}

static int
give_up(void *arg)
{
    (void)arg;
    make_world(&world);
    b = open_both(&world, "www.test");
    make_cancelled(shake_cancelled);
    shake_both(&b);
    CHECK_EQ(b.cerr, 0);
    while (cel_tls_send(b.client, bytes, sizeof(bytes), CEL_AT_ONCE) > 0) {}
    CHECK_EQ(cel_tls_send(b.client, bytes, 1, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_tls_shutdown(b.client, CEL_AT_ONCE), -ETIMEDOUT);
    make_cancelled(talk_cancelled);
    CHECK_EQ(cel_tls_close(b.client, CEL_AT_ONCE), -ETIMEDOUT);
    (void)cel_tls_close(b.server, CEL_AT_ONCE);
    free_world(&world);
    return 0;
}

TEST(who_gives_up_is_told_so)
{
    run(give_up);
}

/* Each later call says what broke it. */
static void
expect_broken(cel_tls *tls, int code)
{
    CHECK_EQ(cel_tls_recv(tls, bytes, 1, late()), code);
    CHECK_EQ(cel_tls_send(tls, bytes, 1, late()), code);
    CHECK_EQ(cel_tls_shutdown(tls, late()), code);
    CHECK_EQ(cel_tls_handshake(tls, late()), code);
}

static int
broken(void *arg)
{
    (void)arg;
    make_world(&world);
    b = connect_both(&world, "www.test");
    CHECK_EQ(cel_send_all(b.fds[0], "no TLS at all", 13, late()), 13);
    expect_broken(b.server, -EPROTO);
    close_both(&b);
    b = connect_both(&world, "www.test");
    CHECK_EQ(cel_shutdown(b.fds[0], SHUT_WR), 0);
    expect_broken(b.server, -ECONNABORTED);
    close_both(&b);
    b = try_both(&world, "other.test");
    CHECK_EQ(b.cerr, -EKEYREJECTED);
    expect_broken(b.client, -EKEYREJECTED);
    close_both(&b);
    free_world(&world);
    return 0;
}

TEST(a_broken_connection_says_what_broke_it)
{
    run(broken);
}

/*
 * Memory: OpenSSL's own allocations fail.
 */

static long left = -1; /* until one fails; negative: none does */

static bool
fails(void)
{
    return left >= 0 && left-- == 0;
}

static void *
allocate(size_t size, const char *where, int line)
{
    (void)where;
    (void)line;
    return fails() ? NULL : malloc(size);
}

static void *
resize(void *old, size_t size, const char *where, int line)
{
    (void)where;
    (void)line;
    return fails() ? NULL : realloc(old, size);
}

static void
release(void *block, const char *where, int line)
{
    (void)where;
    (void)line;
    free(block);
}

/* Before its first allocation, or it refuses. */
__attribute__((constructor)) static void
take_over(void)
{
    if (CRYPTO_set_mem_functions(allocate, resize, release) != 1) {
        abort();
    }
}

static const char *root_path;
static const char *key_path;

static int
set_ciphers(cel_tls_context *context)
{
    return cel_tls_context_ciphers(context, "HIGH", "TLS_AES_256_GCM_SHA384");
}

static int
trust(cel_tls_context *context)
{
    return cel_tls_context_trust(context, root_path);
}

static int
trust_text(cel_tls_context *context)
{
    return cel_tls_context_trust_text(context, world.root.text);
}

static int
use_files(cel_tls_context *context)
{
    return cel_tls_context_use_certificate(context, root_path, key_path);
}

static int
use_text(cel_tls_context *context)
{
    return cel_tls_context_use_certificate_text(context, world.root.text,
                                                world.root.key);
}

static int
read_peer(cel_tls_context *context)
{
    (void)context;
    return cel_tls_peer(b.client, bytes, sizeof(bytes)) < 0 ? -ENOMEM : 0;
}

/* Some failure of an allocation, and none but that, is told as such. */
static void
starve(int (*fn)(cel_tls_context *context))
{
    bool met = false;

    for (long n = 0; !met; n++) {
        cel_tls_context *context;
        CHECK_EQ(cel_tls_context_open(&context, CEL_TLS_SERVER), 0);
        left = n;
        int err = fn(context);
        bool failed = left < 0;
        left = -1;
        met = err == -ENOMEM;
        CHECK(met || failed);
        cel_tls_context_close(context);
    }
}

static int
short_of_memory(void *arg)
{
    (void)arg;
    make_world(&world);
    root_path = tap_save("root.pem", world.root.text);
    key_path = tap_save("key.pem", world.root.key);
    b = connect_both(&world, "www.test");
    starve(read_peer);
    starve(set_ciphers);
    starve(trust);
    starve(trust_text);
    starve(use_files);
    starve(use_text);
    close_both(&b);
    free_world(&world);
    return 0;
}

TEST(memory_that_openssl_lacks_is_told)
{
    run(short_of_memory);
}
