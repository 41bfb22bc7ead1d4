/* SPDX-License-Identifier: MIT */
/*
 * Connections of TLS: agreeing, moving bytes, ending.  Who is refused is in
 * test_tls_refused.c, what contexts may be told in test_tls_context.c.
 */
#include "celadon/tls.h"

#include "tls_pair.h"

static int
greet(void *arg)
{
    struct world w;
    char peer[32];

    (void)arg;
    make_world(&w);
    struct both b = connect_both(&w, "www.test");
    tell(b.client, b.server, "hello");
    tell(b.server, b.client, "who are you?");
    CHECK_STR(cel_tls_version(b.client), "TLSv1.3");
    CHECK_STR(cel_tls_version(b.server), "TLSv1.3");
    CHECK_STR(cel_tls_cipher(b.client), cel_tls_cipher(b.server));
    CHECK_SAYS(cel_tls_cipher(b.client), "TLS_");
    CHECK_STR(cel_tls_protocol(b.client), "");
    CHECK_STR(cel_tls_host(b.server), "www.test");
    CHECK_EQ(cel_tls_verified(b.client), 1);
    CHECK_EQ(cel_tls_verified(b.server), 0);
    CHECK_EQ(cel_tls_peer(b.client, peer, sizeof(peer)), 11);
    CHECK_STR(peer, "CN=www.test");
    CHECK_EQ(cel_tls_peer(b.client, peer, 6), 11);
    CHECK_STR(peer, "CN=ww");
    CHECK_EQ(cel_tls_peer(b.server, peer, sizeof(peer)), -ENOENT);
    CHECK(cel_tls_openssl(b.client) != NULL);
    CHECK_EQ(cel_tls_handshake(b.client, late()), 0); /* again: nothing */
    close_both(&b);
    free_world(&w);
    return 0;
}

TEST(both_sides_agree_and_talk)
{
    run(greet);
}

static int
old_version(void *arg)
{
    struct world w;

    (void)arg;
    make_world(&w);
    CHECK_EQ(cel_tls_context_versions(w.server, 0, CEL_TLS_1_2), 0);
    struct both b = connect_both(&w, "www.test");
    CHECK_STR(cel_tls_version(b.client), "TLSv1.2");
    tell(b.client, b.server, "hello");
    tell(b.server, b.client, "hello");
    CHECK_EQ(cel_tls_verified(b.client), 1);
    close_both(&b);
    free_world(&w);
    return 0;
}

TEST(a_peer_of_tls_1_2_is_talked_to)
{
    run(old_version);
}

static int
before(void *arg)
{
    struct world w;
    char byte;

    (void)arg;
    make_world(&w);
    struct both b = open_both(&w, "www.test");
    CHECK_EQ(cel_tls_recv(b.client, &byte, 1, late()), -ENOTCONN);
    CHECK_EQ(cel_tls_recv(b.client, &byte, 0, late()), -ENOTCONN);
    CHECK_EQ(cel_tls_send(b.client, "x", 1, late()), -ENOTCONN);
    CHECK_EQ(cel_tls_shutdown(b.client, late()), -ENOTCONN);
    CHECK_STR(cel_tls_cipher(b.client), "");
    CHECK_EQ(cel_tls_verified(b.client), 0);
    CHECK_EQ(cel_tls_resumed(b.client), 0);
    close_both(&b);
    CHECK_EQ(cel_tls_close(NULL, late()), 0);
    free_world(&w);
    return 0;
}

TEST(before_the_handshake_nothing_is_moved)
{
    run(before);
}

/*
 * Ends.
 */

static int
half_close(void *arg)
{
    struct world w;
    char buf[8];

    (void)arg;
    make_world(&w);
    struct both b = connect_both(&w, "www.test");
    CHECK_EQ(cel_tls_shutdown(b.client, late()), 0);
    CHECK_EQ(cel_tls_shutdown(b.client, late()), 0);
    CHECK_EQ(cel_tls_send(b.client, "x", 1, late()), -EPIPE);
    CHECK_EQ(cel_tls_recv(b.server, buf, sizeof(buf), late()), 0);
    CHECK_EQ(cel_tls_recv(b.server, buf, sizeof(buf), late()), 0);
    tell(b.server, b.client, "still here");
    CHECK_EQ(cel_tls_close(b.server, late()), 0);
    CHECK_EQ(cel_tls_recv(b.client, buf, sizeof(buf), late()), 0);
    CHECK_EQ(cel_tls_close(b.client, late()), 0);
    free_world(&w);
    return 0;
}

TEST(one_side_may_end_before_the_other)
{
    run(half_close);
}

