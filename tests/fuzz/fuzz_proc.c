/* SPDX-License-Identifier: MIT */
/*
 * What the command reads of a process in /proc: the environment, and the line
 * that has the signals it handles.
 */
#include <stdint.h>

#define CEL__GDB_SCRIPT ""
#define main            command_main
int command_main(int argc, char **argv);
/* NOLINTNEXTLINE(bugprone-suspicious-include) */
#include "../../tools/celadon.c"
#undef main

#include "fuzz.h"

/* As has_setting(), by another way: `text` has a 0 byte before and after. */
static bool
stands_there(const char *text, size_t size)
{
    static const char setting[] = "\0CELADON_DUMP=1";

    return memmem(text, size, setting, sizeof(setting)) != NULL;
}

/* A mask that was written as the kernel does is read as it was meant. */
static void
read_mask(uint64_t mask)
{
    char status[64];

    (void)snprintf(status, sizeof(status), "Name:\tx\nSigCgt:\t%016llx\n",
                   (unsigned long long)mask);
    MUST(handles_signal(status) == ((mask >> (SIGQUIT - 1) & 1) != 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[4096];
    uint64_t mask = 0;

    if (size > sizeof(text) - 2) {
        return 0;
    }
    memset(text, 0, sizeof(text));
    memcpy(text + 1, data, size);
    MUST(has_setting(text + 1, (ssize_t)size) == stands_there(text, size + 2));
    MUST(!has_setting(text + 1, -1));
    MUST(!handles_signal(text + 1) || strstr(text + 1, "SigCgt:") != NULL);
    memcpy(&mask, data, size < sizeof(mask) ? size : sizeof(mask));
    read_mask(mask);
    return 0;
}
