/* SPDX-License-Identifier: MIT */
/*
 * What the benchmark's C programs share: a clock, a way to give up, as many
 * descriptors as the system allows, and the JSON line they end in.
 *
 * These programs depend on nothing of Celadon, so that a fault in the library
 * cannot flatter or harm the yardstick.
 */
#ifndef BENCH_TOOL_H
#define BENCH_TOOL_H

#include <stddef.h>
#include <stdint.h>

/** Print the message, and errno's if it is set, and exit with status 1. */
_Noreturn void tool_die(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/** CLOCK_MONOTONIC in nanoseconds. */
uint64_t tool_now(void);

/** Processor time of this process in nanoseconds, user and system. */
uint64_t tool_cpu(void);

/** Raise the soft limit of open descriptors to the hard one. */
void tool_raise_nofile(void);

/** The number in `text`, which must lie in low..high; else tool_die(). */
double tool_number(const char *what, const char *text, double low,
                   double high);

/** A non-blocking TCP listener on 127.0.0.1:`port`. */
int tool_listen(int port, int backlog);

#endif