static int
truncated(void *arg)
{
    struct world w;
    char buf[8];

    (void)arg;
    make_world(&w);
    struct both b = connect_both(&w, "www.test");
    CHECK_EQ(cel_tls_send(b.server, "data", 4, late()), 4);
    /* What a crash or an attacker does: the socket ends, TLS does not. */
    CHECK_EQ(cel_shutdown(b.fds[1], SHUT_WR), 0);
    CHECK_EQ(cel_tls_recv(b.client, buf, sizeof(buf), late()), 4);
    CHECK_EQ(cel_tls_recv(b.client, buf, sizeof(buf), late()), -ECONNABORTED);
    CHECK_SAYS(cel_tls_reason(b.client), "without saying so");
    CHECK_EQ(cel_tls_recv(b.client, buf, sizeof(buf), late()), -ECONNABORTED);
    CHECK_EQ(cel_tls_send(b.client, "x", 1, late()), -ECONNABORTED);
    close_both(&b);
    free_world(&w);
    return 0;
}

TEST(an_end_without_a_word_is_an_error)
{
    run(truncated);
}

static int
lost(void *arg)
{
    struct world w;

    (void)arg;
    make_world(&w);
    struct both b = connect_both(&w, "www.test");
    CHECK_EQ(cel_tls_close(b.server, late()), 0);
    CHECK_EQ(cel_tls_send(b.client, "x", 1, late()), -EPIPE);
    CHECK_SAYS(cel_tls_reason(b.client), "roken pipe");
    CHECK_EQ(cel_tls_close(b.client, late()), -EPIPE);
    free_world(&w);
    return 0;
}

TEST(a_peer_that_is_gone_is_told)
{
    run(lost);
}

/*
 * Amounts.
 */

enum {
    AMOUNT = 1 << 21,
    PIECE = 100000
};

static unsigned char
octet(size_t at)
{
    return (unsigned char)(at * 2654435761u >> 13);
}

static void
send_amount(void *arg)
{
    unsigned char *piece = malloc(PIECE);
    size_t done = 0;

    for (size_t len = 1; done < AMOUNT; len = len * 3 % PIECE + 1) {
        len = len < AMOUNT - done ? len : AMOUNT - done;
        for (size_t i = 0; i < len; i++) {
            piece[i] = octet(done + i);
        }
        CHECK_EQ(cel_tls_send(arg, piece, len, late()), (ssize_t)len);
        done += len;
    }
    free(piece);
}

static void
take_amount(void *arg)
{
    unsigned char *piece = malloc(PIECE);
    size_t done = 0;

    for (size_t len = 1; done < AMOUNT; len = len * 7 % PIECE + 1) {
        ssize_t n = cel_tls_recv(arg, piece, len, late());
        CHECK_GT(n, 0);
        for (size_t i = 0; i < (size_t)n; i++) {
            CHECK_EQ(piece[i], octet(done + i));
        }
        done += (size_t)n;
    }
    CHECK_EQ(done, AMOUNT);
    free(piece);
}

/* Four coroutines: both sides send and receive at a time. */
static void
exchange(struct both *b)
{
    cel_coro *coros[] = {
        go(send_amount, b->client),
        go(take_amount, b->client),
        go(send_amount, b->server),
        go(take_amount, b->server),
    };

    for (int i = 0; i < 4; i++) {
        join(coros[i]);
    }
}

static int
full_duplex(void *arg)
{
    struct world w;

    (void)arg;
    make_world(&w);
    struct both b = connect_both(&w, "www.test");
    exchange(&b);
    close_both(&b);
    CHECK_EQ(cel_tls_context_versions(w.client, 0, CEL_TLS_1_2), 0);
    b = connect_both(&w, "www.test");
    exchange(&b);
    close_both(&b);
    free_world(&w);
    return 0;
}

TEST(both_sides_send_and_receive_at_once)
{
    run(full_duplex);
}

static int
new_keys(void *arg)
{
    struct world w;

    (void)arg;
    make_world(&w);
    struct both b = connect_both(&w, "www.test");
    CHECK_EQ(
        SSL_key_update(cel_tls_openssl(b.client), SSL_KEY_UPDATE_REQUESTED),
        1);
    tell(b.client, b.server, "new");
    tell(b.server, b.client, "keys");
    exchange(&b);
    close_both(&b);
    free_world(&w);
    return 0;
}

TEST(keys_are_changed_in_the_middle)
{
    run(new_keys);
}

