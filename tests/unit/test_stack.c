/* SPDX-License-Identifier: MIT */
/*
 * Stacks: their layout, guards, pool, what they cost, and old kernels.
 *
 * A kernel without MADV_GUARD_INSTALL is had by a seccomp filter that refuses
 * it, and one with few mappings left by nothing more than many stacks.
 */
#include "coro/stack.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "celadon/see.h"
#include "see/depth.h"
#include "tap.h"

enum {
    PAGE = 4096
};

/* Not on a test's stack: one that ends with stacks in use leaks nothing. */
static struct cel__stackpool pool;

static struct cel__stack
take(void)
{
    CHECK_EQ(cel__stackpool_reserve(&pool), 0);
    struct cel__stack stack;
    cel__stackpool_take(&pool, &stack);
    return stack;
}

static void
need_small_pages(void)
{
    if (sysconf(_SC_PAGESIZE) != PAGE) {
        SKIP("pages are not of 4 KiB");
    }
}

/* Pages of [from, to) that are there. */
static size_t
resident(char *from, const char *to)
{
    unsigned char pages[256];
    size_t n = (size_t)(to - from) / PAGE;
    size_t count = 0;

    CHECK_LE(n, sizeof(pages));
    CHECK_EQ(mincore(from, n * PAGE, pages), 0);
    for (size_t i = 0; i < n; i++) {
        count += pages[i] & 1;
    }
    return count;
}

static char *
page_of(const char *at)
{
    return (char *)((uintptr_t)at & ~(uintptr_t)(PAGE - 1));
}

TEST(sizes_are_rounded_to_an_odd_number_of_pages)
{
    static const size_t sizes[] = {0, 1, 16384, 20000, 65536, 262144};

    need_small_pages();
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (size_t tail = 0; tail < 70000; tail += 33000) {
            cel__stackpool_init(&pool, sizes[i], tail);
            CHECK_GE(pool.size, sizes[i]);
            CHECK_GE(pool.size, 16384);
            CHECK_GE(pool.tail, tail);
            CHECK_EQ(pool.size % PAGE, 0);
            CHECK_EQ(pool.tail % PAGE, 0);
            CHECK_EQ((pool.size + pool.tail) / PAGE % 2, 1);
            cel__stackpool_fini(&pool);
        }
    }
}

TEST(stacks_do_not_overlap_and_are_usable_from_end_to_end)
{
    enum {
        N = 200
    };
    struct cel__stack stacks[N];

    cel__stackpool_init(&pool, 16384, 8192);
    for (int i = 0; i < N; i++) {
        stacks[i] = take();
        CHECK_EQ((uintptr_t)stacks[i].top % 16, 0);
        CHECK_GE(stacks[i].end - stacks[i].top, 8192);
        CHECK_GE(stacks[i].top - stacks[i].low, 16384 - 2 * PAGE);
        memset(stacks[i].low, i, (size_t)(stacks[i].end - stacks[i].low));
    }
    for (int i = 0; i < N; i++) {
        for (const char *at = stacks[i].low; at < stacks[i].end; at++) {
            if (*at != (char)i) {
                FAIL("stack %d was written to", i);
            }
        }
        cel__stackpool_give(&pool, &stacks[i]);
    }
    cel__stackpool_fini(&pool);
}

TEST(neighbours_begin_in_different_cache_lines_of_the_same_page)
{
    enum {
        N = 32
    };
    size_t seen[N];

    if (CEL__HARD) {
        SKIP("slabs of two");
    }
    cel__stackpool_init(&pool, 65536, 0);
    for (size_t i = 0; i < N; i++) {
        struct cel__stack stack = take();
        /* How far below the end of the page. */
        seen[i] = (PAGE - (uintptr_t)stack.top % PAGE) % PAGE;
        CHECK_EQ(seen[i] % 64, 0);
        CHECK_LT(seen[i], PAGE / 2);
        CHECK_EQ((uintptr_t)stack.end % PAGE, 0);
        CHECK_EQ((size_t)(stack.end - stack.top), seen[i]);
        for (size_t k = 0; k < i; k++) {
            CHECK_NE(seen[i], seen[k]);
        }
    }
}

