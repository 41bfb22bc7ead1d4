/* SPDX-License-Identifier: MIT */
/*
 * A name server for tests: a process that answers on a loopback port, by UDP
 * and TCP, what the first label of a name asks for.
 *
 *   a.…           A 192.0.2.1
 *   both.…        A 192.0.2.2, AAAA 2001:db8::2
 *   six.…         AAAA 2001:db8::6, and no A
 *   alias.…       CNAME to another, to a third, whose A is 192.0.2.3
 *   big.…         64 A records, 10.1.0.0 and on; by UDP truncated
 *   nN.…          A 10.0.0.0 + N
 *   once.…        A 10.2.0.K for the K-th question, to live for one second
 *   late.…        as a.…, but after 100 ms
 *   broken.…      SERVFAIL
 *   refused.…     REFUSED
 *   empty.…       no records
 *   gone.…        NXDOMAIN, for 300 seconds (the SOA record says)
 *   brief.…       NXDOMAIN, for one second
 *   nodata.…      no records, for 300 seconds
 *   silent.…      no answer at all
 *   others        NXDOMAIN; so are all below .nowhere.test
 *
 * Records live for 300 seconds.
 */
#ifndef CEL_TEST_DNSD_H
#define CEL_TEST_DNSD_H

#include <stdatomic.h>
#include <stdint.h>

/* What the server has seen, in memory shared with it.  What is asked over
   again, since no answer came in time, does not count: see dnsd_mark(). */
struct dnsd_seen {
    atomic_uint udp;    /* questions by UDP */
    atomic_uint tcp;    /* and by TCP */
    atomic_uint silent; /* and those left without an answer */
    atomic_uint marks;  /* calls of dnsd_mark() that it has obeyed */
};

/*
 * Start the server, which ends with the test, and tell the library of it by
 * CELADON_DNS; c-ares is chosen, no search list.  To be called before
 * cel_run().
 */
const struct dnsd_seen *dnsd_start(void);

/*
 * From here on a question counts that was asked before.  On a busy machine
 * whoever asks may ask again before an answer comes, as often as it likes.
 */
void dnsd_mark(void);

#endif
