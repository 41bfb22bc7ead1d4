/* SPDX-License-Identifier: MIT */
/*
 * Buffered streams over a script, where it is known what comes in which
 * pieces; and the buffer alone.
 */
#include "celadon/stream.h"

#include <errno.h>
#include <limits.h>
#include <wchar.h>

#include "coros.h"
#include "stream/buffer.h"
#include "stream/stream.h"

static const size_t LARGE = CEL__STREAM_LARGE;

static cel_time
late(void)
{
    return cel_after((cel_time)(8e9 * tap_slow()));
}

/* What is received, piece by piece, and what was sent. */
struct script {
    const char *const *pieces; /* "": the end; "!": -ECONNRESET; NULL: wait */
    size_t at;                 /* of the piece, how much is taken */
    int deadlines;             /* receives that ran into theirs */
    char sent[600];
    size_t nsent;
    size_t portion; /* at most so much goes out a call; 0: -ETIMEDOUT */
    int sends;      /* calls */
    bool closed;
};

static ssize_t
script_recv(void *over, void *buf, size_t len, cel_time deadline)
{
    struct script *script = over;
    const char *piece = *script->pieces;

    (void)deadline;
    if (piece == NULL) {
        script->pieces++;
        script->deadlines++;
        return -ETIMEDOUT;
    }
    if (strcmp(piece, "!") == 0) {
        script->pieces++;
        return -ECONNRESET;
    }
    size_t left = strlen(piece) - script->at;
    len = len < left ? len : left;
    memcpy(buf, piece + script->at, len);
    script->at += len;
    if (len == left && *piece != '\0') {
        script->pieces++;
        script->at = 0;
    }
    return (ssize_t)len;
}

static ssize_t
script_send(void *over, const struct iovec *pieces, int npieces,
            cel_time deadline)
{
    struct script *script = over;
    size_t left = script->portion;

    (void)deadline;
    script->sends++;
    if (left == 0) {
        return -ETIMEDOUT;
    }
    for (int i = 0; i < npieces && left > 0; i++) {
        size_t len = pieces[i].iov_len < left ? pieces[i].iov_len : left;
        /* What does not fit is only counted. */
        if (script->nsent + len <= sizeof(script->sent)) {
            memcpy(script->sent + script->nsent, pieces[i].iov_base, len);
        }
        script->nsent += len;
        left -= len;
    }
    return (ssize_t)(script->portion - left);
}

static int
script_close(void *over, cel_time deadline)
{
    struct script *script = over;

    (void)deadline;
    script->closed = true;
    return 0;
}

static const cel_stream_ops script_ops = {
    sizeof(cel_stream_ops),
    script_recv,
    script_send,
    script_close,
};

static cel_stream *
play(struct script *script)
{
    cel_stream *stream;

    CHECK_EQ(cel_stream_open_over(&stream, &script_ops, script), 0);
    return stream;
}

static int
odd_lines(void *arg)
{
    static const char *const pieces[] = {"a\r", "\n\n", "b", "\nc\r\rd", ""};
    struct script script = {.pieces = pieces};
    cel_stream *s = play(&script);
    char line[8];

    (void)arg;
    CHECK_EQ(cel_stream_read_line(s, line, sizeof(line), late()), 3);
    CHECK_STR(line, "a");
    CHECK_EQ(cel_stream_read_line(s, line, sizeof(line), late()), 1);
    CHECK_STR(line, "");
    CHECK_EQ(cel_stream_read_line(s, line, sizeof(line), late()), 2);
    CHECK_STR(line, "b");
    CHECK_EQ(cel_stream_read_line(s, line, sizeof(line), late()), 4);
    CHECK_STR(line, "c\r\rd");
    CHECK_EQ(cel_stream_read_line(s, line, sizeof(line), late()), 0);
    CHECK_EQ(cel_stream_close(s, late()), 0);
    CHECK(script.closed);
    return 0;
}

TEST(a_line_ends_in_every_way)
{
    run(odd_lines);
}

static int
until(void *arg)
{
    static const char *const pieces[] = {"head", "er\r", "\n\r", "\nbody",
                                         "+-+-", "*",    "rest", ""};
    struct script script = {.pieces = pieces};
    cel_stream *s = play(&script);
    char buf[16];

    (void)arg;
    CHECK_EQ(cel_stream_read_until(s, buf, 16, "\r\n\r\n", 0, late()),
             -EINVAL);
    CHECK_EQ(cel_stream_read_until(s, buf, 16, "\r\n\r\n", 4, late()), 10);
    CHECK_MEM(buf, "header\r\n\r\n", 10);
    CHECK_EQ(cel_stream_read_until(s, buf, 16, "+-*", 3, late()), 9);
    CHECK_MEM(buf, "body+-+-*", 9);
    CHECK_EQ(cel_stream_read_until(s, buf, 16, "*", 1, late()), 4);
    CHECK_MEM(buf, "rest", 4);
    CHECK_EQ(cel_stream_read_until(s, buf, 16, "*", 1, late()), 0);
    CHECK_EQ(cel_stream_close(s, late()), 0);
    return 0;
}

