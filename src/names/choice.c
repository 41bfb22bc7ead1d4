/* SPDX-License-Identifier: MIT */
/*
 * Who looks names up.
 *
 * c-ares knows the hosts file and name servers.  A system may have names from
 * elsewhere (multicast, containers, a directory), by modules of the C
 * library, which only that one can ask.
 *
 * Threads: see choice.h.
 *
 * Tests: unit/test_choice.c
 */
#include "names/choice.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NSSWITCH "/etc/nsswitch.conf"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool is_ares;
static char report[128];

/* The part of the line "hosts: …" behind the colon, or NULL. */
static char *
hosts_of(char *line)
{
    line += strspn(line, " \t");
    if (strncmp(line, "hosts", 5) != 0) {
        return NULL;
    }
    line += 5 + strspn(line + 5, " \t");
    if (*line != ':') {
        return NULL;
    }
    line[strcspn(line, "#\n")] = '\0';
    return line + 1;
}

/* The first source in `text` that is neither a file nor name servers; what
   stands in brackets tells what to do between two. */
static const char *
stranger_in(char *text)
{
    char *rest;
    bool bracket = false;

    for (char *word = strtok_r(text, " \t", &rest); word != NULL;
         word = strtok_r(NULL, " \t", &rest)) {
        bracket |= *word == '[';
        if (!bracket && strcmp(word, "files") != 0 &&
            strcmp(word, "dns") != 0) {
            return word;
        }
        if (strchr(word, ']') != NULL) {
            bracket = false;
        }
    }
    return NULL;
}

bool
cel__choice_stranger(const char *path, char *word, size_t size)
{
    FILE *file = fopen(path, "re");
    bool found = false;
    char line[256];

    if (file == NULL) {
        return false;
    }
    while (!found && fgets(line, sizeof(line), file) != NULL) {
        char *hosts = hosts_of(line);
        const char *stranger = hosts == NULL ? NULL : stranger_in(hosts);
        if (stranger != NULL) {
            (void)snprintf(word, size, "%s", stranger);
            found = true;
        }
    }
    (void)fclose(file);
    return found;
}

static void
say(bool ares, const char *why, const char *what)
{
    is_ares = ares;
    (void)snprintf(report, sizeof(report), "%s, %s%s",
                   ares ? "c-ares" : "the C library, on threads of the pool",
                   why, what);
}

static void
choose(void)
{
    const char *asked = getenv("CELADON_RESOLVER");
    const char *servers = getenv("CELADON_DNS");
    char word[32];

    if (!CEL__HAVE_ARES) {
        say(false, "built without c-ares", "");
    }
    else if (asked != NULL && strcmp(asked, "system") == 0) {
        say(false, "as CELADON_RESOLVER says", "");
    }
    else if (asked != NULL && strcmp(asked, "ares") == 0) {
        say(true, "as CELADON_RESOLVER says", "");
    }
    else if (servers != NULL && *servers != '\0') {
        say(true, "asking ", servers);
    }
    else if (cel__choice_stranger(NSSWITCH, word, sizeof(word))) {
        say(false, NSSWITCH " also wants ", word);
    }
    else {
        say(true, "no thread for a look-up", "");
    }
}

bool
cel__choice_is_ares(void)
{
    (void)pthread_once(&once, choose);
    return is_ares;
}

const char *
cel__choice_report(void)
{
    (void)pthread_once(&once, choose);
    return report;
}