static int
backlog(void *arg)
{
    static char bytes[AMOUNT];
    struct world w;
    size_t done = 0;

    (void)arg;
    make_world(&w);
    struct both b = connect_both(&w, "www.test");
    memset(bytes, 'b', AMOUNT);
    ssize_t n = cel_tls_send(b.client, bytes, AMOUNT, cel_after(CEL_MSEC));
    CHECK(n > 0 && n < AMOUNT);
    /* Nothing more is taken while something of that is here. */
    CHECK_EQ(cel_tls_send(b.client, "x", 1, CEL_AT_ONCE), -ETIMEDOUT);
    /* Receiving goes on, and sends what is left. */
    CHECK_EQ(cel_tls_send(b.server, "y", 1, late()), 1);
    CHECK_EQ(cel_tls_recv(b.client, bytes, 8, late()), 1);
    CHECK_EQ(bytes[0], 'y');
    cel_coro *last = go(take_amount, b.client);
    while (done < (size_t)n) {
        ssize_t got = cel_tls_recv(b.server, bytes, AMOUNT, late());
        CHECK_GT(got, 0);
        for (size_t i = 0; i < (size_t)got; i++) {
            CHECK_EQ(bytes[i], 'b');
        }
        done += (size_t)got;
    }
    CHECK_EQ(done, n);
    send_amount(b.server);
    join(last);
    tell(b.client, b.server, "z");
    close_both(&b);
    free_world(&w);
    return 0;
}

TEST(what_a_deadline_left_behind_is_sent_later)
{
    run(backlog);
}

struct letters {
    cel_tls *tls;
    char letter;
};

static void
send_letters(void *arg)
{
    const struct letters *letters = arg;
    char *text = malloc(PIECE);

    memset(text, letters->letter, PIECE);
    CHECK_EQ(cel_tls_send(letters->tls, text, PIECE, late()), PIECE);
    free(text);
}

static int
writers(void *arg)
{
    static char buf[PIECE];
    struct letters letters[3];
    cel_coro *coros[3];
    cel_stream *s;
    struct world w;

    (void)arg;
    make_world(&w);
    struct both b = connect_both(&w, "www.test");
    CHECK_EQ(cel_tls_stream(&s, b.server), 0);
    for (int i = 0; i < 3; i++) {
        letters[i] = (struct letters){b.client, (char)('a' + i)};
        coros[i] = go(send_letters, &letters[i]);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(cel_stream_read_all(s, buf, PIECE, late()), PIECE);
        for (size_t k = 1; k < PIECE; k++) {
            CHECK_EQ(buf[k], buf[0]);
        }
    }
    for (int i = 0; i < 3; i++) {
        join(coros[i]);
    }
    (void)cel_tls_close(b.client, late());
    (void)cel_stream_close(s, late());
    free_world(&w);
    return 0;
}

TEST(what_several_send_is_not_mixed)
{
    run(writers);
}

static int
streams(void *arg)
{
    struct world w;
    cel_stream *client;
    cel_stream *server;
    char line[32];

    (void)arg;
    make_world(&w);
    struct both b = connect_both(&w, "www.test");
    CHECK_EQ(cel_tls_stream(&client, b.client), 0);
    CHECK_EQ(cel_tls_stream(&server, b.server), 0);
    CHECK_EQ(cel_stream_printf(client, late(), "GET %s\r\n\r\n", "/"), 9);
    CHECK_EQ(cel_stream_flush(client, late()), 0);
    CHECK_EQ(cel_stream_read_line(server, line, sizeof(line), late()), 7);
    CHECK_STR(line, "GET /");
    CHECK_EQ(cel_stream_read_line(server, line, sizeof(line), late()), 2);
    CHECK_EQ(cel_stream_write(server, "bye", 3, late()), 3);
    CHECK_EQ(cel_stream_close(server, late()), 0);
    CHECK_EQ(cel_stream_read_line(client, line, sizeof(line), late()), 3);
    CHECK_EQ(cel_stream_read_line(client, line, sizeof(line), late()), 0);
    (void)cel_stream_close(client, late());
    free_world(&w);
    return 0;
}

TEST(a_stream_stands_on_tls)
{
    run(streams);
}

/*
 * Deadlines and cancelling.
 */