TEST(an_ending_is_found_across_pieces)
{
    run(until);
}

static int
too_long(void *arg)
{
    static const char *const pieces[] = {"abcdef", "ghi\n", "xyz\n1", ""};
    struct script script = {.pieces = pieces};
    cel_stream *s = play(&script);
    char line[16];

    (void)arg;
    CHECK_EQ(cel_stream_read_line(s, line, 8, late()), -EMSGSIZE);
    CHECK_EQ(cel_stream_read_line(s, line, 10, late()), -EMSGSIZE);
    CHECK_EQ(cel_stream_read_line(s, line, 1, late()), -EMSGSIZE);
    CHECK_EQ(cel_stream_read_until(s, line, 9, "\n", 1, late()), -EMSGSIZE);
    CHECK_EQ(cel_stream_read_line(s, line, 11, late()), 10);
    CHECK_STR(line, "abcdefghi");
    CHECK_EQ(cel_stream_read_until(s, line, 4, "\n", 1, late()), 4);
    CHECK_EQ(cel_stream_read_until(s, line, 1, "\n", 1, late()), -EMSGSIZE);
    CHECK_EQ(cel_stream_read_until(s, line, 2, "\n", 1, late()), 1);
    CHECK_EQ(cel_stream_close(s, late()), 0);
    return 0;
}

TEST(a_line_that_is_too_long_stays)
{
    run(too_long);
}

static int
peeking(void *arg)
{
    static const char *const pieces[] = {"ab", "cd", "ef", ""};
    struct script script = {.pieces = pieces};
    cel_stream *s = play(&script);
    const void *data = NULL;
    char buf[8];

    (void)arg;
    CHECK_EQ(cel_stream_peek(s, &data, 0, late()), 0);
    CHECK_EQ(cel_stream_peek(s, &data, 3, late()), 4);
    CHECK_MEM(data, "abcd", 4);
    CHECK_EQ(cel_stream_peek(s, &data, 0, late()), 4);
    CHECK_EQ(cel_stream_buffered(s), 4);
    CHECK_EQ(cel_stream_skip(s, 1), 1);
    CHECK_EQ(cel_stream_read(s, buf, 2, late()), 2);
    CHECK_MEM(buf, "bc", 2);
    CHECK_EQ(cel_stream_peek(s, &data, 9, late()), 3);
    CHECK_MEM(data, "def", 3);
    CHECK_EQ(cel_stream_skip(s, 9), 3);
    CHECK_EQ(cel_stream_skip(s, 1), 0);
    CHECK_EQ(cel_stream_peek(s, &data, 1, late()), 0);
    CHECK_EQ(cel_stream_buffered(s), 0);
    CHECK_EQ(cel_stream_close(s, late()), 0);
    return 0;
}

TEST(what_was_peeked_at_stays_until_it_is_skipped)
{
    run(peeking);
}

static int
early_ends(void *arg)
{
    static const char *const pieces[] = {"ab",  NULL, "c", NULL, NULL,
                                         "d\n", "ef", "!", "gh", ""};
    struct script script = {.pieces = pieces};
    cel_stream *s = play(&script);
    const void *data;
    char buf[8] = "........";

    (void)arg;
    CHECK_EQ(cel_stream_read_line(s, buf, sizeof(buf), late()), -ETIMEDOUT);
    CHECK_EQ(cel_stream_read_all(s, buf, 4, late()), -ETIMEDOUT);
    CHECK_EQ(cel_stream_peek(s, &data, 4, late()), -ETIMEDOUT);
    CHECK_EQ(script.deadlines, 3);
    CHECK_EQ(cel_stream_read_line(s, buf, sizeof(buf), late()), 5);
    CHECK_STR(buf, "abcd");
    /* The error waits for its turn, and then it stays. */
    CHECK_EQ(cel_stream_read_all(s, buf, 4, late()), -ECONNRESET);
    CHECK_EQ(cel_stream_read_line(s, buf, sizeof(buf), late()), -ECONNRESET);
    CHECK_EQ(cel_stream_read(s, buf, 8, late()), 2);
    CHECK_MEM(buf, "ef", 2);
    CHECK_EQ(cel_stream_read(s, buf, 8, late()), -ECONNRESET);
    CHECK_EQ(cel_stream_read(s, buf, 0, late()), 0);
    CHECK_EQ(cel_stream_close(s, late()), 0);
    return 0;
}