TEST(with_a_tail_both_sides_find_room_in_the_page_they_share)
{
    need_small_pages();
    cel__stackpool_init(&pool, 65536, 65536);
    for (int i = 0; i < 70; i++) {
        struct cel__stack stack = take();
        const char *page = page_of(stack.top);

        CHECK_GE(stack.top - page, 2560);
        CHECK_GE(page + PAGE - stack.top, 1280);
        CHECK_GE(stack.end - stack.top, 65536);
        memset(stack.top - 2560, 1, 2560 + 1280);
        CHECK_EQ(resident(page_of(stack.low), page_of(stack.end)), 1);
    }
}

TEST(a_stack_taken_costs_no_page_until_it_is_used_and_one_then)
{
    need_small_pages();
    cel__stackpool_init(&pool, 65536, 0);
    struct cel__stack stack = take();
    char *end = page_of(stack.top - 1) + PAGE;
    CHECK_EQ(resident(stack.low, end), 0);
    memset(stack.top - 1000, 1, 1000);
    CHECK_EQ(resident(stack.low, end), 1);
    cel__stackpool_give(&pool, &stack);
    CHECK_EQ(resident(stack.low, end), 1);
    cel__stackpool_fini(&pool);
}

TEST(the_stack_given_back_last_is_taken_first)
{
    cel__stackpool_init(&pool, 16384, 0);
    struct cel__stack a = take();
    struct cel__stack b = take();
    cel__stackpool_give(&pool, &a);
    cel__stackpool_give(&pool, &b);
    struct cel__stack again = take();
    CHECK_PTR(again.top, b.top);
    CHECK_PTR(again.low, b.low);
    CHECK_PTR(again.end, b.end);
    CHECK_PTR(take().top, a.top);
    CHECK_EQ(pool.nfree, 0);
}

TEST(a_promise_holds_and_may_be_given_back)
{
    cel__stackpool_init(&pool, 16384, 0);
    for (int i = 0; i < 300; i++) {
        CHECK_EQ(cel__stackpool_reserve(&pool), 0);
    }
    CHECK_GE(pool.nfresh, 300);
    CHECK_EQ(pool.nspare, pool.nfresh - 300);
    for (int i = 0; i < 300; i++) {
        cel__stackpool_release(&pool);
    }
    size_t made = pool.nmade;
    for (int i = 0; i < 300; i++) {
        CHECK_EQ(cel__stackpool_reserve(&pool), 0);
    }
    CHECK_EQ(pool.nmade, made);
    for (int i = 0; i < 300; i++) {
        struct cel__stack stack;
        cel__stackpool_take(&pool, &stack);
        *stack.low = 1;
    }
    CHECK_EQ(pool.nmade, made);
}

TEST(a_stack_used_deeply_gives_its_lower_pages_back)
{
    enum {
        N = 400
    };
    static struct cel__stack stacks[N];
    size_t kept = 0;

    need_small_pages();
    cel__stackpool_init(&pool, 65536, 65536);
    for (int i = 0; i < N; i++) {
        stacks[i] = take();
        memset(stacks[i].top - 30000, 1, 60000);
    }
    for (int i = 0; i < N; i++) {
        cel__stackpool_give(&pool, &stacks[i]);
    }
    /* Of the first few that come back no sample is taken yet. */
    for (int i = 100; i < N; i++) {
        char *shared = page_of(stacks[i].top);

        CHECK_EQ(resident(stacks[i].low, shared - PAGE), 0);
        CHECK_EQ(resident(shared + PAGE + PAGE, stacks[i].end), 0);
        kept += resident(shared - PAGE, shared + PAGE + PAGE);
    }
    CHECK_EQ(kept, 300 * 3);
    cel__stackpool_fini(&pool);
}

