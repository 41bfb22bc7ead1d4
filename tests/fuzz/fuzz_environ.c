/* SPDX-License-Identifier: MIT */
/*
 * What the environment says, as far as it can be said more than once: which
 * backend, when it changes its mind, how long is too long.
 */
#include <celadon.h>

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "io/loop.h"
#include "pool/pool.h"
#include "see/watchdog.h"

static int ntold;

static void
tell(const char *line)
{
    ntold += strstr(line, "CELADON_WATCHDOG") != NULL;
}

/* CELADON_BACKEND: one of the names, the best, or refused with a reason. */
static void
choose_backend(const char *text)
{
    struct cel__loop loop;
    bool known = text[0] == '\0';

    for (size_t i = 0; cel__loop_backend_name(i) != NULL; i++) {
        known |= strcmp(text, cel__loop_backend_name(i)) == 0;
    }
    MUST(setenv("CELADON_BACKEND", text, 1) == 0);
    if (cel__loop_open(&loop, NULL) == 0) {
        MUST(known);
        cel__loop_close(&loop);
    }
    else {
        MUST(loop.reason != NULL);
    }
    MUST(known || cel_info_refusal(NULL) != NULL);
    MUST(unsetenv("CELADON_BACKEND") == 0);
}

/* CELADON_URING_EVENTS: whatever it is, a loop can be had. */
static void
set_events(const char *text)
{
    struct cel__loop loop;

    MUST(setenv("CELADON_URING_EVENTS", text, 1) == 0);
    if (cel__loop_open(&loop, "uring") == 0) {
        cel__loop_close(&loop);
    }
}

/* CELADON_WATCHDOG: it runs, or it was said why not. */
static void
set_watchdog(const char *text)
{
    ntold = 0;
    MUST(setenv("CELADON_WATCHDOG", text, 1) == 0);
    cel__watchdog_from_environment();
    MUST(ntold <= 1);
    cel_watchdog_stop();
}

/* CELADON_POOL_THREADS: a number that is sound, or the default. */
static void
bound_pool(const char *text)
{
    unsigned bound = cel__pool_bound(text);

    MUST(bound >= 1 && bound <= 1024);
    MUST(strspn(text, "0") != strlen(text) || bound == cel__pool_bound(NULL));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(const char *) = {
        choose_backend,
        set_events,
        set_watchdog,
        bound_pool,
    };
    char text[64];

    if (size < 1 || size > sizeof(text)) {
        return 0;
    }
    cel_log_to(tell);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    readers[data[0] % (sizeof(readers) / sizeof(readers[0]))](text);
    return 0;
}
