/* SPDX-License-Identifier: MIT */
/*
 * The test harness: see tap.h for its use.
 *
 * The parent runs one child at a time and waits for SIGCHLD with a timeout.
 * A child writes to an unlinked file instead of a pipe, so that a grandchild
 * that holds it open cannot delay the parent.  The reason of a skip comes
 * back through a page that both share.
 *
 * A failing check leaves by _exit(): it may stand on a coroutine's stack, and
 * what the test had open would only be reported as leaks.  A test that
 * returns leaves by exit(), so that LeakSanitizer has its say.
 */
#include "tap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sweep.h"

/* For those that hang: beside much else a test that computes for half a second
   takes ten, and most compute for a hundredth of that. */
#define LIMIT_SECONDS 30.0
#define EXIT_SKIPPED  77

/* What a child tells its parent. */
struct shared {
    char why[256]; /* of a skip */
};

enum outcome {
    PASSED,
    FAILED,
    SKIPPED
};

static struct tap__test *first;
static struct tap__test **end = &first;
static struct shared *shared;
static pid_t harness; /* the process that runs the tests */

bool
tap_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");

    return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

double
tap_slow(void)
{
    const char *text = getenv("CELADON_TEST_SLOW");
    double slow = text != NULL ? strtod(text, NULL) : 1.0;

    return slow > 0.0 ? slow : 1.0;
}

const char *
tap_path(const char *name)
{
    static char paths[4][64];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    const char *folder = sweep_folder();

    CHECK(folder != NULL);
    int len = snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    CHECK_LT(len, sizeof(paths[0]));
    return path;
}

const char *
tap_save(const char *name, const char *text)
{
    const char *path = tap_path(name);
    size_t len = strlen(text);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK_GE(fd, 0);
    CHECK_EQ(write(fd, text, len), len);
    CHECK_EQ(close(fd), 0);
    return path;
}

void
tap__add(struct tap__test *test)
{
    *end = test;
    end = &test->next;
}

void
tap__skip(const char *why)
{
    (void)snprintf(shared->why, sizeof(shared->why), "%s", why);
    _exit(EXIT_SKIPPED);
}

void
tap__fail(const char *file, int line, const char *format, ...)
{
    va_list args;

    /* Past stdio's buffers, which may hold what the test printed. */
    (void)fflush(stdout);
    dprintf(STDERR_FILENO, "%s:%d: ", file, line);
    va_start(args, format);
    vdprintf(STDERR_FILENO, format, args);
    va_end(args);
    dprintf(STDERR_FILENO, "\n");
    _exit(1);
}

void
tap__check_int(const char *file, int line, const char *text,
               enum tap__relation relation, intmax_t a, intmax_t b)
{
    bool holds = false;

    switch (relation) {
    case TAP__EQ:
        holds = a == b;
        break;
    case TAP__NE:
        holds = a != b;
        break;
    case TAP__LT:
        holds = a < b;
        break;
    case TAP__LE:
        holds = a <= b;
        break;
    case TAP__GT:
        holds = a > b;
        break;
    case TAP__GE:
        holds = a >= b;
        break;
    }
    if (!holds) {
        tap__fail(file, line, "%s does not hold: %jd, %jd", text, a, b);
    }
}

void
tap__check_ptr(const char *file, int line, const char *text, const void *a,
               const void *b)
{
    if (a != b) {
        tap__fail(file, line, "%s does not hold: %p, %p", text, a, b);
    }
}

void
tap__check_str(const char *file, int line, const char *text, const char *a,
               const char *b)
{
    if (a == NULL || b == NULL) {
        if (a != b) {
            tap__fail(file, line, "%s does not hold: one is NULL", text);
        }
        return;
    }
    if (strcmp(a, b) != 0) {
        tap__fail(file, line, "%s does not hold: \"%s\", \"%s\"", text, a, b);
    }
}

void
tap__check_mem(const char *file, int line, const char *text, const void *a,
               const void *b, size_t len)
{
    const unsigned char *x = a;
    const unsigned char *y = b;

    for (size_t i = 0; i < len; i++) {
        if (x[i] != y[i]) {
            tap__fail(file, line, "%s: byte %zu of %zu differs: %#x, %#x",
                      text, i, len, x[i], y[i]);
        }
    }
}

/* Print the child's output, each line behind "# ". */
static void
show(FILE *output)
{
    bool at_start = true;
    int c;

    rewind(output);
    while ((c = getc(output)) != EOF) {
        if (at_start) {
            (void)fputs("# ", stdout);
        }
        putchar(c);
        at_start = c == '\n';
    }
    if (!at_start) {
        putchar('\n');
    }
}

/* Where coverage is measured: what exit() would write. */
void __gcov_dump(void) __attribute__((weak));

static void
dump_coverage(int signo)
{
    __gcov_dump();
    (void)raise(signo); /* SA_RESETHAND: as without a handler */
}

