/* SPDX-License-Identifier: MIT */
/*
 * Lets the first, the second, the third ... system call or allocation of each
 * scenario fail, until a run has no fault left: faults [SCENARIO [N]].
 *
 * Each run is a process of its own.  It must not crash, hang, or keep more
 * descriptors and memory than a run without a fault does; after the fault the
 * same run of coroutines must work as ever, and so must the next one.  What
 * each public call returned is printed, for scripts/faults.py to compare with
 * its contract.
 *
 * In hard builds only.  The dice are CELADON_SEED's, or 1.
 */
#include "faults.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"

/* Seconds a run may take, for a machine that does other things too. */
#define LIMIT 60
/* More points than any scenario has: then there is a loop in it. */
#define MOST 3000

enum {
    EXIT_BROKEN = 3
};

/* What a process keeps at its end; shared between parent and child. */
struct kept {
    long nfds;
    long nblocks;
};

static const struct {
    const char *name;
    int code;
} errors[] = {{"ENOMEM", ENOMEM}, {"EIO", EIO}, {"EINTR", EINTR}};

static struct scenario *scenarios;
static struct kept *kept;
static struct kept base = {LONG_MAX, LONG_MAX}; /* without a fault */

/* Where coverage is measured: what exit() would write. */
void __gcov_dump(void) __attribute__((weak));

static atomic_long nblocks; /* allocated and not freed; any thread */

/* The linker has all of the engine's and the scenarios' calls come here
   (--wrap), those of the C library not. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_free(void *block);

void *
__wrap_malloc(size_t size)
{
    nblocks++;
    return __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
    nblocks++;
    return __real_calloc(count, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
    nblocks += old == NULL;
    return __real_realloc(old, size);
}

void *
__wrap_aligned_alloc(size_t alignment, size_t size)
{
    nblocks++;
    return __real_aligned_alloc(alignment, size);
}

void
__wrap_free(void *block)
{
    nblocks -= block != NULL;
    __real_free(block);
}

void
add_scenario(struct scenario *scenario)
{
    scenario->next = scenarios;
    scenarios = scenario;
}

int
note(const char *name, intmax_t result)
{
    dprintf(STDERR_FILENO, "call %s %jd\n", name, result < 0 ? result : 0);
    return (int)result;
}

void
broken(const char *what, const char *file, int line)
{
    dprintf(STDERR_FILENO, "%s:%d: %s does not hold\n", file, line, what);
    _exit(EXIT_BROKEN);
}

static long
count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    long n = 0;

    MUST(dir != NULL);
    while (readdir(dir) != NULL) {
        n++;
    }
    (void)closedir(dir);
    return n;
}

static void
healthy_echo(void *arg)
{
    int fd = *(int *)arg;
    char byte;

    MUST(cel_recv(fd, &byte, 1, 0, soon()) == 1);
    MUST(cel_send(fd, &byte, 1, 0, soon()) == 1);
    MUST(cel_close(fd) == 0);
}

static int
seven(void *arg)
{
    (void)arg;
    return 7;
}

/* Everything works. */
static int
healthy(void *arg)
{
    char byte = 'x';
    cel_coro *coro;
    cel_chan *chan;
    int fds[2];
    int value = 5;

    (void)arg;
    MUST(cel_socketpair(fds) == 0);
    MUST(cel_go(&coro, healthy_echo, &fds[1]) == 0);
    MUST(cel_yield() == 0);
    MUST(cel_send(fds[0], &byte, 1, 0, soon()) == 1);
    MUST(cel_recv(fds[0], &byte, 1, 0, soon()) == 1);
    MUST(cel_join(coro, CEL_FOREVER) == 0);
    MUST(cel_close(fds[0]) == 0);
    MUST(cel_sleep(cel_after(1000)) == 0);
    MUST(cel_chan_open(&chan, sizeof(value), 1) == 0);
    MUST(cel_chan_send(chan, &value, soon()) == 0);
    MUST(cel_chan_recv(chan, &value, soon()) == 0);
    cel_chan_close(chan);
    MUST(cel_offload(&value, seven, NULL, NULL, soon()) == 0 && value == 7);
    return 0;
}

static int
play(void *arg)
{
    const struct scenario *scenario = arg;

    scenario->run();
    /* A fault that is still to come is for the end of the run. */
    return cel__fault_pending() ? 0 : healthy(NULL);
}