TEST(nothing_is_lost_where_a_read_ends_early)
{
    run(early_ends);
}

static int
big_ends_early(void *arg)
{
    static char text[CEL__STREAM_LARGE + 1];
    static char buf[3 * CEL__STREAM_LARGE];
    static const char *pieces[] = {text, NULL, NULL, "x", ""};
    struct script script = {.pieces = pieces};
    cel_stream *s = play(&script);

    (void)arg;
    memset(text, 't', LARGE);
    CHECK_EQ(cel_stream_read(s, buf, 2, late()), 2);
    CHECK_EQ(cel_stream_read_all(s, buf, 2 * LARGE, late()), -ETIMEDOUT);
    CHECK_EQ(cel_stream_buffered(s), LARGE - 2);
    CHECK_EQ(cel_stream_read_all(s, buf, 2 * LARGE, late()), -ETIMEDOUT);
    CHECK_EQ(cel_stream_buffered(s), LARGE - 2);
    CHECK_EQ(cel_stream_read_all(s, buf, 2 * LARGE, late()), LARGE - 1);
    CHECK_EQ(buf[LARGE - 3], 't');
    CHECK_EQ(buf[LARGE - 2], 'x');
    CHECK_EQ(cel_stream_read_all(s, buf, 2 * LARGE, late()), 0);
    CHECK_EQ(cel_stream_close(s, late()), 0);
    return 0;
}

TEST(nothing_is_lost_where_a_big_read_ends_early)
{
    run(big_ends_early);
}

static int
gathered(void *arg)
{
    static char big[CEL__STREAM_LARGE];
    static char letters[] = "0123456789abcdefghij";
    struct iovec pieces[20];
    struct script script = {.portion = 7};
    cel_stream *s = play(&script);

    (void)arg;
    for (int i = 0; i < 20; i++) {
        pieces[i].iov_base = letters + i;
        pieces[i].iov_len = i % 5 == 4 ? 0 : 1;
    }
    CHECK_EQ(cel_stream_write(s, "<", 1, late()), 1);
    CHECK_EQ(cel_stream_writev(s, pieces, 20, late()), 16);
    CHECK_EQ(cel_stream_writev(s, pieces, 0, late()), 0);
    CHECK_EQ(cel_stream_writev(s, pieces, -1, late()), -EINVAL);
    struct iovec much[3] = {
        {letters, 1}, {letters, SSIZE_MAX}, {letters, SIZE_MAX}};
    CHECK_EQ(cel_stream_writev(s, much, 2, late()), -EINVAL);
    CHECK_EQ(cel_stream_writev(s, much, 3, late()), -EINVAL);
    CHECK_EQ(cel_stream_write(s, letters, SIZE_MAX, late()), -EINVAL);
    CHECK_EQ(script.sends, 0);
    CHECK_EQ(cel_stream_flush(s, late()), 0);
    CHECK_EQ(script.sends, 3);
    CHECK_MEM(script.sent, "<01235678abcdfghi", 17);
    CHECK_EQ(cel_stream_flush(s, late()), 0);
    CHECK_EQ(script.sends, 3);

    /* Too much for the buffer: in one call with what is there. */
    script.portion = 10 * LARGE;
    script.nsent = 0;
    CHECK_EQ(cel_stream_write(s, "head", 4, late()), 4);
    CHECK_EQ(cel_stream_write(s, big, LARGE, late()), LARGE);
    CHECK_EQ(script.sends, 4);
    CHECK_EQ(script.nsent, LARGE + 4);
    /* Just as much as it holds. */
    CHECK_EQ(cel_stream_write(s, big, LARGE, late()), LARGE);
    CHECK_EQ(script.sends, 4);
    CHECK_EQ(cel_stream_write(s, big, 1, late()), 1);
    CHECK_EQ(script.sends, 5);
    CHECK_EQ(cel_stream_close(s, late()), 0);
    CHECK_EQ(script.nsent, 2 * LARGE + 5);
    return 0;
}

TEST(writes_are_gathered)
{
    run(gathered);
}

/* More pieces than are handed over at a time, and more than the buffer. */
static int
many_pieces(void *arg)
{
    static char bytes[40][CEL__STREAM_LARGE / 16];
    struct iovec pieces[40];
    struct script script = {.portion = 1000};
    cel_stream *s = play(&script);
    size_t sum = 0;

    (void)arg;
    for (size_t i = 0; i < 40; i++) {
        pieces[i].iov_base = bytes[i];
        pieces[i].iov_len = sizeof(bytes[i]);
        sum += sizeof(bytes[i]);
    }
    CHECK_EQ(cel_stream_writev(s, pieces, 40, late()), (ssize_t)sum);
    CHECK_EQ(script.nsent, sum);
    CHECK_EQ(cel_stream_close(s, late()), 0);
    return 0;
}

