/* SPDX-License-Identifier: MIT */
/*
 * Answers that say that there is nothing (RFC 1035, 4; RFC 2308).
 *
 * Threads: see negative.h.
 *
 * Tests: unit/test_negative.c, fuzz/fuzz_negative.c
 */
#include "names/negative.h"

enum {
    HEAD = 12,        /* bytes of the header */
    RECORD = 10,      /* bytes between a record's name and its data */
    TRUNCATED = 0x02, /* in byte 2 */
    RESPONSE = 0x80,  /* in byte 2 */
    CODE = 0x0f,      /* in byte 3 */
    NXDOMAIN = 3,
    TYPE_A = 1,
    TYPE_SOA = 6,
    TYPE_AAAA = 28,
    SOA_LEAST = 2 + 20 /* bytes of its data: two names, five numbers */
};

/* What is left of a message.  Invariant: at <= len. */
struct reader {
    const uint8_t *bytes;
    size_t len;
    size_t at;
};

struct record {
    unsigned type;
    uint32_t ttl;
    const uint8_t *data;
    size_t len;
};

static unsigned
get16(const uint8_t *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

static uint32_t
get32(const uint8_t *bytes)
{
    return (uint32_t)get16(bytes) << 16 | get16(bytes + 2);
}

/* Go on behind a name.  False: it does not end. */
static bool
skip_name(struct reader *reader)
{
    while (reader->at < reader->len) {
        size_t label = reader->bytes[reader->at++];
        if (label == 0) {
            return true;
        }
        if (label >= 0xc0) { /* the rest is elsewhere: the second byte says */
            return reader->at++ < reader->len;
        }
        if (label > reader->len - reader->at) {
            return false;
        }
        reader->at += label;
    }
    return false;
}

/* The question's name as text.  False: it is none of a host. */
static bool
read_name(struct reader *reader, char name[CEL__NEGATIVE_NAME])
{
    size_t n = 0;

    while (reader->at < reader->len) {
        size_t label = reader->bytes[reader->at++];
        if (label == 0) {
            name[n > 0 ? n - 1 : 0] = '\0';
            return n > 0;
        }
        if (label > 63 || label > reader->len - reader->at ||
            label + 1 > CEL__NEGATIVE_NAME - n) {
            return false;
        }
        for (size_t i = 0; i < label; i++) {
            char c = (char)reader->bytes[reader->at++];
            if (c == '\0' || c == '.') {
                return false;
            }
            name[n++] = c;
        }
        name[n++] = '.';
    }
    return false;
}

static bool
read_record(struct reader *reader, struct record *record)
{
    if (!skip_name(reader) || reader->len - reader->at < RECORD) {
        return false;
    }
    const uint8_t *head = reader->bytes + reader->at;
    record->type = get16(head);
    record->ttl = get32(head + 4);
    record->len = get16(head + 8);
    record->data = head + RECORD;
    reader->at += RECORD;
    if (record->len > reader->len - reader->at) {
        return false;
    }
    reader->at += record->len;
    return true;
}

/* What the first SOA of `n` records says; 0: there is none. */
static uint32_t
find_ttl(struct reader *reader, unsigned n)
{
    struct record record;

    for (; n > 0 && read_record(reader, &record); n--) {
        if (record.type == TYPE_SOA && record.len >= SOA_LEAST) {
            uint32_t least = get32(record.data + record.len - 4);
            /* RFC 2181, 8: such a time is no time. */
            if (least > INT32_MAX || record.ttl > INT32_MAX) {
                return 0;
            }
            return least < record.ttl ? least : record.ttl;
        }
    }
    return 0;
}

bool
cel__negative_read(const void *message, size_t len,
                   char name[CEL__NEGATIVE_NAME], uint32_t *ttl)
{
    struct reader reader = {message, len, HEAD};
    const uint8_t *head = message;
    struct record record;

    if (len < HEAD || (head[2] & RESPONSE) == 0 ||
        (head[2] & TRUNCATED) != 0 || get16(head + 4) != 1) {
        return false;
    }
    unsigned code = head[3] & CODE;
    if ((code != 0 && code != NXDOMAIN) || !read_name(&reader, name) ||
        reader.len - reader.at < 4) {
        return false;
    }
    unsigned type = get16(reader.bytes + reader.at);
    reader.at += 4;
    if (type != TYPE_A && type != TYPE_AAAA) {
        return false;
    }
    /* Aliases may come first, and lead to nothing. */
    for (unsigned n = get16(head + 6); n > 0; n--) {
        if (!read_record(&reader, &record) || record.type == type) {
            return false;
        }
    }
    *ttl = find_ttl(&reader, get16(head + 8));
    return true;
}