TEST(a_stack_in_steady_use_keeps_its_pages)
{
    enum {
        N = 400
    };
    static struct cel__stack stacks[N];

    if (CEL__HARD) {
        SKIP("every stack is looked at");
    }
    need_small_pages();
    cel__stackpool_init(&pool, 65536, 0);
    for (int i = 0; i < N; i++) {
        stacks[i] = take();
        stacks[i].top[-1] = 1;
    }
    for (int i = 0; i < N; i++) {
        cel__stackpool_give(&pool, &stacks[i]);
    }
    for (int i = 0; i < N; i++) {
        struct cel__stack stack = take();
        CHECK(i == 0 || resident(stack.low, stack.low + PAGE) == 1);
        memset(stack.low, 1, (size_t)(stack.top - stack.low));
        cel__stackpool_give(&pool, &stack);
    }
    cel__stackpool_fini(&pool);
}

TEST(the_use_of_a_stack_is_known_to_the_word)
{
    cel__stackpool_init(&pool, 65536, 0);
    struct cel__stack stack = take();
    CHECK_EQ(cel__depth_used(&stack), 0);
    stack.top[-8] = 1;
    CHECK_EQ(cel__depth_used(&stack), 8);
    stack.top[-20000] = 1;
    CHECK_EQ(cel__depth_used(&stack), 20000);
    stack.low[0] = 1;
    CHECK_EQ(cel__depth_used(&stack), stack.top - stack.low);
    cel__stackpool_give(&pool, &stack);
    cel__stackpool_fini(&pool);
}

/* Whether a child that writes to `at` dies of it. */
static bool
faults(volatile char *at)
{
    int status;
    pid_t child = fork();

    CHECK_GE(child, 0);
    if (child == 0) {
        static const struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGSEGV, SIG_DFL);
        *at = 1;
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void
check_guards(size_t size, size_t tail)
{
    struct cel__stack stacks[5];


    cel__stackpool_init(&pool, size, tail);
    for (int i = 0; i < 5; i++) {
        struct cel__stack stack = take();

        stacks[i] = stack;
        CHECK(!faults(stack.low));
        CHECK(faults(stack.low - 1));
        CHECK(faults(stack.low - pool.guard));
        CHECK(cel__stack_overflowed(&stack, stack.low - 1));
        CHECK(cel__stack_overflowed(&stack, stack.low - PAGE));
        CHECK(!cel__stack_overflowed(&stack, stack.low));
        CHECK(!cel__stack_overflowed(&stack, NULL));
    }
    CHECK(!pool.unguarded);
    for (int i = 0; i < 5; i++) {
        cel__stackpool_give(&pool, &stacks[i]);
    }
    cel__stackpool_fini(&pool);
}

TEST(below_every_stack_lies_a_guard)
{
    check_guards(16384, 0);
    check_guards(262144, 65536);
}

/* Be a kernel that knows no MADV_GUARD_INSTALL. */
static void
refuse_marks(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                 offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 102, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {
        .len = sizeof(code) / sizeof(code[0]),
        .filter = code,
    };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        SKIP("no seccomp filters here");
    }
}

TEST(older_kernels_get_guards_too)
{
    refuse_marks();
    check_guards(16384, 0);
    check_guards(262144, 65536);
}

static int nlogged;

static void
count_line(const char *text)
{
    CHECK(strstr(text, "vm.max_map_count") != NULL);
    nlogged++;
}

/* Take stacks on an older kernel until one has no guard; that one. */
static struct cel__stack
take_unguarded(void)
{
    struct cel__stack stack = {NULL, NULL, NULL};

    if (CEL__ASAN || CEL__TSAN) {
        SKIP("the sanitizer's mappings are too many");
    }
    if (tap_valgrind()) {
        SKIP("valgrind can't count that many mappings");
    }
    refuse_marks();
    cel_log_to(count_line);
    cel__stackpool_init(&pool, 16384, 0);
    for (int i = 0; i < 100000 && !pool.unguarded; i++) {
        stack = take();
    }
    if (!pool.unguarded) {
        SKIP("vm.max_map_count is very high");
    }
    return stack;
}