TEST(many_pieces_are_sent_in_order)
{
    run(many_pieces);
}

static int
unsent(void *arg)
{
    static char big[CEL__STREAM_LARGE];
    struct script script = {.portion = 3};
    cel_stream *s = play(&script);

    (void)arg;
    CHECK_EQ(cel_stream_write(s, "abcd", 4, late()), 4);
    script.portion = 0;
    CHECK_EQ(cel_stream_flush(s, late()), -ETIMEDOUT);
    CHECK_EQ(cel_stream_write(s, "ef", 2, late()), 2);
    CHECK_EQ(cel_stream_write(s, big, LARGE, late()), -ETIMEDOUT);
    script.portion = 4;
    CHECK_EQ(cel_stream_flush(s, late()), 0);
    CHECK_MEM(script.sent, "abcdef", 6);
    script.portion = 0;
    CHECK_EQ(cel_stream_write(s, "g", 1, late()), 1);
    CHECK_EQ(cel_stream_close(s, late()), -ETIMEDOUT);
    CHECK(script.closed);
    return 0;
}

TEST(what_could_not_be_sent_stays)
{
    run(unsent);
}

static int
printing(void *arg)
{
    struct script script = {.portion = 1000};
    cel_stream *s = play(&script);

    (void)arg;
    CHECK_EQ(cel_stream_printf(s, late(), "%s", ""), 0);
    CHECK_EQ(cel_stream_printf(s, late(), "%0*d", 255, 1), 255);
    CHECK_EQ(cel_stream_printf(s, late(), "%0*d", 256, 2), 256);
    CHECK_EQ(cel_stream_printf(s, late(), "%*d", 40000, 3), 40000);
    CHECK_EQ(cel_stream_printf(s, late(), "%lc", (wint_t)0x10ffffff), -EINVAL);
    CHECK_EQ(cel_stream_close(s, late()), 0);
    CHECK_EQ(script.nsent, 40511);
    CHECK_EQ(script.sent[254], '1');
    CHECK_EQ(script.sent[0], '0');
    return 0;
}

TEST(texts_of_any_length_are_printed)
{
    run(printing);
}

static int
refused(void *arg)
{
    cel_stream_ops ops = script_ops;
    cel_stream *s = (cel_stream *)&ops;

    (void)arg;
    CHECK_EQ(cel_stream_open(&s, -1), -EBADF);
    ops.size = 8;
    CHECK_EQ(cel_stream_open_over(&s, &ops, NULL), -EINVAL);
    ops.size = sizeof(ops);
    ops.recv = NULL;
    CHECK_EQ(cel_stream_open_over(&s, &ops, NULL), -EINVAL);
    CHECK_PTR(s, (cel_stream *)&ops);
    return 0;
}

TEST(what_a_stream_can_not_stand_on_is_refused)
{
    run(refused);
}

/*
 * The buffer alone.
 */

TEST(a_buffer_moves_before_it_grows)
{
    char small[8];
    char out[8];
    struct cel__buffer b;

    cel__buffer_init(&b, small, sizeof(small));
    CHECK_EQ(cel__buffer_reserve(&b, 8, 64), 0);
    CHECK_PTR(b.data, small);
    cel__buffer_put(&b, "abcdefgh", 8);
    cel__buffer_take(&b, out, 6);
    CHECK_EQ(cel__buffer_room(&b), 0);
    CHECK_EQ(cel__buffer_reserve(&b, 6, 64), 0);
    CHECK_PTR(b.data, small);
    CHECK_MEM(cel__buffer_front(&b), "gh", 2);
    CHECK_EQ(cel__buffer_reserve(&b, 7, 64), 0);
    CHECK(b.data != small);
    CHECK_EQ(b.cap, 64);
    CHECK_MEM(cel__buffer_front(&b), "gh", 2);
    CHECK_EQ(cel__buffer_reserve(&b, 63, 0), 0);
    CHECK_EQ(b.cap, 128);
    CHECK_EQ(cel__buffer_reserve(&b, SIZE_MAX, 0), -ENOMEM);
    CHECK_MEM(cel__buffer_front(&b), "gh", 2);
    cel__buffer_clear(&b);
    CHECK_PTR(b.data, small);
    CHECK_EQ(b.len, 0);
}
