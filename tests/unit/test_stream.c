/* SPDX-License-Identifier: MIT */
/*
 * Buffered streams over sockets and pipes; see test_stream_script.c too.
 */
#include "celadon/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "celadon/net.h"
#include "celadon/run.h"
#include "coros.h"
#include "sockets.h"
#include "stream/stream.h"

/* A moment that is only reached where something hangs. */
static cel_time
late(void)
{
    return cel_after((cel_time)(8e9 * tap_slow()));
}

/* Two streams that are connected. */
static void
pair(cel_stream *streams[2])
{
    int fds[2];

    CHECK_EQ(cel_socketpair(fds), 0);
    CHECK_EQ(cel_stream_open(&streams[0], fds[0]), 0);
    CHECK_EQ(cel_stream_open(&streams[1], fds[1]), 0);
}

static void
close_both(cel_stream *streams[2])
{
    CHECK_EQ(cel_stream_close(streams[0], late()), 0);
    CHECK_EQ(cel_stream_close(streams[1], late()), 0);
}

static void
say(cel_stream *stream, const char *text)
{
    ssize_t len = (ssize_t)strlen(text);

    CHECK_EQ(cel_stream_write(stream, text, (size_t)len, late()), len);
    CHECK_EQ(cel_stream_flush(stream, late()), 0);
}

static void
hear(cel_stream *stream, const char *text)
{
    char buf[128];
    size_t len = strlen(text);

    CHECK_EQ(cel_stream_read_all(stream, buf, len, late()), (ssize_t)len);
    CHECK_MEM(buf, text, len);
}

static void
hear_eight(void *arg)
{
    hear(arg, "abcdefgh");
}

static int
skip_under_a_reader(void *arg)
{
    cel_stream *s[2];

    (void)arg;
    pair(s);
    say(s[0], "abcd");
    cel_coro *coro = go(hear_eight, s[1]);
    while (cel_stream_buffered(s[1]) < 4) {
        CHECK_EQ(cel_yield(), 0);
    }
    CHECK_EQ(cel_stream_skip(s[1], 4), 0);
    say(s[0], "efgh");
    join(coro);
    say(s[0], "ij");
    hear(s[1], "i");
    CHECK_EQ(cel_stream_skip(s[1], 4), 1);
    close_both(s);
    return 0;
}

TEST(what_another_waits_to_read_is_not_skipped)
{
    run(skip_under_a_reader);
}

static int
converse(void *arg)
{
    cel_stream *s[2];
    char line[32];

    (void)arg;
    pair(s);
    CHECK_EQ(cel_stream_printf(s[0], late(), "GET %s HTTP/1.%d\r\n", "/", 1),
             16);
    CHECK_EQ(cel_stream_write(s[0], "\r\nbody", 6, late()), 6);
    CHECK_EQ(cel_stream_read(s[1], line, sizeof(line), CEL_AT_ONCE),
             -ETIMEDOUT); /* it is not flushed */
    CHECK_EQ(cel_stream_flush(s[0], late()), 0);
    CHECK_EQ(cel_stream_read_line(s[1], line, sizeof(line), late()), 16);
    CHECK_STR(line, "GET / HTTP/1.1");
    CHECK_EQ(cel_stream_read_line(s[1], line, sizeof(line), late()), 2);
    CHECK_STR(line, "");
    hear(s[1], "body");
    say(s[1], "200");
    hear(s[0], "200");
    CHECK_EQ(cel_stream_write(s[0], "bye", 3, late()), 3);
    CHECK_EQ(cel_stream_close(s[0], late()), 0); /* flushes */
    CHECK_EQ(cel_stream_read_line(s[1], line, sizeof(line), late()), 3);
    CHECK_STR(line, "bye");
    CHECK_EQ(cel_stream_read_line(s[1], line, sizeof(line), late()), 0);
    CHECK_STR(line, "");
    CHECK_EQ(cel_stream_read(s[1], line, sizeof(line), late()), 0);
    CHECK_EQ(cel_stream_close(s[1], late()), 0);
    CHECK_EQ(cel_stream_close(NULL, late()), 0);
    return 0;
}

TEST(lines_and_bytes_go_through_when_flushed)
{
    run(converse);
}

enum {
    AMOUNT = 1 << 20,
    LONGEST = 40000 /* of a write, and of a read: more than a buffer */
};

static unsigned char
octet(size_t at)
{
    return (unsigned char)(at * 2654435761u >> 13);
}

static void
send_amount(void *arg)
{
    char *piece = malloc(LONGEST);
    cel_stream *s = arg;
    size_t done = 0;

    for (size_t len = 1; done < AMOUNT; len = len * 3 % LONGEST + 1) {
        len = len < AMOUNT - done ? len : AMOUNT - done;
        for (size_t i = 0; i < len; i++) {
            piece[i] = (char)octet(done + i);
        }
        CHECK_EQ(cel_stream_write(s, piece, len, late()), (ssize_t)len);
        done += len;
    }
    CHECK_EQ(cel_stream_flush(s, late()), 0);
    free(piece);
}

