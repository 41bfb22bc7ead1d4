/* SPDX-License-Identifier: MIT */
/*
 * Places that tracers (bpftrace, perf, SystemTap, gdb) can stop at without
 * slowing down anybody else: USDT probes of the provider `celadon`.
 *
 *     bpftrace -e 'usdt:./libceladon.so.0:celadon:spawn { @ = count(); }'
 *
 * Each is one nop and a note in the file.  Arguments are what lies in
 * registers anyway: a coroutine is given by its address, from which a tracer
 * that wants more reads it.
 *
 * Threads: any.
 */
#ifndef CEL_PROBE_H
#define CEL_PROBE_H

#if CEL__HAVE_SDT
#include <sys/sdt.h>
#if defined(__clang__)
/* Their macros end in an empty list of arguments. */
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#endif
#define CEL__PROBE1(name, a)       DTRACE_PROBE1(celadon, name, a)
#define CEL__PROBE2(name, a, b)    DTRACE_PROBE2(celadon, name, a, b)
#define CEL__PROBE3(name, a, b, c) DTRACE_PROBE3(celadon, name, a, b, c)
#else
#define CEL__PROBE1(name, a)       ((void)(a))
#define CEL__PROBE2(name, a, b)    ((void)(a), (void)(b))
#define CEL__PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#endif

#endif