TEST(when_mappings_run_short_stacks_go_unguarded_and_it_is_said_once)
{
    struct cel__stack stack = take_unguarded();

    CHECK(!faults(stack.low - 1));
    for (int i = 0; i < 100; i++) {
        (void)take();
    }
    CHECK_EQ(nlogged, 1);
    /* Half of the mappings are left to others. */
    CHECK(mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
          MAP_FAILED);
    cel__stackpool_give(&pool, &stack);
}

TEST(an_unguarded_stack_that_overflowed_is_noticed_when_it_comes_back)
{
    struct cel__stack stack = take_unguarded();
    int status;

    CHECK(stack.low != NULL);
    stack.low[-1] = 1;
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        static const struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGABRT, SIG_DFL);
        cel__stackpool_give(&pool, &stack);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGABRT);
}

TEST(where_address_space_is_short_smaller_slabs_are_mapped)
{
    static const struct rlimit limit = {256 << 20, 256 << 20};
    int n = 0;
    int err;

    if (CEL__ASAN || CEL__TSAN) {
        SKIP("the sanitizer has all the address space");
    }
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    cel__stackpool_init(&pool, 4 << 20, 0);
    while ((err = cel__stackpool_reserve(&pool)) == 0) {
        if (++n == 64) {
            SKIP("limits are not kept here");
        }
    }
    CHECK_EQ(err, -ENOMEM);
    CHECK_GT(n, 40);
    CHECK_EQ(pool.nspare, 0);
    for (int i = 0; i < n; i++) {
        struct cel__stack stack;
        cel__stackpool_take(&pool, &stack);
        cel__stackpool_give(&pool, &stack);
    }
    cel__stackpool_fini(&pool);
}

TEST(a_stack_given_back_is_poisoned_in_hard_builds)
{
    if (!CEL__HARD) {
        SKIP("not a hard build");
    }
    cel__stackpool_init(&pool, 65536, 0);
    struct cel__stack stack = take();
    memset(stack.top - 5000, 1, 5000);
    cel__stackpool_give(&pool, &stack);
    CHECK_EQ((unsigned char)stack.top[-100], 0xdb);
    CHECK_EQ((unsigned char)stack.top[-5000], 0xdb);
    cel__stackpool_fini(&pool);
}

TEST(ten_thousand_stacks_are_few_mappings)
{
    enum {
        N = 10000
    };
    int lines = 0;

    cel__stackpool_init(&pool, 65536, 0);
    for (int i = 0; i < N; i++) {
        struct cel__stack stack = take();
        stack.top[-1] = 1;
    }
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    for (int c = getc(maps); c != EOF; c = getc(maps)) {
        lines += c == '\n';
    }
    (void)fclose(maps);
    if (lines > N) {
        SKIP("no MADV_GUARD_INSTALL here (Linux 6.13)");
    }
    CHECK_LT(lines, 500);
}

TEST(where_memory_is_short_no_promise_is_made)
{
    if (!CEL__HARD) {
        SKIP("not a hard build");
    }
    CHECK_EQ(setenv("CELADON_FAULT", "malloc:1:ENOMEM", 1), 0);
    cel__stackpool_init(&pool, 65536, 0);
    /* A slab of two, and not a smaller one, for that is none. */
    CHECK_EQ(cel__stackpool_reserve(&pool), -ENOMEM);
    CHECK_EQ(pool.nspare, 0);
    CHECK_EQ(pool.nmade, 0);
    CHECK_EQ(cel__stackpool_reserve(&pool), 0);
    cel__stackpool_release(&pool);
    cel__stackpool_fini(&pool);
}

TEST(a_guard_that_cannot_be_marked_is_protected)
{
    if (!CEL__HARD) {
        SKIP("not a hard build");
    }
    /* The first advice is about huge pages. */
    CHECK_EQ(setenv("CELADON_FAULT", "madvise:2:ENOMEM", 1), 0);
    check_guards(65536, 0);
}
