/* SPDX-License-Identifier: MIT */
/*
 * Plays a script: starts a program, talks to it over connections, and checks
 * what it says.  The tutorial shows the same scripts to its readers.
 *
 *     $ ./program ARGS        is started, in the folder of CELADON_EXAMPLES,
 *                             and is to end by itself, with status 0
 *     $ NAME=x ./program &    a server, with something in its environment
 *     $ kill -TERM %1         it is sent SIGTERM, and is to end, with status 0
 *     $ kill -QUIT %1         it is sent SIGQUIT
 *     ada> some words         typed by ada, who connects when first named
 *     ada> (end)              she closes her connection
 *     ada: some words         she is sent this line
 *     ada: (end)              her connection is closed
 *     anything else           a line of the program's output or errors
 *     … some words …          lines up to one that has these words
 *
 * Threads: one, that runs no coroutines.
 */
#ifndef CEL_TEST_PLAY_H
#define CEL_TEST_PLAY_H

#include <stdbool.h>

#include "celadon/stream.h"

/* A word of the script that stands for another. */
struct alias {
    const char *word;
    const char *is;
};

/* How a script is played. */
struct play {
    const char *script; /* its name in the folder of CELADON_SCRIPTS */
    bool any_order;     /* of lines of output that follow one another */
    /* More words, beside the address 127.0.0.1:7000; ended by NULLs. */
    const struct alias *aliases;
    /* Makes a stream of a connection; NULL: cel_stream_open(). */
    int (*open)(cel_stream **out, int fd);
};

/* Fails the test where something else comes than the script says. */
void play(const struct play *how);

#endif