/* Take AMOUNT bytes by one call after the other. */
static void
take_amount(cel_stream *s)
{
    static unsigned char buf[LONGEST];
    size_t done = 0;
    unsigned turn = 0;

    for (size_t len = 1; done < AMOUNT; len = len * 5 % LONGEST + 1) {
        ssize_t n;
        len = len < AMOUNT - done ? len : AMOUNT - done;
        if (turn++ % 2 == 0) {
            n = cel_stream_read_all(s, buf, len, late());
            CHECK_EQ(n, (ssize_t)len);
        }
        else {
            n = cel_stream_read(s, buf, len, late());
            CHECK_GT(n, 0);
        }
        for (size_t i = 0; i < (size_t)n; i++) {
            CHECK_EQ(buf[i], octet(done + i));
        }
        done += (size_t)n;
    }
}

static int
bulk(void *arg)
{
    cel_stream *s[2];

    (void)arg;
    pair(s);
    cel_coro *there = go(send_amount, s[0]);
    cel_coro *back = go(send_amount, s[1]);
    take_amount(s[1]);
    take_amount(s[0]);
    join(there);
    join(back);
    close_both(s);
    return 0;
}

TEST(a_million_bytes_each_way_arrive_in_order)
{
    run(bulk);
}

static int
piped(void *arg)
{
    cel_stream *s[2];
    int fds[2];
    char line[8];

    (void)arg;
    CHECK_EQ(cel_pipe(fds), 0);
    CHECK_EQ(cel_stream_open(&s[0], fds[0]), 0);
    CHECK_EQ(cel_stream_open(&s[1], fds[1]), 0);
    cel_coro *writer = go(send_amount, s[1]);
    take_amount(s[0]);
    join(writer);
    CHECK_EQ(cel_stream_write(s[1], "end\n", 4, late()), 4);
    CHECK_EQ(cel_stream_close(s[1], late()), 0);
    CHECK_EQ(cel_stream_read_line(s[0], line, sizeof(line), late()), 4);
    CHECK_EQ(cel_stream_read_line(s[0], line, sizeof(line), late()), 0);
    CHECK_EQ(cel_stream_close(s[0], late()), 0);
    CHECK_EQ(cel_stream_open(&s[0], fds[0]), -EBADF);
    return 0;
}

TEST(a_pipe_is_a_stream_too)
{
    run(piped);
}

static void
read_one_line(void *arg)
{
    cel_stream *s = arg;
    char line[16];

    CHECK_EQ(cel_stream_read_line(s, line, sizeof(line), late()), 6);
    CHECK_EQ(strlen(line), 5);
}

/* Several readers: each gets a whole line, whatever comes in between. */
static int
readers(void *arg)
{
    cel_stream *s[2];
    cel_coro *coros[4];

    (void)arg;
    pair(s);
    for (int i = 0; i < 4; i++) {
        coros[i] = go(read_one_line, s[1]);
    }
    settle();
    for (int i = 0; i < 4; i++) {
        say(s[0], "li");
        settle();
        say(s[0], "ne");
        settle();
        say(s[0], "x\n");
    }
    for (int i = 0; i < 4; i++) {
        join(coros[i]);
    }
    close_both(s);
    return 0;
}

TEST(each_of_several_readers_gets_a_whole_line)
{
    run(readers);
}

/* How many reads of take_big() are over. */
static int reads;

static void
take_big(void *arg)
{
    static char buf[4000];
    cel_stream *s = arg;

    for (int i = 0; i < 5; i++) {
        CHECK_EQ(cel_stream_read_until(s, buf, sizeof(buf), "\n", 1, late()),
                 (ssize_t)sizeof(buf));
        CHECK_EQ(buf[0], 'a' + i);
        reads++;
    }
    CHECK_EQ(cel_stream_read(s, buf, 8, cel_after(CEL_MSEC)), -ETIMEDOUT);
    reads++;
    CHECK_EQ(cel_stream_read(s, buf, 8, CEL_FOREVER), -ECANCELED);
}

/* Big messages with pauses in between, in which nothing big is held. */
static int
pauses(void *arg)
{
    static char bytes[4000];
    cel_stream *s[2];

    (void)arg;
    pair(s);
    cel_coro *reader = go(take_big, s[1]);
    for (int i = 0; i < 5; i++) {
        /* The reader is on its way to wait again, and gives it back there. */
        while (reads < i || s[1]->in.cap != CEL__STREAM_SMALL) {
            CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
        }
        memset(bytes, 'a' + i, sizeof(bytes));
        bytes[sizeof(bytes) - 1] = '\n';
        CHECK_EQ(cel_stream_write(s[0], bytes, sizeof(bytes), late()),
                 (ssize_t)sizeof(bytes));
        CHECK_EQ(cel_stream_flush(s[0], late()), 0);
    }
    while (reads < 6 || s[1]->in.cap != CEL__STREAM_SMALL) {
        CHECK_EQ(cel_sleep(cel_after(CEL_MSEC)), 0);
    }
    cel_cancel(reader);
    join(reader);
    CHECK_EQ(s[1]->in.cap, CEL__STREAM_SMALL);
    say(s[0], "more");
    hear(s[1], "more");
    close_both(s);
    return 0;
}

