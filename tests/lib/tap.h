/* SPDX-License-Identifier: MIT */
/*
 * A small test harness that prints TAP.
 *
 * A test is a function written as TEST(sentence_about_behaviour) { … }; it
 * registers itself.  Each runs in a process and a process group of its own,
 * which is killed when the test ends or after 30 seconds, times the number in
 * CELADON_TEST_SLOW, or when the harness is killed; its files go then too.
 * What it prints is shown only when it fails.  A test fails when a check does,
 * when it dies by a signal, or when it exits with anything but 0 (so a leak
 * that LeakSanitizer reports at exit fails it).
 *
 *   test_x              runs all tests
 *   test_x NAME...      runs those
 *   test_x -l           lists them
 *   test_x -n NAME      runs one in this very process, for a debugger
 *
 * The last line is "N passed, N failed, N skipped"; the exit status is 0, 1,
 * or 77 when every test was skipped.
 *
 * Threads: a check may be made on any thread and any stack of the test.
 */
#ifndef CEL_TAP_H
#define CEL_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tap__test {
    const char *name;
    void (*run)(void);
    struct tap__test *next;
};

#define TEST(sentence)                                                        \
    static void sentence(void);                                               \
    __attribute__((constructor)) static void tap__add_##sentence(void)        \
    {                                                                         \
        static struct tap__test self = {#sentence, sentence, NULL};           \
        tap__add(&self);                                                      \
    }                                                                         \
    static void sentence(void)

/* Ends the test; it counts as skipped, for the reason given. */
#define SKIP(why) tap__skip(why)

/* Ends the test as failed. */
#define FAIL(...) tap__fail(__FILE__, __LINE__, __VA_ARGS__)

/* Each ends the test when it does not hold, and shows both sides. */
#define CHECK(cond)                                                           \
    ((cond) ? (void)0                                                         \
            : tap__fail(__FILE__, __LINE__, "%s does not hold", #cond))
#define CHECK_EQ(a, b)  CHECK_INT_(a, ==, b, TAP__EQ)
#define CHECK_NE(a, b)  CHECK_INT_(a, !=, b, TAP__NE)
#define CHECK_LT(a, b)  CHECK_INT_(a, <, b, TAP__LT)
#define CHECK_LE(a, b)  CHECK_INT_(a, <=, b, TAP__LE)
#define CHECK_GT(a, b)  CHECK_INT_(a, >, b, TAP__GT)
#define CHECK_GE(a, b)  CHECK_INT_(a, >=, b, TAP__GE)
#define CHECK_PTR(a, b) tap__check_ptr(__FILE__, __LINE__, #a " == " #b, a, b)
#define CHECK_STR(a, b) tap__check_str(__FILE__, __LINE__, #a " == " #b, a, b)
#define CHECK_MEM(a, b, len)                                                  \
    tap__check_mem(__FILE__, __LINE__, #a " == " #b, a, b, len)

/* No block and no variable of its own: checks that count them see the
   test's alone. */
#define CHECK_INT_(a, sign, b, relation)                                      \
    tap__check_int(__FILE__, __LINE__, #a " " #sign " " #b, relation,         \
                   (intmax_t)(a), (intmax_t)(b))

enum tap__relation {
    TAP__EQ,
    TAP__NE,
    TAP__LT,
    TAP__LE,
    TAP__GT,
    TAP__GE
};

/* The number in CELADON_TEST_SLOW, 1 without it: by how much a bound on real
   time is to be stretched. */
double tap_slow(void);

/* Whether valgrind runs the test. */
bool tap_valgrind(void);

/* The path of `name` in a folder of the test's own, which goes when the test
   ends, with all that is in it.  Good until the fourth call after it. */
const char *tap_path(const char *name);

/* The same, of a file that has `text`. */
const char *tap_save(const char *name, const char *text);

void tap__add(struct tap__test *test);
_Noreturn void tap__skip(const char *why);
_Noreturn void tap__fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void tap__check_int(const char *file, int line, const char *text,
                    enum tap__relation relation, intmax_t a, intmax_t b);
void tap__check_ptr(const char *file, int line, const char *text,
                    const void *a, const void *b);
void tap__check_str(const char *file, int line, const char *text,
                    const char *a, const char *b);
void tap__check_mem(const char *file, int line, const char *text,
                    const void *a, const void *b, size_t len);

#endif