static int
slow_handshake(void *arg)
{
    struct world w;

    (void)arg;
    make_world(&w);
    struct both b = open_both(&w, "www.test");
    CHECK_EQ(cel_tls_handshake(b.server, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_tls_handshake(b.client, CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_tls_handshake(b.client, cel_after(CEL_MSEC)), -ETIMEDOUT);
    CHECK_STR(cel_tls_reason(b.client), "");
    shake_both(&b); /* goes on */
    CHECK_EQ(b.cerr, 0);
    CHECK_EQ(b.serr, 0);
    tell(b.client, b.server, "at last");
    close_both(&b);
    free_world(&w);
    return 0;
}

TEST(a_handshake_goes_on_after_its_deadline)
{
    run(slow_handshake);
}

static void
recv_cancelled(void *arg)
{
    char buf[8];

    CHECK_EQ(cel_tls_recv(arg, buf, sizeof(buf), CEL_FOREVER), -ECANCELED);
}

static int
cancelling(void *arg)
{
    struct world w;
    char buf[8];

    (void)arg;
    make_world(&w);
    struct both b = connect_both(&w, "www.test");
    CHECK_EQ(cel_tls_recv(b.server, buf, 8, CEL_AT_ONCE), -ETIMEDOUT);
    cel_coro *reader = go(recv_cancelled, b.server);
    settle();
    cel_cancel(reader);
    join(reader);
    tell(b.client, b.server, "here");
    close_both(&b);
    free_world(&w);
    return 0;
}

TEST(a_cancelled_receiver_loses_nothing)
{
    run(cancelling);
}

/*
 * A line that brings a byte at a time.
 */

struct relay {
    int from;
    int to;
};

static void
dribble(void *arg)
{
    const struct relay *relay = arg;
    char byte;

    while (cel_recv(relay->from, &byte, 1, 0, CEL_FOREVER) == 1) {
        if (cel_send(relay->to, &byte, 1, 0, CEL_FOREVER) != 1) {
            break;
        }
        (void)cel_yield();
    }
}

static void
converse(void *arg)
{
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(cel_tls_send(arg, "line", 4, late()), 4);
        (void)cel_yield();
    }
}

static void
listen_to(void *arg)
{
    char byte;

    for (int i = 0; i < 80; i++) {
        CHECK_EQ(cel_tls_recv(arg, &byte, 1, late()), 1);
        CHECK_EQ(byte, "line"[i % 4]);
    }
}

static int
dribbling(void *arg)
{
    struct world w;
    struct both b = {.cerr = -1, .serr = -1};
    int near[2];
    int far[2];

    (void)arg;
    make_world(&w);
    CHECK_EQ(cel_socketpair(near), 0);
    CHECK_EQ(cel_socketpair(far), 0);
    struct relay relays[] = {{near[1], far[1]}, {far[1], near[1]}};
    cel_coro *there = go(dribble, &relays[0]);
    cel_coro *back = go(dribble, &relays[1]);
    CHECK_EQ(cel_tls_open(&b.client, w.client, near[0], "www.test"), 0);
    CHECK_EQ(cel_tls_open(&b.server, w.server, far[0], NULL), 0);
    shake_both(&b);
    CHECK_EQ(b.cerr, 0);
    CHECK_EQ(b.serr, 0);
    cel_coro *coros[] = {
        go(listen_to, b.client),
        go(listen_to, b.server),
        go(converse, b.client),
        go(converse, b.server),
    };
    for (int i = 0; i < 4; i++) {
        join(coros[i]);
    }
    cel_cancel(there);
    cel_cancel(back);
    join(there);
    join(back);
    CHECK_EQ(cel_close(near[1]), 0);
    CHECK_EQ(cel_close(far[1]), 0);
    close_both(&b);
    free_world(&w);
    return 0;
}

TEST(records_come_byte_by_byte)
{
    run(dribbling);
}

/*
 * Many at once.
 */

#define MANY ((size_t)50)

static void
answer(void *arg)
{
    cel_tls *tls = arg;
    char buf[16];
    ssize_t n;

    CHECK_EQ(cel_tls_handshake(tls, late()), 0);
    while ((n = cel_tls_recv(tls, buf, sizeof(buf), late())) > 0) {
        CHECK_EQ(cel_tls_send(tls, buf, (size_t)n, late()), n);
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(cel_tls_close(tls, late()), 0);
}

static void
ask(void *arg)
{
    cel_tls *tls = arg;
    char buf[16];

    CHECK_EQ(cel_tls_handshake(tls, late()), 0);
    for (int i = 0; i < 5; i++) {
        int len = snprintf(buf, sizeof(buf), "%d", i * 1111);
        CHECK_EQ(cel_tls_send(tls, buf, (size_t)len, late()), len);
        CHECK_EQ(cel_tls_recv(tls, buf, sizeof(buf), late()), len);
        CHECK_EQ(strtol(buf, NULL, 10), i * 1111);
    }
    CHECK_EQ(cel_tls_shutdown(tls, late()), 0);
    CHECK_EQ(cel_tls_recv(tls, buf, sizeof(buf), late()), 0);
    (void)cel_tls_close(tls, late());
}

static int
many(void *arg)
{
    struct world w;
    cel_coro *coros[2 * MANY];

    (void)arg;
    make_world(&w);
    for (size_t i = 0; i < MANY; i++) {
        struct both b = open_both(&w, "www.test");
        coros[2 * i] = go(ask, b.client);
        coros[2 * i + 1] = go(answer, b.server);
    }
    /* The connections keep what they need. */
    free_world(&w);
    for (size_t i = 0; i < 2 * MANY; i++) {
        join(coros[i]);
    }
    return 0;
}

TEST(many_talk_at_once)
{
    run(many);
}
