/* SPDX-License-Identifier: MIT */
/* The probes are in the program's notes, where tracers look for them. */
#include "base/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "celadon/run.h"
#include "tap.h"

static char notes[1 << 20];

static void
read_notes(void)
{
    FILE *pipe = popen("readelf -n /proc/$PPID/exe 2>&1", "r"); /* NOLINT */

    CHECK(pipe != NULL);
    size_t len = fread(notes, 1, sizeof(notes) - 1, pipe);
    notes[len] = '\0';
    (void)pclose(pipe);
}

TEST(every_probe_has_a_note)
{
    static const char *const names[] = {"spawn", "switch", "park", "wake",
                                        "io",    "timer",  "end"};
    char line[64];

    /* The engine is in this program. */
    CHECK(cel_self() == NULL);
    if (!CEL__HAVE_SDT) {
        SKIP("built without sys/sdt.h");
    }
    if (tap_valgrind()) {
        SKIP("the program that runs is valgrind's");
    }
    read_notes();
    if (strstr(notes, "Displaying notes") == NULL) {
        SKIP("no readelf");
    }
    CHECK(strstr(notes, "Provider: celadon\n") != NULL);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(line, sizeof(line), "Name: %s\n", names[i]);
        if (strstr(notes, line) == NULL) {
            FAIL("no probe %s", names[i]);
        }
    }
}
