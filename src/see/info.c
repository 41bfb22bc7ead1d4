/* SPDX-License-Identifier: MIT */
/*
 * The report of what was chosen, and why.
 *
 * Threads: see celadon/info.h.
 *
 * Tests: unit/test_info.c
 */
#include "celadon/info.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include "io/loop.h"
#include "io/uring_probe.h"
#include "sched/worker.h"

/* See names/choice.h: a layer above, which is not linked with everybody. */
__attribute__((weak)) const char *cel__choice_report(void);

/* A text that grows; what does not fit is only counted. */
struct report {
    char *text;
    size_t size;
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void
say(struct report *report, const char *format, ...)
{
    bool fits = report->len < report->size;
    va_list args;

    va_start(args, format);
    int n = vsnprintf(fits ? report->text + report->len : NULL,
                      fits ? report->size - report->len : 0, format, args);
    va_end(args);
    report->len += n > 0 ? (size_t)n : 0;
}

const char *
cel_info_version(void)
{
    return CEL__VERSION;
}

const char *
cel_info_refusal(const char *backend)
{
    struct cel__loop loop;

    int err = cel__loop_open(&loop, backend);
    if (err == 0) {
        cel__loop_close(&loop);
        return NULL;
    }
    const char *reason = loop.reason;
    return reason != NULL ? reason : "descriptors or memory are short";
}

static void
say_backend(struct report *report, const struct cel__loop *loop,
            const char *why)
{
    say(report, "backend: %s%s\n", loop->backend->name, why);
    say(report, "files: by %s\n",
        loop->backend->files ? "requests to the kernel"
                             : "threads of the pool, for what memory lacks");
}

/* The backend of this thread's run, or of one that would begin. */
static void
say_choice(struct report *report)
{
    const struct cel__worker *worker = cel__worker();
    const char *asked = getenv("CELADON_BACKEND");
    bool named = asked != NULL && *asked != '\0';
    struct cel__loop loop;

    if (worker != NULL) {
        say_backend(report, &worker->loop, "");
    }
    else if (cel__loop_open(&loop, NULL) == 0) {
        say_backend(report, &loop,
                    named ? ", as CELADON_BACKEND says"
                          : ", the best for most");
        cel__loop_close(&loop);
    }
    else {
        const char *why = cel_info_refusal(NULL);
        say(report, "backend: none; CELADON_BACKEND=%s: %s\n",
            named ? asked : "", why != NULL ? why : "");
    }
}

size_t
cel_info_report(char *text, size_t size)
{
    struct report report = {.size = size};
    struct utsname system;
    const char *name;
    char facts[256];

    report.text = text;
    say(&report, "celadon: %s\n", CEL__VERSION);
    if (uname(&system) == 0) {
        say(&report, "system: %s %s, %s\n", system.sysname, system.release,
            system.machine);
    }
    say_choice(&report);
    for (size_t i = 0; (name = cel__loop_backend_name(i)) != NULL; i++) {
        const char *why = cel_info_refusal(name);
        say(&report, "%s: %s%s%s\n", name,
            why == NULL ? "can be had, by CELADON_BACKEND=" : "can't be had: ",
            why == NULL ? name : why,
            why == NULL && i == 0 ? ", for hundreds of busy connections" : "");
    }
    (void)cel__uring_probe_facts(facts, sizeof(facts));
    say(&report, "io_uring: %s\n", facts);
    if (cel__choice_report != NULL) {
        say(&report, "names: by %s\n", cel__choice_report());
    }
    return report.len;
}