/* In the child: never comes back. */
_Noreturn static void
run_in_child(struct scenario *scenario, const char *fault, int output)
{
    dup2(output, STDERR_FILENO);
    dup2(output, STDIN_FILENO);
    (void)alarm(LIMIT);
    (void)signal(SIGPIPE, SIG_IGN);
    MUST(setenv("CELADON_FAULT", fault, 1) == 0);
    MUST(setenv("CELADON_SEED", "1", 0) == 0);
    if (scenario->alone) {
        scenario->run();
    }
    else {
        (void)CALL(cel_run, play, scenario, NULL);
    }
    if (!cel__fault_pending()) {
        MUST(cel_run(healthy, NULL, NULL) == 0);
    }
    /* What threads of the pool were busy with they give back soon. */
    for (int i = 0; i < 1000; i++) {
        kept->nfds = count_fds();
        kept->nblocks = nblocks;
        if (kept->nfds <= base.nfds && kept->nblocks <= base.nblocks) {
            break;
        }
        (void)usleep(1000);
    }
    /* Who takes a zero for a descriptor has closed this one. */
    MUST(fcntl(STDIN_FILENO, F_GETFD) >= 0);
    if (__gcov_dump != NULL) {
        __gcov_dump();
    }
    _exit(0);
}

/* What a child has said, in memory of the caller's. */
static char *
read_all(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);

    MUST(text != NULL && pread(fd, text, (size_t)size, 0) == size);
    return text;
}

/* Run it; returns the status of the end, and what was said in `*said`. */
static int
run_once(struct scenario *scenario, const char *fault, char **said)
{
    int output = memfd_create("output", MFD_CLOEXEC);
    int status;

    MUST(output >= 0);
    (void)fflush(NULL);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        run_in_child(scenario, fault, output);
    }
    MUST(waitpid(child, &status, 0) == child);
    *said = read_all(output);
    (void)close(output);
    return status;
}

/* Print the calls that failed, or all, behind the point of the fault. */
static void
print_calls(char *said, const char *point, int error, bool all)
{
    for (char *line = strtok(said, "\n"); line != NULL;
         line = strtok(NULL, "\n")) {
        if (strncmp(line, "call ", 5) == 0 &&
            (all || strchr(line, '-') != NULL)) {
            printf("%s %s %d\n", line, point, error);
        }
    }
}

/* The name of the point where the fault was, or NULL. */
static const char *
point_of(const char *said)
{
    static char name[64];
    const char *at = strstr(said, "celadon: fault ");

    return at != NULL && sscanf(at, "celadon: fault %63[^:]", name) == 1
               ? name
               : NULL;
}

/* The Nth fault of a kind.  Whether all was well; `*last`: there was none. */
static bool
try_fault(struct scenario *scenario, unsigned n, int error, bool *last)
{
    const char *name = "";
    char fault[64];
    char *said;
    bool good = true;

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        name = errors[i].code == error ? errors[i].name : name;
    }
    (void)snprintf(fault, sizeof(fault), "*:%u:%s", n, name);
    int status = run_once(scenario, fault, &said);
    const char *point = point_of(said);
    if (status != 0) {
        printf("not ok %s %s (%s): status %#x\n%s", scenario->name, fault,
               point == NULL ? "no fault" : point, (unsigned)status, said);
        good = false;
    }
    else if (kept->nfds > base.nfds || kept->nblocks > base.nblocks) {
        printf("not ok %s %s (%s): keeps %ld descriptors, %ld blocks more\n%s",
               scenario->name, fault, point == NULL ? "no fault" : point,
               kept->nfds - base.nfds, kept->nblocks - base.nblocks, said);
        good = false;
    }
    else if (point != NULL) {
        printf("fault %s\n", point);
        print_calls(said, point, error, false);
    }
    free(said);
    *last = point == NULL;
    return good;
}

/* All faults of one scenario; whether it was good. */
static bool
try_scenario(struct scenario *scenario)
{
    unsigned total = 0;
    bool good = true;
    char *said;

    base.nfds = LONG_MAX;
    base.nblocks = LONG_MAX;
    int status = run_once(scenario, "none:1:EIO", &said);
    base = *kept;
    if (status != 0) {
        printf("not ok %s without a fault: status %#x\n%s", scenario->name,
               (unsigned)status, said);
        free(said);
        return false;
    }
    print_calls(said, "none", 0, true);
    free(said);
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        bool last = false;

        for (unsigned n = 1; !last; n++, total++) {
            good = try_fault(scenario, n, errors[i].code, &last) && good;
            MUST(n < MOST);
        }
    }
    printf("%s %s: %u faults\n", good ? "ok" : "not ok", scenario->name,
           total);
    return good;
}

int
main(int argc, char **argv)
{
    int npassed = 0;
    int nfailed = 0;

    kept = mmap(NULL, sizeof(*kept), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(kept != MAP_FAILED);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (struct scenario *s = scenarios; s != NULL; s = s->next) {
        if (argc > 1 && strcmp(s->name, argv[1]) != 0) {
            continue;
        }
        if (argc > 2) { /* in this process, for a debugger */
            run_in_child(s, argv[2], STDERR_FILENO);
        }
        if (try_scenario(s)) {
            npassed++;
        }
        else {
            nfailed++;
        }
    }
    printf("%d passed, %d failed\n", npassed, nfailed);
    return nfailed > 0 || npassed == 0;
}