TEST(an_idle_stream_holds_no_big_buffer)
{
    run(pauses);
}

struct writing {
    cel_stream *stream;
    char letter;
};

static void
write_letters(void *arg)
{
    const struct writing *writing = arg;
    char *text = malloc(100000);

    memset(text, writing->letter, 100000);
    CHECK_EQ(cel_stream_write(writing->stream, text, 100000, late()), 100000);
    free(text);
}

static int
writers(void *arg)
{
    static char buf[100000];
    struct writing writing[3];
    cel_coro *coros[3];
    cel_stream *s[2];

    (void)arg;
    pair(s);
    for (int i = 0; i < 3; i++) {
        writing[i] = (struct writing){s[0], (char)('a' + i)};
        coros[i] = go(write_letters, &writing[i]);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(cel_stream_read_all(s[1], buf, sizeof(buf), late()), 100000);
        for (size_t k = 1; k < sizeof(buf); k++) {
            CHECK_EQ(buf[k], buf[0]);
        }
    }
    for (int i = 0; i < 3; i++) {
        join(coros[i]);
    }
    close_both(s);
    return 0;
}

TEST(what_several_write_is_not_mixed)
{
    run(writers);
}

static void
read_cancelled(void *arg)
{
    cel_stream *s = arg;
    char buf[8];

    CHECK_EQ(cel_stream_read_all(s, buf, 8, CEL_FOREVER), -ECANCELED);
    CHECK(cel_cancelled());
}

static int
cancelling(void *arg)
{
    cel_stream *s[2];

    (void)arg;
    pair(s);
    cel_coro *reader = go(read_cancelled, s[1]);
    say(s[0], "1234");
    settle();
    cel_cancel(reader);
    join(reader);
    say(s[0], "5678");
    hear(s[1], "12345678");
    close_both(s);
    return 0;
}

TEST(nothing_is_lost_where_a_reader_is_cancelled)
{
    run(cancelling);
}

static int
full_socket(void *arg)
{
    static char bytes[AMOUNT];
    cel_stream *s[2];
    size_t taken = 0;
    ssize_t n;

    (void)arg;
    pair(s);
    n = cel_stream_write(s[0], bytes, AMOUNT, cel_after(10 * CEL_MSEC));
    CHECK(n > 0 && n < AMOUNT);
    CHECK_EQ(cel_stream_write(s[0], "x", 1, late()), 1);
    CHECK_EQ(cel_stream_flush(s[0], CEL_AT_ONCE), -ETIMEDOUT);
    CHECK_EQ(cel_stream_flush(s[0], cel_after(CEL_MSEC)), -ETIMEDOUT);
    while (taken < (size_t)n) {
        ssize_t got = cel_stream_read(s[1], bytes, (size_t)n - taken, late());
        CHECK_GT(got, 0);
        taken += (size_t)got;
    }
    CHECK_EQ(cel_stream_flush(s[0], late()), 0);
    hear(s[1], "x");
    close_both(s);
    return 0;
}

TEST(a_full_socket_takes_what_it_can_until_the_deadline)
{
    run(full_socket);
}

static int
gone(void *arg)
{
    cel_stream *s[2];
    char buf[8];

    (void)arg;
    pair(s);
    CHECK_EQ(cel_stream_close(s[1], late()), 0);
    CHECK_EQ(cel_stream_write(s[0], "x", 1, late()), 1);
    CHECK_EQ(cel_stream_flush(s[0], late()), -EPIPE);
    CHECK_EQ(cel_stream_read(s[0], buf, sizeof(buf), late()), 0);
    CHECK_EQ(cel_stream_close(s[0], late()), -EPIPE);
    return 0;
}

TEST(a_peer_that_is_gone_is_told)
{
    run(gone);
}

static int
nothing(void *arg)
{
    *(cel_stream **)arg = NULL;
    cel_stream *s[2];
    pair(s);
    CHECK_EQ(cel_stream_close(s[1], late()), 0);
    *(cel_stream **)arg = s[0];
    return 0;
}

TEST(outside_of_a_run_nothing_is_read)
{
    cel_stream *s;
    char byte;

    CHECK_EQ(cel_run(nothing, &s, NULL), 0);
    CHECK_EQ(cel_stream_read(s, &byte, 1, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_stream_flush(s, CEL_FOREVER), -EPERM);
    CHECK_EQ(cel_stream_printf(s, CEL_FOREVER, "x"), -EPERM);
    (void)cel_stream_close(s, CEL_FOREVER);
}