/* A test that dies, as some mean to, has its lines counted too. */
static void
count_the_dying(void)
{
    static const int deadly[] = {SIGABRT, SIGBUS, SIGSEGV};
    struct sigaction action = {.sa_handler = dump_coverage};

    action.sa_flags = (int)SA_RESETHAND | SA_ONSTACK | SA_NODEFER;
    for (int i = 0; __gcov_dump != NULL && i < 3; i++) {
        (void)sigaction(deadly[i], &action, NULL);
    }
}

/* In the child: run the test and never come back. */
_Noreturn static void
run_in_child(const struct tap__test *test, FILE *output, const sigset_t *mask)
{
    setpgid(0, 0);
    sweep_expect(getpid());
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != harness) {
        _exit(1); /* it died before that */
    }
    sigprocmask(SIG_SETMASK, mask, NULL);
    dup2(fileno(output), STDOUT_FILENO);
    dup2(fileno(output), STDERR_FILENO);
    count_the_dying();
    test->run();
    exit(0);
}

/* Wait for the child; false when it did not end in time and was killed. */
static bool
wait_for(pid_t child, double seconds, int *status)
{
    struct timespec now;
    sigset_t chld;

    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    clock_gettime(CLOCK_MONOTONIC, &now);
    double deadline = (double)now.tv_sec + (double)now.tv_nsec / 1e9 + seconds;
    while (waitpid(child, status, WNOHANG) == 0) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        double left = deadline - (double)now.tv_sec -
                      (double)now.tv_nsec / 1e9;
        if (left <= 0.0) {
            kill(child, SIGKILL);
            waitpid(child, status, 0);
            return false;
        }
        struct timespec span = {(time_t)left, 0};
        span.tv_nsec = (long)((left - (double)span.tv_sec) * 1e9);
        sigtimedwait(&chld, NULL, &span);
    }
    return true;
}

/* What the status means; the reason of a failure goes to `why`. */
static enum outcome
judge(int status, bool in_time, double limit, char *why, size_t size)
{
    if (!in_time) {
        (void)snprintf(why, size, "not done after %.0f s: killed", limit);
        return FAILED;
    }
    if (WIFSIGNALED(status)) {
        (void)snprintf(why, size, "killed by signal %d (%s)", WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
        return FAILED;
    }
    if (WEXITSTATUS(status) == EXIT_SKIPPED && shared->why[0] != '\0') {
        return SKIPPED;
    }
    if (WEXITSTATUS(status) != 0) {
        (void)snprintf(why, size, "exit status %d", WEXITSTATUS(status));
        return FAILED;
    }
    return PASSED;
}

/* Run one test in its own process and print its line. */
static enum outcome
run_one(const struct tap__test *test, int number)
{
    double limit = LIMIT_SECONDS * tap_slow();
    char why[128] = "";
    sigset_t chld;
    sigset_t old;
    int status = 0;

    FILE *output = tmpfile();
    if (output == NULL) {
        perror("tmpfile");
        exit(1);
    }
    shared->why[0] = '\0';
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, &old);
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        run_in_child(test, output, &old);
    }
    if (child < 0) {
        perror("fork");
        exit(1);
    }
    bool in_time = wait_for(child, limit, &status);
    sweep();
    sigprocmask(SIG_SETMASK, &old, NULL);

    enum outcome outcome = judge(status, in_time, limit, why, sizeof(why));
    if (outcome == FAILED) {
        printf("not ok %d - %s\n# %s\n", number, test->name, why);
        show(output);
    }
    else if (outcome == SKIPPED) {
        printf("ok %d - %s # SKIP %s\n", number, test->name, shared->why);
    }
    else {
        printf("ok %d - %s\n", number, test->name);
    }
    (void)fclose(output);
    return outcome;
}

static struct tap__test *
find(const char *name)
{
    for (struct tap__test *t = first; t != NULL; t = t->next) {
        if (strcmp(t->name, name) == 0) {
            return t;
        }
    }
    (void)fprintf(stderr, "no test of the name %s; -l lists them\n", name);
    exit(1);
}

static int
list(void)
{
    for (struct tap__test *t = first; t != NULL; t = t->next) {
        puts(t->name);
    }
    return 0;
}

int
main(int argc, char **argv)
{
    int counts[3] = {0, 0, 0};
    int number = 0;

    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    if (argc == 2 && strcmp(argv[1], "-l") == 0) {
        return list();
    }
    harness = getpid();
    sweep_start();
    if (argc == 3 && strcmp(argv[1], "-n") == 0) {
        find(argv[2])->run();
        return 0;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1) {
        printf("1..%d\n", argc - 1);
        for (int i = 1; i < argc; i++) {
            counts[run_one(find(argv[i]), ++number)]++;
        }
    }
    else {
        for (struct tap__test *t = first; t != NULL; t = t->next) {
            counts[run_one(t, ++number)]++;
        }
        printf("1..%d\n", number);
    }
    printf("%d passed, %d failed, %d skipped\n", counts[PASSED],
           counts[FAILED], counts[SKIPPED]);
    if (counts[FAILED] > 0) {
        return 1;
    }
    return counts[PASSED] > 0 || number == 0 ? 0 : EXIT_SKIPPED;
}
